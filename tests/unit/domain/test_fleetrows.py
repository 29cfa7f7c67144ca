from typing import Any

import pytest

from citadel_k8s.api.fabric.sorting import _ORDERS
from citadel_k8s.domain.fleetrows import (
    gpu_count,
    merged,
    name_of,
    object_row,
    ordered,
    seconds_since,
)
from citadel_k8s.domain.standing import ATTENTION, SORTS
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.views import NodeSummary

NOW = 1_795_420_800.0


def an_object(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "gpu-1-0a1b2c", "creationTimestamp": "2026-11-23T07:00:00Z"},
        "spec": {"nodeId": "GPU_1", "orgId": "acme"},
        "status": {
            "state": "Degraded",
            "conditions": [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "GpuLost",
                    "message": "GPU 3 is lost",
                    "lastTransitionTime": "2026-11-23T07:59:00Z",
                }
            ],
            "addresses": ["100.64.0.1", "10.0.0.1"],
            "agent": {"version": "0.1.0"},
            "hardware": {"gpuCount": 3, "gpuModel": "H100", "gpuMemoryBytes": 240, "driver": "575"},
            "gpus": [{"index": 0, "health": "ok"}, {"index": 1, "health": "failed"}],
            "moreGpus": 1,
            "services": [
                {"name": "vllm", "type": "llm", "health": "ok", "models": ["a", "b"]},
                {"name": "old", "type": "llm", "health": "unhealthy", "models": ["c"]},
            ],
            "moreServices": 2,
            "summary": {"gpus": "2/3", "util": "40%", "reason": "GpuLost"},
            "confirmedTime": "2026-11-23T07:59:30Z",
            **status,
        },
    }


def test_an_object_becomes_a_row_of_the_api_and_what_it_does_not_say_is_absent():
    row = object_row(an_object(), NOW)

    assert row["id"] == "GPU_1"
    assert (row["state"], row["reason"], row["message"]) == ("Degraded", "GpuLost", "GPU 3 is lost")
    assert row["profile"] == {
        "name": "gpu-1-0a1b2c",
        "address": "100.64.0.1",
        "agent": "0.1.0",
        "gpus": [{"model": "H100", "count": 3}],
        "vramBytes": 240,
        "models": ["a", "b"],
        "services": 4,
        "driver": "575",
    }
    assert row["pulse"] == {"gpu": [[None, None, 0], [None, None, 2], [None, None, None]]}
    own = {"object", "created", "confirmed", "summary"}
    fields = {field.alias or name for name, field in NodeSummary.model_fields.items()}
    assert set(row) - own <= fields


def test_since_is_told_of_online_alone_for_other_states_share_a_condition():
    assert "since" not in object_row(an_object(), NOW)
    assert object_row(an_object(state="Online"), NOW)["since"] == "2026-11-23T07:59:00Z"
    assert "reason" not in object_row(an_object(state="Online"), NOW)


def test_an_object_without_a_status_is_unknown_and_has_no_figures():
    row = object_row({"metadata": {"name": "new"}, "spec": {"nodeId": "new"}}, NOW)

    assert (row["state"], row["profile"], row["pulse"]) == ("Unknown", {"name": "new"}, {})
    assert gpu_count(row) is None


def test_no_gpus_and_unknown_gpus_differ():
    assert gpu_count(object_row(an_object(hardware={"gpuCount": 0}), NOW)) == 0
    assert gpu_count(object_row(an_object(hardware={}), NOW)) is None
    assert object_row(an_object(hardware={"gpuCount": 2}), NOW)["profile"]["gpus"] == [
        {"model": "unknown", "count": 2}
    ]


def test_models_of_services_of_unknown_health_are_unknown():
    services = [{"name": "vllm", "type": "llm", "health": "unknown", "models": ["a"]}]
    assert "models" not in object_row(an_object(services=services), NOW)["profile"]
    assert object_row(an_object(services=[]), NOW)["profile"]["models"] == []


def test_a_silent_node_says_when_it_was_heard():
    row = object_row(an_object(lastHeartbeatTime="2026-11-23T07:58:00Z"), NOW)
    assert row["age"] == seconds_since("2026-11-23T07:58:00Z", NOW)
    assert seconds_since("yesterday", NOW) is None
    assert seconds_since(None, NOW) is None


def test_a_delta_changes_what_it_names_and_a_reason_goes_with_the_state():
    row = {"id": "a", "state": "Degraded", "reason": "GpuLost", "age": 3.0, "pulse": {"cpu": 1}}

    well = merged(
        row, {"type": "node", "id": "a", "state": "Online", "seen": "2026-11-23T08:00:00Z"}
    )
    assert well["state"] == "Online"
    assert "reason" not in well
    assert "age" not in well
    assert well["pulse"] == {"cpu": 1}
    assert well["lastHeartbeat"] == "2026-11-23T08:00:00Z"
    assert row["reason"] == "GpuLost"

    moved = merged(row, {"type": "node", "id": "a", "pulse": {"cpu": 2}})
    assert (moved["reason"], moved["pulse"]) == ("GpuLost", {"cpu": 2})


def test_a_delta_of_an_unheard_node_makes_a_row():
    assert merged(None, {"type": "node", "id": "b", "state": "Online"}) == {
        "id": "b",
        "state": "Online",
        "pulse": {},
        "profile": {"name": "b"},
    }


def test_what_needs_attention_comes_first_then_names():
    rows = [
        {"id": "c", "state": "Online"},
        {"id": "B", "state": "Online"},
        {"id": "a", "state": "Offline"},
        {"id": "d", "state": "FromTheFuture"},
    ]
    assert [name_of(row) for row in ordered(rows)] == ["a", "d", "B", "c"]


@pytest.mark.parametrize("sort", SORTS)
def test_what_is_not_known_comes_last_either_way_round(sort: str):
    rows = [object_row({"metadata": {"name": "x"}}, NOW), object_row(an_object(), NOW)]
    rows.append({"id": "big", "state": "Online", "since": "2026-11-23T08:00:00Z", "profile": {
        "gpus": [{"model": "m", "count": 8}], "vramBytes": 9, "memoryBytes": 9, "agent": "z",
        "models": ["a"]}})  # fmt: skip
    for one in (sort, f"-{sort}"):
        assert len(ordered(rows, one)) == 3
    if sort in {"gpus", "vram", "memory", "agent", "models", "since"}:
        assert ordered(rows, f"-{sort}")[-1]["id"] == "x"
        assert ordered(rows, sort)[-1]["id"] == "x"


def test_orders_and_attention_are_the_apis():
    assert set(SORTS) == set(_ORDERS)
    assert sorted(ATTENTION) == sorted(NodeState)
