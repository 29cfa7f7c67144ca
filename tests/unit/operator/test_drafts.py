"""A look and the write after it share one draft, as long as nothing changed."""

import pytest

from citadel_k8s.operator.drafts import DRAFT_SECONDS, DRAFTS, Drafts
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.projector import Projector
from tests.unit.operator.fakes import FakeKube, World


class Setting:
    def __init__(self) -> None:
        self.world = World()
        kube = FakeKube()
        self.projector = Projector(
            kube, self.world.registry, self.world.clock, OperatorMetrics(), lambda: 0.0
        )
        self.made = 0
        self.drafts = Drafts(self._make, self.world.clock)

    def _make(self, record):
        self.made += 1
        return self.projector.desired(record)

    def draft(self, node_id: str = "gpu-1"):
        record = self.world.registry.nodes[node_id]
        return self.drafts.of(record, record.observed)


@pytest.fixture
def setting() -> Setting:
    setting = Setting()
    setting.world.restore("gpu-1")
    return setting


def test_nothing_is_made_twice_while_nothing_changed(setting):
    assert setting.draft() is setting.draft()
    assert setting.made == 1


def test_a_heartbeat_a_configuration_and_time_make_it_anew(setting):
    setting.draft()
    setting.world.beat("gpu-1")
    setting.draft()
    assert setting.made == 2
    setting.world.registry.nodes["gpu-1"].config_wanted = "revision-7"
    setting.draft()
    assert setting.made == 3
    setting.world.clock.advance(DRAFT_SECONDS + 0.1)
    setting.draft()
    assert setting.made == 4


def test_only_a_few_are_kept(setting):
    names = [f"gpu-{number}" for number in range(DRAFTS + 5)]
    for name in names[1:]:
        setting.world.restore(name)
    setting.world.restore("gpu-0")
    for name in names:
        setting.draft(name)
    assert len(setting.drafts._kept) == DRAFTS
