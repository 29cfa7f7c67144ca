"""What the API server refused, and for how long that is remembered."""

import structlog

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.errors import KubeError
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.projector import CLEAR_EVERY, Projector
from citadel_k8s.operator.refusals import Refusals
from tests.unit.operator.fakes import FakeKube, World


def test_an_outage_is_over_once_nobody_is_left_that_was_not_served() -> None:
    with structlog.testing.capture_logs() as lines:
        refusals = Refusals(ManualClock(), lambda: 0.0)
        refusals.failed("gpu-1", KubeError(503, "away"))
        refusals.failed("gpu-2", KubeError(409, "another's"))
        refusals.keep({"gpu-2"})
        assert refusals.trouble is None
        assert "gpu-1" not in refusals
        assert "gpu-2" in refusals
    assert [line["event"] for line in lines] == [
        "write_failing",
        "write_refused",
        "write_failing_recovered",
    ]


async def test_a_node_that_was_dropped_while_its_write_failed_is_no_trouble_for_ever() -> None:
    world, kube = World(), FakeKube()
    projector = Projector(kube, world.registry, world.clock, OperatorMetrics(), jitter=lambda: 0.0)
    world.beat()
    for node_id in projector.due():
        await projector._write(node_id)
    world.wait(100)  # Offline
    kube.fault = KubeError(500, "away")
    for node_id in projector.due():
        await projector._write(node_id)
    assert projector.trouble == "away"
    record = world.registry.nodes["gpu-1"]
    world.registry.forget_object(record.name)
    assert not world.registry.nodes
    world.clock.advance(CLEAR_EVERY)
    assert projector.due() == []
    assert projector.trouble is None
