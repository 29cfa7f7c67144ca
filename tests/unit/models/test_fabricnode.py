import json

import pytest

from citadel_k8s.models.fabricnode import (
    Condition,
    FabricNodeSpec,
    FabricNodeStatus,
    NodeState,
    Summary,
)


def test_a_status_is_written_in_camel_case_without_what_is_not_known() -> None:
    status = FabricNodeStatus(
        state=NodeState.ONLINE,
        confirmed_time="2026-11-23T08:17:33Z",
        conditions=[
            Condition(
                type="Ready",
                status="True",
                reason="Fresh",
                last_transition_time="2026-11-23T08:17:33Z",
            )
        ],
        summary=Summary(gpus="8/8", util="40%", vram="10/80", models="m", requests="1/0"),
    )

    document = json.loads(status.model_dump_json(exclude_none=True))

    assert document["state"] == "Online"
    assert document["confirmedTime"] == "2026-11-23T08:17:33Z"
    assert document["conditions"][0]["lastTransitionTime"] == "2026-11-23T08:17:33Z"
    assert "gpus" not in document
    assert FabricNodeStatus.model_validate(document) == status


def test_a_new_status_is_unknown_and_not_good_news() -> None:
    assert FabricNodeStatus().state is NodeState.UNKNOWN
    assert FabricNodeStatus().gpus is None


def test_a_spec_that_people_edited_is_read_leniently() -> None:
    spec = FabricNodeSpec.model_validate(
        {"nodeId": "n1", "heartbeat": {"intervalSeconds": "10"}, "added": {"later": True}}
    )

    assert spec.heartbeat is not None
    assert spec.heartbeat.interval_seconds == 10.0
    assert spec.model_dump(exclude_none=True)["added"] == {"later": True}


@pytest.mark.parametrize(
    "heartbeat",
    [
        {"intervalSeconds": 4},
        {"intervalSeconds": 301},
        {"missedHeartbeats": 0},
        {"missedHeartbeats": 21},
        {"skewSeconds": -1},
        {"skewSeconds": 121},
    ],
)
def test_heartbeat_values_out_of_range_are_refused(heartbeat: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(heartbeat))):
        FabricNodeSpec.model_validate({"nodeId": "n1", "heartbeat": heartbeat})


def test_a_condition_always_has_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        Condition.model_validate({"type": "Ready", "status": "True", "lastTransitionTime": "t"})
