from dataclasses import replace
from typing import Any

import pydantic_core
import pytest

from citadel_k8s.domain.alertledger import Ledger, batches
from citadel_k8s.domain.alerts import Alert, Labels, alert_of, posted, summary
from citadel_k8s.domain.hardware import is_hardware_fault, remedy_of
from citadel_k8s.domain.liveness import Liveness, Policy, created
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.fabricnode import NodeState

START = 1_795_420_800.0
PLAIN = Labels()


def live(state: NodeState, reason: str = "AgentSilent", **changes: Any) -> Liveness:
    node = replace(created(Policy(), 0.0), state=state, reason=reason, message="a message")
    return replace(node, **changes)


def alert(node: str = "gpu-1", reason: str = "AgentSilent", **changes: Any) -> Alert:
    return replace(Alert("NodeOffline", reason, "critical", "silent", START, node), **changes)


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (NodeState.OFFLINE, "AgentSilent", ("NodeOffline", "critical")),
        (NodeState.DEGRADED, "DiskFull", ("NodeDegraded", "warning")),
        (NodeState.DEGRADED, "GpuLost", ("NodeDegraded", "critical")),
        (NodeState.ONLINE, "Heartbeat", None),
        (NodeState.UNKNOWN, "NeverReported", None),
        (NodeState.DRAINING, "Shutdown", None),
        (NodeState.DECOMMISSIONED, "Decommissioned", None),
    ],
)
def test_only_offline_and_degraded_nodes_are_alerted_of(
    state: NodeState, reason: str, expected: tuple[str, str] | None
) -> None:
    found = alert_of("gpu-1", live(state, reason), START)
    assert (found and (found.name, found.severity)) == expected


def test_nothing_is_alerted_of_under_maintenance() -> None:
    for flapping in (False, True):
        node = live(NodeState.OFFLINE, maintenance=True, flapping=flapping)
        assert alert_of("gpu-1", node, START) is None


def test_a_node_that_flaps_has_one_alert_whatever_its_state() -> None:
    states = (NodeState.OFFLINE, NodeState.ONLINE, NodeState.DEGRADED)
    found = {alert_of("gpu-1", live(state, flapping=True), START) for state in states}
    assert {a.key for a in found if a} == {("NodeFlapping", "Flapping", "gpu-1")}
    assert None not in found


def test_an_alert_is_posted_with_clipped_labels_and_an_end() -> None:
    long = alert(reason="R" * 500, message="m\x00\n")
    document = pydantic_core.from_json(posted(long, Labels("acme"), START + 180))
    assert document["labels"]["org"] == "acme"
    assert len(document["labels"]["reason"]) == 128
    assert document["labels"]["alertname"] == "NodeOffline"
    assert document["startsAt"] == "2026-11-23T08:00:00Z"
    assert document["endsAt"] == "2026-11-23T08:03:00Z"
    assert summary(alert()) == "gpu-1: NodeOffline (AgentSilent)"


def test_an_alert_never_ends_before_it_starts() -> None:
    document = pydantic_core.from_json(posted(alert(), PLAIN, START - 50))
    assert document["startsAt"] == document["endsAt"]


def test_labels_that_would_be_empty_are_left_out() -> None:
    assert "org" not in PLAIN.of(alert())
    assert "node" not in PLAIN.of(alert(node=""))


def test_labels_of_the_settings_are_added_and_never_replace_ours() -> None:
    labels = Labels.parse(None, {"cluster": "a"})
    assert labels.of(alert())["cluster"] == "a"
    for name in ("node", "bad-name", "1", "", "__x__", "a" * 3 + "\n"):
        with pytest.raises(ConfigError, match="externalLabels"):
            Labels.parse(None, {name: "x"})


def test_a_fault_with_a_known_remedy_tells_it() -> None:
    document = pydantic_core.from_json(posted(alert(reason="Xid79"), PLAIN, START))
    assert "power-cycle" in document["annotations"]["remedy"]
    assert remedy_of("AgentSilent") is None


@pytest.mark.parametrize("reason", ["GpuLost", "GpuMissing", "RowRemapFailed", "Xid79", "Xid95"])
def test_broken_hardware_is_told_from_the_rest(reason: str) -> None:
    assert is_hardware_fault(reason)


@pytest.mark.parametrize(
    "reason",
    ["Unresponsive", "ResetRequired", "Xid119", "Xid31", "Xid9999", "Xid", "TemperatureHigh", ""],
)
def test_what_may_be_the_drivers_fault_or_an_applications_is_no_broken_hardware(
    reason: str,
) -> None:
    assert not is_hardware_fault(reason)


def test_batches_stay_under_the_limit_and_lose_nothing() -> None:
    documents = [posted(alert(f"gpu-{i}"), PLAIN, START) for i in range(2500)]
    made = list(batches(documents))
    assert sum(count for count, _ in made) == 2500
    assert max(len(body) for _, body in made) <= 64 * 1024
    assert len(made) < 30
    told = [a["labels"]["node"] for _, body in made for a in pydantic_core.from_json(body)]
    assert told == [f"gpu-{i}" for i in range(2500)]


def test_a_document_over_the_limit_goes_alone() -> None:
    assert list(batches([b"1", b"2" * 50, b"3"], limit=10)) == [
        (1, b"[1]"),
        (1, b"[" + b"2" * 50 + b"]"),
        (1, b"[3]"),
    ]
    assert list(batches([])) == []


def firing(*alerts: Alert) -> dict[Any, Alert]:
    return {a.key: a for a in alerts}


def test_an_alert_is_due_at_once_and_then_once_in_a_repeat() -> None:
    ledger = Ledger(60)
    due = ledger.due(firing(alert()), 0)
    assert due == [(alert(), True)]
    ledger.told(due, 0)
    assert ledger.due(firing(alert()), 59) == []
    assert ledger.due(firing(alert()), 60) == [(alert(), True)]


def test_what_is_over_is_told_once_and_before_the_rest() -> None:
    ledger = Ledger(60)
    ledger.told(ledger.due(firing(alert("a")), 0), 0)
    due = ledger.due(firing(alert("b")), 1)
    assert due == [(alert("a"), False), (alert("b"), True)]
    assert ledger.due(firing(alert("b")), 2) == due  # nobody took it
    ledger.told(due, 2)
    assert ledger.due(firing(alert("b")), 3) == []


def test_what_fires_again_before_its_end_was_told_is_no_longer_over() -> None:
    ledger = Ledger(60)
    ledger.told(ledger.due(firing(alert()), 0), 0)
    assert ledger.due({}, 1) == [(alert(), False)]
    assert ledger.due(firing(alert()), 2) == [(alert(), True)]


def test_what_was_never_told_is_forgotten_when_it_is_over() -> None:
    ledger = Ledger(60)
    ledger.due(firing(alert()), 0)
    assert ledger.due({}, 1) == []
