"""What nodes, people and senders of nonsense make of objects, with all servers well."""

import re
from collections import Counter

import pytest

from tests.integration.operator import steady as acts
from tests.integration.operator.lives import Life
from tests.integration.operator.rig import INTERVAL, T_FAILURE

CONDITIONS = [
    "Ready", "HeartbeatFresh", "GPUHealthy", "ServicesHealthy", "ClockSynced", "ConfigApplied",
]  # fmt: skip
TABLE = r"""NAME +STATE +READY +GPUS +UTIL +VRAM +MODELS +RUN/WAIT +CONFIRMED +AGE
owned +Online +True +8/8 +50% +350/637Gi +\S+ +10/0 +\d+s +\d+s
adopted +Online +True +8/8 +50% +350/637Gi +\S+ +10/0 +\d+s +\d+s
"""


def conditions(raw) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in raw["status"]["conditions"]}


def test_a_node_that_speaks_has_an_object_with_spec_status_and_conditions(steady: Life) -> None:
    raw = steady.saw(acts.appears).object
    assert raw["spec"] == {"nodeId": "owned", "nodeName": "owned"}
    status = raw["status"]
    assert (status["state"], len(status["gpus"])) == ("Online", 8)
    assert status["hardware"]["driver"] == "570.86.15"
    assert list(conditions(raw)) == CONDITIONS
    assert conditions(raw).pop("ConfigApplied") == ("Unknown", "NoConfig")
    assert {truth for kind, (truth, _) in conditions(raw).items() if kind != "ConfigApplied"} == {
        "True"
    }
    assert all(reason for _, reason in conditions(raw).values())
    assert "lastHeartbeatTime" not in status


def test_kubectl_shows_the_columns(steady: Life) -> None:
    seen = steady.saw(acts.appears)
    assert re.fullmatch(TABLE, seen.table), seen.table
    assert "NVIDIA H100 80GB HBM3" in seen.wide
    assert max(map(len, seen.table.splitlines())) <= 120


def test_the_node_of_the_cluster_owns_the_object_and_a_later_one_adopts_it(steady: Life) -> None:
    seen = steady.saw(acts.appears)
    assert seen.owner == seen.uid
    assert seen.before is None
    assert seen.adopted["spec"] == {"nodeId": "adopted", "nodeName": "adopted"}
    assert "finalizers" not in seen.object["metadata"]
    assert "annotations" not in seen.object["metadata"]


def test_a_killed_node_is_offline_neither_too_soon_nor_too_late(steady: Life) -> None:
    seen = steady.saw(acts.dies)
    assert T_FAILURE - INTERVAL <= seen.to_offline <= T_FAILURE + 3


def test_silence_is_unknown_and_not_false(steady: Life) -> None:
    silent = steady.saw(acts.dies).silent
    assert conditions(silent)["Ready"] == ("Unknown", "AgentSilent")
    assert conditions(silent)["GPUHealthy"] == ("Unknown", "AgentSilent")
    assert silent["status"]["summary"]["gpus"] == "?/8"
    assert silent["status"]["lastHeartbeatTime"]


def test_a_revived_node_is_online_at_its_first_word(steady: Life) -> None:
    assert steady.saw(acts.dies).to_online < INTERVAL


def test_a_goodbye_drains_and_the_next_process_is_online(steady: Life) -> None:
    seen = steady.saw(acts.leaves)
    assert seen.states == ["Online", "Draining", "Online"]
    assert conditions(seen.gone)["Ready"] == ("False", "Upgrade")


def test_a_status_that_somebody_overwrote_is_put_right(steady: Life) -> None:
    assert steady.saw(acts.edited).seconds < 15


def test_a_living_nodes_deleted_object_is_made_anew_with_what_people_said(steady: Life) -> None:
    seen = steady.saw(acts.deleted)
    assert seen.after["metadata"]["uid"] != seen.before["metadata"]["uid"]
    assert seen.after["spec"] == seen.before["spec"]
    assert seen.after["spec"]["heartbeat"] == {"missedHeartbeats": 3}


def test_a_dead_nodes_deleted_object_stays_deleted(steady: Life) -> None:
    seen = steady.saw(acts.deleted)
    assert (seen.dropped, seen.figures) == (None, "")


def test_an_object_for_a_node_that_never_reports_ends_offline(steady: Life) -> None:
    seen = steady.saw(acts.made_by_hand)
    assert seen.states == ["Unknown", "Offline"]
    assert conditions(seen.object)["Ready"] == ("Unknown", "NeverReported")
    assert T_FAILURE - 1 <= seen.seconds <= T_FAILURE + 3


def test_many_objects_made_at_once_are_seen_at_once(steady: Life) -> None:
    # Two a second, as with few and long-lived workers of the watch, would take twenty.
    assert steady.saw(acts.crowded).seconds < 15


def test_the_status_of_a_node_of_16_gpus_and_many_services_stays_under_4_kb(steady: Life) -> None:
    seen = steady.saw(acts.large)
    assert 3000 < seen.size <= 4096
    status = seen.status
    assert len(status["gpus"]) == 16
    assert len(status["services"]) + status["moreServices"] == 40


def test_each_sender_of_nonsense_gets_one_line_that_says_what_is_wrong(steady: Life) -> None:
    seen = steady.saw(acts.gets_nonsense)
    lines = Counter((line["node"], line["reason"]) for line in seen.lines)
    wanted = {(node[:64], reason): 1 for node, _, reason in seen.sent}
    assert lines == wanted | {("beside-nonsense", "Replayed"): 1}
    assert all(len(str(line)) < 600 and line["level"] == "warning" for line in seen.lines)


def test_nonsense_is_counted_by_reason(steady: Life) -> None:
    seen = steady.saw(acts.gets_nonsense)
    sent = Counter(reason for *_, reason in seen.sent)
    wanted = {reason: acts.REPEATS * count for reason, count in sent.items()}
    assert seen.figures == wanted | {"Replayed": 1}


def test_nonsense_makes_no_object_and_disturbs_no_node(steady: Life) -> None:
    seen = steady.saw(acts.gets_nonsense)
    assert seen.fresh == []
    assert seen.states == ["Online"]
    assert seen.accepted > 10


def test_what_was_deleted_while_no_operator_ran_is_made_good(steady: Life) -> None:
    assert steady.saw(acts.deleted_unseen).dead is None


def test_a_restarted_operator_does_not_tell_the_past_again(steady: Life) -> None:
    """Nor that a node is Online which was told so before somebody deleted its object."""
    assert steady.saw(acts.deleted_unseen).retold == []


def test_an_operator_that_is_told_to_stop_does_so_at_once(steady: Life) -> None:
    seen = steady.saw(acts.deleted_unseen)
    assert seen.status == 0
    assert seen.stopped < 5


@pytest.mark.parametrize("act", [acts.deleted_unseen, acts.says_all])
def test_the_log_has_no_traceback_and_nothing_but_what_happened(steady: Life, act) -> None:
    lines = steady.saw(act).lines
    assert [line for line in lines if "exception" in line] == []
    assert {line["event"] for line in lines} <= {
        "serving", "restored", "caught_up", "transition", "entry_rejected", "object_gone_unseen",
        "orphan_deleted", "stopping", "leading", "recalled", "took_over",
    }  # fmt: skip
