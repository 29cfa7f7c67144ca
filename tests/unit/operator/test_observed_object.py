"""An object as the API server has it, whatever people or other versions made of its status."""

from typing import Any

import pytest

from citadel_k8s.models.fabricnode import FabricNodeStatus, NodeState
from citadel_k8s.operator.records import ObservedObject

READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Heartbeat",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


def status_of(**status: Any) -> FabricNodeStatus:
    raw = {"metadata": {"name": "n"}, "spec": {"nodeId": "n"}, "status": status}
    return ObservedObject.parse(raw).status()


@pytest.mark.parametrize(
    "unreadable",
    [
        {"summary": {"gpus": "8/8"}},
        {"summary": "garbage", "gpus": {"not": "a list"}},
        {"hardware": {"gpuCount": "many"}, "agent": []},
        {"gpus": [{"index": 0, "health": "ok"}, {"uuid": "without an index"}]},
    ],
)
def test_what_cannot_be_read_takes_nothing_else_along(unreadable: dict[str, Any]) -> None:
    status = status_of(state="Online", conditions=[READY], configRevision="r", **unreadable)
    assert (status.state, status.config_revision) == (NodeState.ONLINE, "r")
    assert [c.last_transition_time for c in status.conditions] == ["2026-01-01T00:00:00Z"]
    assert (status.summary, status.gpus) == (None, None)


def test_a_status_of_garbage_alone_is_an_empty_one() -> None:
    assert status_of(state="Splendid", conditions="none", gpus=7) == FabricNodeStatus()
