from dataclasses import replace
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from citadel_k8s.config.operator import Cordon as Settings
from citadel_k8s.domain.breaker import CLOSING
from citadel_k8s.domain.cordoning import BY, DECLINED, LABEL
from citadel_k8s.errors import ConfigError, KubeError
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.cordon import CLEAN, REFUSED_MAX, SETTLE, TICK, Cordon
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.records import NodeRecord
from tests.unit.domain.samples import gpu
from tests.unit.domain.test_cordoning import merged
from tests.unit.operator.fakes import World


class Nodes:
    """Nodes in memory; versions count up."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.patches = 0
        self.fault: KubeError | None = None
        self.race = False

    def add(self, name: str) -> dict[str, Any]:
        metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
        self.nodes[name] = {"metadata": metadata, "spec": {}}
        return self.nodes[name]

    async def list_nodes(self, *, label_selector: str | None = None) -> list[dict[str, Any]]:
        if self.fault:
            raise self.fault
        return [
            n for n in self.nodes.values() if label_selector in (n["metadata"].get("labels") or {})
        ]

    async def get_node(self, name: str) -> dict[str, Any] | None:
        return self.nodes.get(name)

    async def patch_node(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        node = self.nodes[name]
        if self.race or patch["metadata"]["resourceVersion"] != node["metadata"]["resourceVersion"]:
            self.race = False
            raise KubeError(409, "newer")
        self.patches += 1
        return self.edit(name, patch)

    def edit(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        version = int(self.nodes[name]["metadata"]["resourceVersion"]) + 1
        node = merged(self.nodes[name], patch)
        node["metadata"]["resourceVersion"] = str(version)
        self.nodes[name] = node
        return node

    def cordoned(self) -> set[str]:
        return {name for name, n in self.nodes.items() if n["spec"].get("unschedulable")}


class Scene:
    def __init__(self, count: int = 30, mode: str = "on", **settings: Any) -> None:
        self.world = World()
        self.clock = self.world.clock
        self.api = Nodes()
        self.told: list[tuple[str, str | None]] = []
        self.leading = True
        self.exposed = CollectorRegistry()
        self.settings = Settings.model_validate({"mode": mode, **settings})
        for number in range(count):
            self.world.registry.observe_kube_node(self.api.add(f"n{number}"))
        self.world.beat("n0")
        known = self.world.registry.nodes
        for number in range(1, count):
            known[f"n{number}"] = replace(known["n0"], node_id=f"n{number}", name=f"n{number}")
        self.restart()

    def restart(self) -> None:
        """Let another operator take over."""
        self.exposed = CollectorRegistry()
        self.cordon = Cordon(
            self.settings,
            self.api,
            self.world.registry,
            self.clock,
            NewsMetrics(self.exposed),
            self,
            lambda: self.leading,
        )

    def tell(
        self, reason: str, _: str, *, kind: str = "", record: NodeRecord | None = None
    ) -> None:
        self.told.append((reason, record.node_id if record else None))

    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.told]

    def set_faults(self, *names: str, reason: str = "GpuLost") -> None:
        """Let these nodes have a broken GPU, and all others be well."""
        world, known = World(), self.world.registry.nodes
        for broken in (True, False):
            gpus = [gpu(i) for i in range(8)]
            if broken:
                gpus[3] = gpu(3, health="failed", reason=reason)
            world.beat("x", gpu=gpus, boot=f"{broken}")
            record = world.registry.nodes["x"]
            for name in known:
                if (name in names) == broken:
                    known[name].facts, known[name].live = record.facts, record.live
            world = World()

    async def pass_time(self, seconds: float) -> None:
        for _ in range(max(1, round(seconds / TICK))):
            self.clock.advance(TICK)
            await self.cordon.once()
            self.watch()

    def watch(self) -> None:
        for node in self.api.nodes.values():
            self.world.registry.observe_kube_node(node)

    def value(self, name: str, **labels: str) -> float | None:
        return self.exposed.get_sample_value(f"citadel_operator_{name}", labels)


@pytest.mark.parametrize("mode", ["off", "dry-run"])
async def test_nothing_is_cordoned_unless_it_is_asked_for(mode: str) -> None:
    scene = Scene(mode=mode)
    scene.set_faults("n1")
    await scene.pass_time(1000)
    assert scene.api.patches == 0
    assert scene.told == ([("WouldCordon", "n1")] if mode == "dry-run" else [])


async def test_a_node_with_a_lasting_fault_is_cordoned_and_freed_when_it_is_well() -> None:
    scene = Scene(taint="example.org/broken")
    scene.set_faults("n1")
    await scene.pass_time(SETTLE - TICK)
    assert scene.api.cordoned() == set()
    await scene.pass_time(2 * TICK)
    assert scene.api.cordoned() == {"n1"}
    node = scene.api.nodes["n1"]
    assert node["metadata"]["annotations"][BY] == "citadel-operator"
    assert node["spec"]["taints"] == [{"key": "example.org/broken", "effect": "NoSchedule"}]
    assert scene.value("cordoned_nodes") == 1
    scene.set_faults()
    await scene.pass_time(CLEAN - TICK)
    assert scene.api.cordoned() == {"n1"}
    await scene.pass_time(3 * TICK)
    assert scene.api.cordoned() == set()
    assert scene.api.nodes["n1"]["metadata"]["annotations"] == {}
    assert scene.told == [("Cordoned", "n1"), ("Uncordoned", "n1")]


@pytest.mark.parametrize("reason", ["Unresponsive", "ResetRequired", "Xid119", "Odd"])
async def test_what_is_no_broken_hardware_for_certain_is_left_alone(reason: str) -> None:
    scene = Scene()
    scene.set_faults("n1", reason=reason)
    await scene.pass_time(200)
    assert scene.api.patches == 0


async def test_a_fault_that_passes_is_left_alone() -> None:
    scene = Scene()
    scene.set_faults("n1")
    await scene.pass_time(20)
    scene.set_faults()
    await scene.pass_time(100)
    assert scene.api.patches == 0


async def test_nobody_under_maintenance_is_cordoned() -> None:
    scene = Scene()
    scene.set_faults("n1")
    record = scene.world.registry.nodes["n1"]
    record.live = replace(record.live, maintenance=True)
    await scene.pass_time(200)
    assert scene.api.patches == 0


async def test_too_many_at_once_open_the_breaker_and_none_is_cordoned() -> None:
    scene = Scene()
    scene.set_faults("n1", "n2", "n3", "n4")
    await scene.pass_time(300)
    assert scene.api.patches == 0
    assert scene.told == [("CordonBreakerOpen", None)]
    assert scene.value("cordon_breaker_open") == 1
    assert [alert.name for alert in scene.cordon.alerts()] == ["CordonBreakerOpen"]
    scene.set_faults("n1")
    await scene.pass_time(CLOSING - TICK)
    assert scene.api.patches == 0
    await scene.pass_time(4 * TICK)
    assert scene.api.cordoned() == {"n1"}
    assert scene.value("cordon_breaker_open") == 0
    assert list(scene.cordon.alerts()) == []


async def test_those_cordoned_already_count_for_the_breaker_after_a_restart_too() -> None:
    scene = Scene()
    scene.set_faults("n1", "n2")
    await scene.pass_time(60)
    scene.restart()
    scene.set_faults("n1", "n2", "n3", "n4")
    await scene.pass_time(60)
    assert scene.api.cordoned() == {"n1", "n2"}
    assert "CordonBreakerOpen" in scene.reasons()


async def test_a_small_cluster_may_have_none_cordoned() -> None:
    scene = Scene(count=9)
    scene.set_faults("n1")
    await scene.pass_time(60)
    assert scene.api.patches == 0
    assert scene.reasons() == ["CordonBreakerOpen"]


async def test_a_person_who_uncordons_wins() -> None:
    scene = Scene()
    scene.set_faults("n1")
    await scene.pass_time(60)
    scene.api.edit("n1", {"spec": {"unschedulable": None}})
    scene.watch()
    await scene.pass_time(600)
    assert scene.api.cordoned() == set()
    assert scene.reasons() == ["Cordoned", "CordonDeclined"]
    scene.restart()
    await scene.pass_time(600)
    assert scene.api.cordoned() == set()
    assert scene.api.nodes["n1"]["metadata"]["annotations"] == {DECLINED: "GPU 3 GpuLost"}


async def test_another_fault_than_the_one_declined_is_cordoned() -> None:
    scene = Scene()
    scene.set_faults("n1")
    await scene.pass_time(60)
    scene.api.edit("n1", {"spec": {"unschedulable": None}})
    scene.watch()
    await scene.pass_time(60)
    scene.set_faults("n1", reason="Xid79")
    await scene.pass_time(60)
    assert scene.api.cordoned() == {"n1"}


async def test_what_was_declined_may_be_cordoned_again_once_the_node_was_well() -> None:
    scene = Scene()
    scene.set_faults("n1")
    await scene.pass_time(60)
    scene.api.edit("n1", {"spec": {"unschedulable": None}})
    scene.watch()
    await scene.pass_time(60)
    scene.restart()
    scene.set_faults()
    await scene.pass_time(CLEAN + 70)
    assert LABEL not in scene.api.nodes["n1"]["metadata"]["labels"]
    scene.set_faults("n1")
    await scene.pass_time(60)
    assert scene.api.cordoned() == {"n1"}


async def test_somebody_elses_cordon_is_neither_marked_nor_ended() -> None:
    scene = Scene()
    scene.api.edit("n1", {"spec": {"unschedulable": True}})
    scene.watch()
    scene.set_faults("n1")
    await scene.pass_time(100)
    scene.set_faults()
    await scene.pass_time(CLEAN + 100)
    assert scene.api.cordoned() == {"n1"}
    assert scene.api.patches == 0


async def test_a_node_with_fewer_gpus_than_before_is_not_well() -> None:
    scene = Scene()
    scene.set_faults("n1")
    await scene.pass_time(60)
    scene.set_faults()
    record = scene.world.registry.nodes["n1"]
    assert record.facts is not None
    record.facts = replace(record.facts, gpus=(record.facts.gpus or ())[:7])
    await scene.pass_time(CLEAN + 100)
    assert scene.api.cordoned() == {"n1"}


async def test_a_silent_node_stays_as_it_is() -> None:
    scene = Scene()
    scene.set_faults("n1")
    await scene.pass_time(60)
    record = scene.world.registry.nodes["n1"]
    record.live = replace(record.live, state=NodeState.OFFLINE)
    await scene.pass_time(CLEAN + 100)
    assert scene.api.cordoned() == {"n1"}


async def test_a_person_who_is_faster_is_not_overwritten() -> None:
    scene = Scene()
    scene.set_faults("n1")
    await scene.pass_time(SETTLE - TICK)
    scene.api.race = True
    await scene.pass_time(2 * TICK)
    await scene.pass_time(2 * TICK)
    assert scene.api.cordoned() == {"n1"}  # looked at anew, and then done
    assert scene.reasons() == ["Cordoned"]


async def test_a_server_in_trouble_means_that_nothing_is_done() -> None:
    scene = Scene()
    scene.api.fault = KubeError(503, "away")
    scene.set_faults("n1")
    await scene.pass_time(100)
    assert scene.api.patches == 0
    assert (scene.value("cordons_total", action="failed") or 0) > 0
    scene.api.fault = None
    await scene.pass_time(10)
    assert scene.api.cordoned() == {"n1"}


async def test_a_node_that_a_webhook_guards_keeps_no_other_from_being_cordoned() -> None:
    scene = Scene()
    patch = scene.api.patch_node

    async def guarded(name: str, change: dict[str, Any]) -> dict[str, Any]:
        if name == "n1":
            raise KubeError(403, "a webhook guards it")
        return await patch(name, change)

    scene.api.patch_node = guarded
    scene.set_faults("n1", "n2")
    with structlog.testing.capture_logs() as lines:
        scene.restart()
        await scene.pass_time(100)
    assert scene.api.cordoned() == {"n2"}
    assert [line["event"] for line in lines if "cordon" in line["event"]] == [
        "cordon_failing",
        "cordoned",
    ]


async def test_without_the_right_to_change_nodes_few_are_asked_for() -> None:
    scene = Scene(400)
    asked: list[str] = []

    async def refuse(name: str, _: dict[str, Any]) -> dict[str, Any]:
        asked.append(name)
        raise KubeError(403, "no rights")

    scene.api.patch_node = refuse
    scene.set_faults(*(f"n{number}" for number in range(1, 31)))
    await scene.pass_time(SETTLE + TICK)
    assert len(asked) == REFUSED_MAX + 1


async def test_who_does_not_lead_does_nothing() -> None:
    scene = Scene()
    scene.leading = False
    scene.set_faults("n1")
    await scene.pass_time(200)
    assert scene.api.patches == 0


def test_a_taint_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError):
        Scene(taint="a:Never")
