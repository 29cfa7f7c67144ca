"""What is written, and when."""

from dataclasses import replace

import pytest

from citadel_k8s.domain.reconcile import (
    WriteKind,
    Written,
    changed_keys,
    due_at,
    kind_of,
    patch_of,
    urgency,
)
from citadel_k8s.models.fabricnode import NodeState
from tests.unit.domain.voices import online

CONDITION = {"type": "Ready", "status": "True", "reason": "Heartbeat", "message": "on time"}
OBSERVED = {
    "state": "Online",
    "confirmedTime": "2026-11-23T08:00:00Z",
    "conditions": [CONDITION],
    "summary": {"util": "50%", "gpus": "8/8"},
    "hardware": {"gpuCount": 8},
}


def desired(**changes):
    return {**OBSERVED, "confirmedTime": "2026-11-23T09:00:00Z", **changes}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"state": "Offline"}, WriteKind.STATE),
        ({"hardware": {"gpuCount": 7}}, WriteKind.DETAIL),
        ({"conditions": [{**CONDITION, "status": "False"}]}, WriteKind.DETAIL),
        ({"conditions": [{**CONDITION, "message": "late"}]}, WriteKind.TEXT),
        ({"summary": {"util": "60%", "gpus": "8/8"}}, WriteKind.TEXT),
        ({}, WriteKind.REFRESH),
    ],
)
def test_a_difference_has_a_kind(changes, kind):
    assert kind_of(desired(**changes), OBSERVED) is kind


def test_null_and_absent_are_the_same():
    assert changed_keys(
        desired(agent=None, hardware={"gpuCount": 8, "driver": None}), OBSERVED
    ) == {"confirmedTime"}
    assert changed_keys({"agent": {"version": None}}, {}) == set()


def test_a_patch_has_only_what_differs_and_the_confirmation():
    assert set(patch_of(desired(state="Offline"), OBSERVED)) == {"state", "confirmedTime"}


def test_a_hand_edited_status_is_put_right():
    edited = {**OBSERVED, "state": "Online!", "gpus": [{"index": 99}]}
    assert patch_of(desired(gpus=None), edited)["gpus"] is None
    assert kind_of(desired(gpus=None), edited) is WriteKind.STATE


def test_what_was_never_written_is_due_at_once():
    assert due_at(WriteKind.REFRESH, Written(), 10, now=7) == 7


@pytest.mark.parametrize(
    ("kind", "fleet", "due"),
    [
        (WriteKind.STATE, 10, 102),
        (WriteKind.DETAIL, 10, 110),
        (WriteKind.TEXT, 10, 130),
        (WriteKind.TEXT, 5000, 600),
        (WriteKind.REFRESH, 10, 400),
        (WriteKind.REFRESH, 10_000, 1100),
    ],
)
def test_each_kind_has_its_pace(kind, fleet, due):
    assert due_at(kind, Written(at=100, dirty_since=101), fleet, now=105) == due


def test_details_settle_before_they_are_written():
    assert due_at(WriteKind.DETAIL, Written(at=0, dirty_since=100), 1, now=100) == 102


@pytest.mark.parametrize("fleet", [1, 200, 1000, 5000, 10_000])
def test_slow_writes_stay_within_ten_a_second(fleet):
    gap = due_at(WriteKind.TEXT, Written(at=0), fleet, now=0)
    assert fleet / gap <= 10


def test_the_worst_states_go_first():
    order = sorted(
        [
            urgency(WriteKind.TEXT, NodeState.OFFLINE),
            urgency(WriteKind.STATE, NodeState.ONLINE),
            urgency(WriteKind.STATE, NodeState.OFFLINE),
            urgency(WriteKind.STATE, NodeState.DEGRADED),
        ]
    )
    assert order[0] == urgency(WriteKind.STATE, NodeState.OFFLINE)
    assert order[1] == urgency(WriteKind.STATE, NodeState.DEGRADED)
    assert order[-1] == urgency(WriteKind.TEXT, NodeState.OFFLINE)


@pytest.mark.parametrize("kind", list(WriteKind))
def test_a_flapping_node_is_written_once_a_minute_at_the_most(kind):
    written = Written(at=100, dirty_since=101)
    assert due_at(kind, written, 10, now=105, restless=True) >= 160


def test_that_a_flapping_node_is_down_is_written_in_time():
    down = replace(online(), flapping=True, state=NodeState.OFFLINE)
    assert (replace(online(), flapping=True).restless, down.restless) == (True, False)
    assert due_at(WriteKind.STATE, Written(at=100), 10, now=105, restless=down.restless) == 102


def test_a_flapping_node_never_written_is_due_at_once():
    assert due_at(WriteKind.STATE, Written(), 10, now=7, restless=True) == 7
