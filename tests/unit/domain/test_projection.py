"""From what is known to what the object says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadel_k8s.domain.facts import facts_from
from citadel_k8s.domain.liveness import (
    Beat,
    Goodbye,
    Liveness,
    Policy,
    beaten,
    created,
    expired,
)
from citadel_k8s.domain.projection import View, as_document, desired_status
from citadel_k8s.domain.summary import summarise
from citadel_k8s.domain.verdicts import faults_of
from citadel_k8s.models.fabricnode import Condition, FabricNodeStatus, NodeState
from tests.unit.domain.samples import gpu, message, service

BEFORE = "2026-11-23T08:00:00Z"
NOW = "2026-11-23T08:17:33Z"


def node(said=None, *, at: float = 10.0) -> Liveness:
    faults = faults_of(facts_from(said)) if said else ()
    return beaten(created(Policy(), 0), Beat(at=at, boot_id="b", seq=1, faults=faults), at)


def status(live: Liveness, said, previous: FabricNodeStatus | None = None) -> FabricNodeStatus:
    facts = facts_from(said, clock_offset=0.0) if said else None
    return desired_status(
        View(live, facts, previous or FabricNodeStatus(), 1, NOW, last_heartbeat=BEFORE)
    )


def conditions(found: FabricNodeStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in found.conditions}


def test_a_healthy_node_reads_well():
    found = status(node(), message())
    assert found.state is NodeState.ONLINE
    assert {name: s for name, (s, _) in conditions(found).items()} == {
        "Ready": "True",
        "HeartbeatFresh": "True",
        "GPUHealthy": "True",
        "ServicesHealthy": "True",
        "ClockSynced": "True",
        "ConfigApplied": "Unknown",
    }
    summary = found.summary
    assert summary is not None
    assert (summary.gpus, summary.util, summary.vram) == ("8/8", "70%", "320/640Gi")
    assert (summary.models, summary.requests) == ("llama-3.1-70b", "3/1")
    assert found.last_heartbeat_time is None


def test_every_condition_has_a_reason():
    for said in (message(), message(gpu=None, services=None), None):
        assert all(c.reason for c in status(node(), said).conditions)


def test_silence_renders_unknown_and_never_green():
    silent = expired(node(), 200)
    found = status(silent, message())
    assert conditions(found) == {
        "Ready": ("Unknown", "AgentSilent"),
        "HeartbeatFresh": ("False", "AgentSilent"),
        "GPUHealthy": ("Unknown", "AgentSilent"),
        "ServicesHealthy": ("Unknown", "AgentSilent"),
        "ClockSynced": ("Unknown", "AgentSilent"),
        "ConfigApplied": ("Unknown", "AgentSilent"),
    }
    assert {g.health for g in found.gpus or []} == {"unknown"}
    assert {s.health for s in found.services or []} == {"unknown"}
    summary = found.summary
    assert summary is not None
    assert (summary.gpus, summary.util, summary.vram) == ("?/8", "unknown", "?/640Gi")
    assert (summary.models, summary.requests) == ("unknown", "unknown")
    assert found.last_heartbeat_time == BEFORE


def test_an_operator_that_heard_nothing_keeps_what_the_one_before_it_knew():
    before = status(node(), message())
    found = status(expired(created(Policy(), 0), 200), None, before)
    assert found.hardware == before.hardware
    assert [g.uuid for g in found.gpus or []] == [g.uuid for g in before.gpus or []]
    assert found.summary is not None
    assert found.summary.gpus == "?/8"


def test_a_gpu_fault_shows_in_state_condition_and_column():
    said = message(gpu=[gpu(i) for i in range(7)] + [gpu(7, health="failed", reason="GpuLost")])
    found = status(node(said), said)
    assert found.state is NodeState.DEGRADED
    assert conditions(found)["GPUHealthy"] == ("False", "GpuLost")
    assert conditions(found)["Ready"] == ("False", "GpuLost")
    assert found.summary is not None
    assert (found.summary.gpus, found.summary.reason) == ("7/8", "GpuLost")


@pytest.mark.parametrize(
    ("changes", "gpus", "util"),
    [
        ({"gpu": None}, "unknown", "unknown"),
        (
            {
                "gpu": None,
                "collectors": [{"name": "nvml", "state": "absent", "reason": "NoDriver"}],
            },
            "none",
            "none",
        ),
        (
            {"gpu": None, "collectors": [{"name": "nvml", "state": "failed", "reason": "Hung"}]},
            "unknown",
            "unknown",
        ),
        ({"gpu": [{"index": 0, "name": "GPU"}]}, "?/1", "unknown"),
    ],
)
def test_unknown_is_not_zero(changes, gpus, util):
    summary = summarise(facts_from(message(**changes)), None, None, fresh=True)
    assert (summary.gpus, summary.util) == (gpus, util)


@pytest.mark.parametrize(
    ("services", "models"),
    [
        (None, "unknown"),
        ([], "none"),
        ([service(models=None)], "unknown"),
        ([service(models=[])], "none"),
        ([service(health="starting")], "none"),
        ([service(models=["a", "b", "c"])], "a +2"),
        ([service(models=["org/" + "x" * 80])], "x" * 23 + "…"),
    ],
)
def test_only_models_that_can_be_asked_now_are_named(services, models):
    summary = summarise(facts_from(message(services=services)), None, None, fresh=True)
    assert summary.models == models


@pytest.mark.parametrize(
    ("held", "percent", "shown"),
    [("70%", 77.9, "70%"), ("70%", 78.1, "80%"), ("70%", 62.0, "70%"), (None, 74.9, "70%")],
)
def test_the_utilization_moves_in_steps_and_not_for_a_trifle(held, percent, shown):
    facts = facts_from(message(gpu=[gpu(0, utilization_percent=percent)]))
    previous = summarise(facts, None, None, fresh=True).model_copy(update={"util": held or "x"})
    assert summarise(facts, previous, None, fresh=True).util == shown


def test_a_condition_keeps_its_date_until_its_status_changes():
    old = FabricNodeStatus.model_validate(
        {
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "x", "lastTransitionTime": BEFORE},
                {
                    "type": "ClockSynced",
                    "status": "False",
                    "reason": "x",
                    "lastTransitionTime": BEFORE,
                },
            ]
        }
    )
    dates = {c.type: c.last_transition_time for c in status(node(), message(), old).conditions}
    assert (dates["Ready"], dates["ClockSynced"]) == (BEFORE, NOW)


def test_nulls_are_given_for_objects_and_left_out_of_lists():
    document = as_document(status(node(), message(services=None)))
    assert document["services"] is None
    assert document["lastHeartbeatTime"] is None
    assert "reason" not in document["gpus"][0]
    assert document["summary"]["reason"] is None


@settings(max_examples=60, deadline=None)
@given(
    gpus=st.integers(0, 64),
    services=st.integers(0, 40),
    models=st.lists(st.text(max_size=300), max_size=40),
    name=st.text(max_size=200),
)
def test_a_status_never_exceeds_four_kilobytes(gpus, services, models, name):
    said = message(
        gpu=[gpu(i, name="g" * 90, uuid="u" * 90, reason=name or "r") for i in range(gpus)],
        services=[service(name=name or "s", models=models, reason=name) for _ in range(services)],
        collectors=[{"name": name, "state": "failed", "reason": name, "message": name}],
    )
    found = status(node(said), said)
    kept = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert len(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()) <= 4096
    assert len(found.gpus or []) + (found.more_gpus or 0) == gpus
    assert len(found.services or []) + (found.more_services or 0) == services


def test_numbers_at_the_end_of_what_a_float_holds_are_not_known():
    most = [gpu(i, utilization_percent=1.7e308) for i in range(2)]
    for gpus in (most, [gpu(0, utilization_percent=-1.7e308)]):
        said = message(gpu=gpus)
        assert status(node(said), said).summary.util == "unknown"


def test_whoever_sends_too_much_gets_an_object_that_the_schema_takes():
    failed = [gpu(2**62 + i, health="failed", reason="GpuLost") for i in range(4000)]
    said = message(gpu=failed)
    goodbye = Beat(at=10.0, boot_id="b", seq=1, goodbye=Goodbye("x" * 100_000))
    for live in (node(said), beaten(created(Policy(), 0), goodbye, 10.0)):
        messages = [c.message for c in status(live, said).conditions]
        assert max(map(len, messages)) < 500


def other(kind: str, message: str = "") -> Condition:
    return Condition(
        type=kind, status="True", reason="Theirs", message=message, last_transition_time=BEFORE
    )


def test_what_other_programs_say_in_conditions_stays_as_it_is():
    first = status(node(), message())
    theirs = [other("example.com/Racked"), other("example.com/Burnt-In", "for 48 h")]
    edited = first.model_copy(update={"conditions": [*theirs, *first.conditions]})
    again = status(node(), message(), edited)
    assert again.conditions == [*first.conditions, *theirs]
    assert status(node(), message(), again).conditions == again.conditions


def test_other_programs_conditions_leave_room_for_ours():
    many = FabricNodeStatus(conditions=[other(f"example.com/C{number}") for number in range(16)])
    found = status(node(), message(), many)
    assert len(found.conditions) == 16
    assert set(conditions(status(node(), message()))) <= set(conditions(found))


def test_other_programs_conditions_cost_a_node_nothing_of_its_own():
    long = FabricNodeStatus(conditions=[other("example.com/Long", "x" * 4096)])
    found = status(node(), message(), long)
    assert found.gpus == status(node(), message()).gpus
    assert found.services == status(node(), message()).services
