"""A Valkey that hangs and forgets, an operator that is killed: nobody is Offline for that."""

from tests.integration.operator import outages as acts
from tests.integration.operator.lives import Life
from tests.integration.operator.rig import INTERVAL, T_FAILURE


def test_a_hanging_valkey_makes_nobody_offline(outages: Life) -> None:
    seen = outages.saw(acts.hangs)
    assert seen.offline == []
    assert seen.all_online


def test_a_hanging_valkey_is_told_in_one_line_in_figures_and_by_the_probe(outages: Life) -> None:
    during = outages.saw(acts.hangs).during
    assert len(during.lines) == 1
    assert "no answer within" in during.lines[0]["error"]
    assert during.up == 0
    status, ready = during.ready
    assert status == 503
    assert list(ready["missing"]) == ["stream"]
    assert during.live[0] == 200


def test_the_end_of_an_outage_is_told(outages: Life) -> None:
    seen = outages.saw(acts.hangs)
    assert seen.up == 1
    events = [line["event"] for line in seen.lines]
    assert events.count("stream_unreadable_recovered") == 1
    assert events.count("pipe_was_silent") == 1


def test_a_key_of_another_type_in_the_streams_place_is_told_in_one_line(outages: Life) -> None:
    seen = outages.saw(acts.forgets)
    assert seen.count == 1
    assert "WRONGTYPE" in seen.wrong[0]["error"]


def test_a_valkey_that_lost_its_data_begins_a_new_epoch_and_makes_nobody_offline(
    outages: Life,
) -> None:
    seen = outages.saw(acts.forgets)
    assert seen.resets >= 1
    assert len(seen.epochs) == seen.resets
    assert seen.offline == []
    assert seen.all_online


def test_an_operator_killed_again_and_again_marks_nobody_offline(outages: Life) -> None:
    seen = outages.saw(acts.is_killed)
    assert seen.offline == []
    assert seen.states <= {"Online"}


def test_a_restarted_operator_writes_nothing_that_stands_already(outages: Life) -> None:
    seen = outages.saw(acts.is_killed)
    assert seen.patches <= 1
    assert seen.now == seen.versions


def test_a_node_that_died_while_no_operator_ran_is_offline_on_time(outages: Life) -> None:
    seen = outages.saw(acts.misses_a_death)
    assert T_FAILURE - INTERVAL <= seen.seconds <= max(T_FAILURE, seen.up) + 3
    assert seen.others


def test_an_operator_ends_in_time_while_no_server_answers(outages: Life) -> None:
    seen = outages.saw(acts.is_stopped_amid_an_outage)
    assert seen.status == 0
    assert seen.took < 5
    last = [line["event"] for line in seen.lines[-2:]]
    assert last in (["stopping", "last_snapshot_not_saved"], [last[0], "stopping"])
    assert "Traceback" not in seen.text
    assert "destroyed" not in seen.text
