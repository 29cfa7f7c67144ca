from dataclasses import replace

import pytest

from citadel_k8s.domain.events import (
    EVENTS_MAX,
    GATHER,
    REMEMBERED,
    Correlator,
    Occurrence,
    Pending,
    occurrence_of,
)
from citadel_k8s.domain.liveness import Policy, created
from citadel_k8s.models.fabricnode import NodeState

DATE = 1_795_420_800.0


def silent(name: str = "gpu-1", reason: str = "AgentSilent") -> Occurrence:
    return Occurrence(name, reason, "no heartbeat", "Warning", f"uid-{name}")


def write(correlator: Correlator, now: float) -> list[Pending]:
    due = correlator.due(now)
    for pending in due:
        correlator.wrote(pending, f"{pending.key.name or 'fabric'}.1", pending.count, now)
    return due


def test_one_node_a_thousand_times_is_one_event_with_a_count() -> None:
    correlator = Correlator()
    for _ in range(1000):
        correlator.note(silent(), 0, DATE)
    (event,) = write(correlator, GATHER)
    assert (event.count, event.message) == (1000, "no heartbeat")
    assert event.involved["kind"] == "FabricNode"
    assert event.involved["metadata"] == {"name": "gpu-1", "uid": "uid-gpu-1"}


def test_a_thousand_nodes_once_are_one_event_with_a_count_about_the_fleet() -> None:
    correlator = Correlator()
    for number in range(1000):
        correlator.note(silent(f"gpu-{number}"), 0, DATE)
    (event,) = write(correlator, GATHER)
    assert event.count == 1000
    assert event.message == "1,000 nodes: gpu-0, gpu-1, gpu-2 and 997 more"
    assert event.involved["kind"] == "FabricStatus"
    assert event.involved["metadata"]["name"] == "fabric"


def test_a_loss_that_takes_half_a_minute_is_one_event_that_is_counted_on() -> None:
    correlator = Correlator()
    writes: list[Pending] = []
    for second in range(60):
        for number in range(84 if second < 30 else 0):
            correlator.note(silent(f"gpu-{second}-{number}"), second, DATE + second)
        writes += write(correlator, second)
    assert {w.event for w in writes} == {"fabric.1"}
    assert len(writes) <= 5
    assert writes[-1].count == 2520
    assert writes[-1].last_date == DATE + 29


def test_ten_nodes_are_ten_events() -> None:
    correlator = Correlator()
    for number in range(10):
        correlator.note(silent(f"gpu-{number}"), 0, DATE)
    assert len(write(correlator, GATHER)) == 10


def test_a_slow_trickle_is_no_storm() -> None:
    correlator = Correlator()
    for number in range(100):
        correlator.note(silent(f"gpu-{number}"), number * 7, DATE)
        assert [e.key.name for e in write(correlator, number * 7 + GATHER)] == [f"gpu-{number}"]


def test_what_was_written_alone_stays_so_when_a_storm_begins() -> None:
    correlator = Correlator()
    for number in range(5):
        correlator.note(silent(f"early-{number}"), 0, DATE)
    assert len(write(correlator, 5)) == 5
    for number in range(100):
        correlator.note(silent(f"late-{number}"), 6, DATE)
    (storm,) = write(correlator, 10)
    assert storm.count == 100


def test_a_second_storm_names_its_own_nodes_and_counts_on() -> None:
    correlator = Correlator()
    for number in range(20):
        correlator.note(silent(f"a-{number}"), 0, DATE)
    write(correlator, 5)
    for number in range(20):
        correlator.note(silent(f"b-{number}"), 200, DATE)
    (storm,) = write(correlator, 210)
    assert storm.count == 40
    assert storm.message.startswith("20 nodes: b-0")


def test_an_event_is_patched_at_most_once_in_ten_seconds() -> None:
    correlator = Correlator()
    writes = 0
    for second in range(100):
        correlator.note(silent(), second, DATE + second)
        writes += len(write(correlator, second))
    assert 9 <= writes <= 11


def test_what_happens_between_a_write_and_its_answer_is_written_later() -> None:
    correlator = Correlator()
    correlator.note(silent(), 0, DATE)
    (pending,) = correlator.due(GATHER)
    correlator.note(silent(), GATHER, DATE)
    correlator.wrote(pending, "e", 1, GATHER)
    assert correlator.due(GATHER + 1) == []
    assert [e.count for e in correlator.due(GATHER + 10)] == [2]


def test_old_events_are_forgotten_and_too_many_are_dropped_and_counted() -> None:
    correlator = Correlator()
    for number in range(EVENTS_MAX + 5):
        correlator.note(silent("gpu-1", f"Odd{number}"), 0, DATE)
    assert (len(correlator), correlator.dropped) == (EVENTS_MAX, 5)
    write(correlator, GATHER)
    assert correlator.due(REMEMBERED + 1) == []
    assert len(correlator) == 0


@pytest.mark.parametrize(
    ("before", "after", "reason", "expected"),
    [
        ("Online", "Offline", "AgentSilent", ("AgentSilent", "Warning")),
        ("Online", "Degraded", "GpuLost", ("GpuLost", "Warning")),
        ("Degraded", "Degraded", "DiskFull", ("DiskFull", "Warning")),
        ("Offline", "Online", "Heartbeat", ("Recovered", "Normal")),
        ("Draining", "Online", "Upgrade", ("Upgrade", "Normal")),
        ("Online", "Online", "Upgrade", ("Upgrade", "Normal")),
        ("Unknown", "Online", "Heartbeat", ("Joined", "Normal")),
        ("Online", "Draining", "Shutdown", ("Shutdown", "Normal")),
        ("Online", "Decommissioned", "Decommissioned", ("Decommissioned", "Normal")),
        ("Online", "Online", "Heartbeat", None),
        ("Offline", "Unknown", "NeverReported", None),
    ],
)
def test_a_change_is_told_by_its_reason(
    before: str, after: str, reason: str, expected: tuple[str, str] | None
) -> None:
    node = created(Policy(), 0)
    was = replace(node, state=NodeState(before), reason="Before")
    found = occurrence_of("gpu-1", "uid", replace(node, state=NodeState(after), reason=reason), was)
    assert (found and (found.reason, found.kind)) == expected
