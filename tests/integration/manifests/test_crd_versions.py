"""A definition that is older or newer than the operator, on an API server of its own.

Upgrades come in any order: what the definition lacks is dropped by the server, and the operator
must not write it for ever; what only the definition knows is somebody else's and stays.
"""

import asyncio
import copy
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.errors import KubeError
from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.stack import Stack
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.projector import Projector
from tests.unit.operator.fakes import World

Schema = dict[str, Any]

CRD = yaml.safe_load(
    (Path(__file__).parents[3] / "manifests" / "crds" / "fabricnodes.yaml").read_text()
)
AGENT = {"agent": {"version": "0.1.0"}}
PATH = "/apis/fabric.aceteam.ai/v1alpha1/fabricnodes"
TRIED = {
    "apiVersion": "fabric.aceteam.ai/v1alpha1",
    "kind": "FabricNode",
    "metadata": {"name": "tried"},
    "spec": {"nodeId": "tried", "zone": "z"},
}
_numbers = itertools.count(1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(binaries: Binaries) -> AsyncIterator[KubeClient]:
    async with Stack(binaries=binaries) as running:
        client = await KubeClient.connect(running.kubeconfig)
        yield client
        await client.close()


@pytest.fixture
def name() -> str:
    return f"n-{next(_numbers)}"


async def define(api: KubeClient, change: Callable[[Schema], None]) -> None:
    """Apply the definition with a change, and wait until the server goes by it."""
    crd = copy.deepcopy(CRD)
    schema: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    mark = f"Definition {next(_numbers)}."
    schema["description"] = mark
    change(schema["properties"])
    await api.apply([crd])
    async with asyncio.timeout(30):
        while not await _goes_by(api, mark):  # noqa: ASYNC110 - the server does not tell
            await asyncio.sleep(0.1)


async def _goes_by(api: KubeClient, mark: str) -> bool:
    try:
        # The first write of a kind waits for its store; one that is only tried makes nothing.
        await api.request("POST", PATH, query={"dryRun": "All"}, body=TRIED)
        return mark in str(await api.request("GET", "/openapi/v3/apis/fabric.aceteam.ai/v1alpha1"))
    except KubeError:
        return False  # it is being put up


class Desk:
    """A registry and a projector by a manual clock, with a count of what was asked."""

    def __init__(self, api: KubeClient) -> None:
        self.world = World()
        self.asked: Counter[str] = Counter()
        self.api = api
        self.projector = Projector(
            self, self.world.registry, self.world.clock, OperatorMetrics(), jitter=lambda: 0.0
        )

    async def create_fabric_node(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked["create"] += 1
        return await self.api.create_fabric_node(body)

    async def patch_fabric_node(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        self.asked["patch"] += 1
        return await self.api.patch_fabric_node(name, patch)

    async def patch_fabric_node_status(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        self.asked[f"status {name}"] += 1
        return await self.api.patch_fabric_node_status(name, patch)

    async def pass_time(self, seconds: int, *names: str) -> None:
        """Let time pass with a heartbeat each 10 s, and write what is due."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.projector.run())
            for _ in range(seconds // 10):
                for name in names:
                    self.world.beat(name, envelope=AGENT, config={"revision": "r1"})
                for _ in range(2):
                    self.world.clock.advance(5)
                    await asyncio.sleep(0.12)  # a look of the projector, and an answer
            task.cancel()


def older(properties: Schema) -> None:
    """Know neither of what nodes are made of nor of configurations."""
    status = properties["status"]["properties"]
    for key in ("hardware", "configRevision", "moreServices", "observedGeneration"):
        del status[key]
    del status["summary"]["properties"]["requests"]
    status["summary"]["required"].remove("requests")
    del status["gpus"]["items"]["properties"]["uuid"]
    del status["conditions"]["items"]["properties"]["observedGeneration"]
    del properties["spec"]["properties"]["config"]


def without_conditions(properties: Schema) -> None:
    """Keep no condition, so that each of them would be a new one for ever."""
    older(properties)
    del properties["status"]["properties"]["conditions"]


@pytest.mark.parametrize("change", [older, without_conditions])
async def test_what_an_older_definition_drops_is_not_written_for_ever(
    api: KubeClient, name: str, change: Callable[[Schema], None]
) -> None:
    await define(api, change)
    desk = Desk(api)
    await desk.pass_time(60, name)
    found = await api.get_fabric_node(name)
    assert found is not None
    assert found["status"]["state"] == "Online"
    assert not {"hardware", "configRevision"} & set(found["status"])
    settled = desk.asked.copy()
    await desk.pass_time(280, name)
    assert desk.asked.total() <= settled.total() + 1, "a refresh and nothing more"


async def test_a_definition_that_grows_is_filled_at_the_next_write(
    api: KubeClient, name: str
) -> None:
    await define(api, older)
    desk = Desk(api)
    await desk.pass_time(30, name)
    await define(api, lambda properties: None)
    await desk.pass_time(330, name)
    found = await api.get_fabric_node(name)
    assert found is not None
    assert found["status"]["configRevision"] == "r1"
    assert found["status"]["summary"]["requests"] == "3/1"


async def test_a_state_that_an_older_definition_refuses_costs_a_few_tries_and_nobody_else(
    api: KubeClient, name: str
) -> None:
    def narrow(properties: Schema) -> None:
        properties["status"]["properties"]["state"]["enum"].remove("Draining")

    await define(api, narrow)
    desk = Desk(api)
    await desk.pass_time(60, name, f"{name}-b")
    desk.world.beat(name, envelope={**AGENT, "goodbye": {"reason": "shutdown"}})
    before = desk.asked[f"status {name}"]
    await desk.pass_time(40, f"{name}-b")
    assert 1 <= desk.asked[f"status {name}"] - before <= 6
    other = await api.get_fabric_node(f"{name}-b")
    assert other is not None
    assert other["status"]["state"] == "Online"


def newer(properties: Schema) -> None:
    """Know of more, in spec and status, at the top and further in; some of it is needed."""
    spec, status = properties["spec"], properties["status"]
    spec["properties"]["zone"] = {"type": "string"}
    spec["required"].append("zone")
    status["properties"]["future"] = {"type": "object", "properties": {"x": {"type": "integer"}}}
    status["properties"]["summary"]["properties"]["later"] = {"type": "string"}
    status["properties"]["agent"]["properties"]["channel"] = {"type": "string"}


async def test_what_only_a_newer_definition_knows_is_kept(api: KubeClient, name: str) -> None:
    await define(api, newer)
    made = await api.create_fabric_node(
        {
            "apiVersion": "fabric.aceteam.ai/v1alpha1",
            "kind": "FabricNode",
            "metadata": {"name": name, "labels": {"team": "a"}},
            "spec": {"nodeId": name, "zone": "z1"},
        }
    )
    blank = {"gpus": "a", "util": "b", "vram": "c", "models": "d", "requests": "e"}
    future = {
        "future": {"x": 1},
        "summary": {**blank, "later": "kept"},
        "agent": {"channel": "beta"},
        "conditions": [
            {"type": "Later", "status": "True", "reason": "R", "lastTransitionTime": MOMENT}
        ],
    }
    made = await api.patch_fabric_node_status(name, {"status": future})
    desk = Desk(api)
    desk.world.registry.observe(made)
    await desk.pass_time(60, name)
    found = await api.get_fabric_node(name)
    assert found is not None
    assert (found["spec"]["zone"], found["metadata"]["labels"]) == ("z1", {"team": "a"})
    status = found["status"]
    assert (status["state"], status["future"]) == ("Online", {"x": 1})
    assert status["summary"]["later"] == "kept"
    assert status["agent"]["channel"] == "beta"
    settled = desk.asked.total()
    await desk.pass_time(280, name)
    assert desk.asked.total() <= settled + 1


async def test_an_object_that_a_newer_definition_does_not_take_is_asked_for_ever_less_often(
    api: KubeClient, name: str
) -> None:
    await define(api, newer)
    desk = Desk(api)
    await desk.pass_time(120, name)
    assert 2 <= desk.asked["create"] <= 12
    assert await api.get_fabric_node(name) is None
    with pytest.raises(KubeError, match="zone"):
        await api.create_fabric_node(desk.projector.body(desk.world.registry.nodes[name]))
    await define(api, lambda properties: None)
    await desk.pass_time(60, name)
    assert await api.get_fabric_node(name) is not None


MOMENT = "2026-01-01T00:00:00Z"
