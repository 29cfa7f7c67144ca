import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

import pytest

from citadel_k8s.clients import objectwatch
from citadel_k8s.clients.fleet import Asked, Change, FleetError, NotFoundError
from citadel_k8s.clients.fleetobjects import ObjectFleet
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.errors import KubeError

EVENTS = "/api/v1/namespaces/default/events"
NODES = "/apis/fabric.aceteam.ai/v1alpha1/fabricnodes"


class Clock:
    def now(self) -> float:
        return 1_795_420_800.0

    def monotonic(self) -> float:
        return 0.0


class FakeKube:
    """What an API server says, call by call."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.rounds: list[list[Any]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def list_fabric_nodes(self) -> list[dict[str, Any]]:
        return self._given(NODES, self.objects)

    async def get_fabric_node(self, name: str) -> dict[str, Any] | None:
        found = [o for o in self.objects if o["metadata"]["name"] == name]
        return self._given(NODES, found[0] if found else None)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        self.asked.append((path, dict(query or {})))
        items = {"metadata": {"resourceVersion": "7"}, "items": self.objects}
        return self._given(path, items)

    async def watch(
        self, path: str, query: Mapping[str, str], *, silence: float
    ) -> AsyncGenerator[dict[str, Any]]:
        self.asked.append((path, dict(query)))
        for line in self.rounds.pop(0) if self.rounds else [0.5]:
            if isinstance(line, Exception):
                raise line
            if isinstance(line, float):
                await asyncio.sleep(line)
            else:
                yield line

    async def close(self) -> None:
        pass

    def _given(self, path: str, otherwise: Any) -> Any:
        answer = self.answers.get(path, otherwise)
        if isinstance(answer, Exception):
            raise answer
        return answer


def an_object(name: str, state: str = "Online", version: str = "8", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "resourceVersion": version},
        "spec": {"nodeId": name, **spec},
        "status": {"state": state, "summary": {"gpus": "8/8"}},
    }


def an_event(name: str, time: str, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"uid": f"{name}-{time}", "resourceVersion": "9"},
        "involvedObject": {"kind": "FabricNode", "name": name},
        "lastTimestamp": time,
        "type": "Warning",
        "reason": "GpuLost",
        "message": "GPU 3",
        **more,
    }


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
def fleet(kube: FakeKube, monkeypatch: pytest.MonkeyPatch) -> ObjectFleet:
    monkeypatch.setattr(objectwatch, "RETRY_FIRST", 0.01)
    return ObjectFleet(cast("KubeClient", kube), Clock(), "https://kube.example.org")


async def changes(fleet: ObjectFleet, count: int, what: Any = "nodes") -> list[Change]:
    found: list[Change] = []
    async with aclosing(fleet.watch(what)) as watch:
        async for change in watch:
            found.append(change)
            if len(found) == count:
                break
    return found


async def test_rows_are_filtered_and_in_order(kube: FakeKube, fleet: ObjectFleet):
    kube.objects = [an_object("a"), an_object("b", "Offline")]
    assert [row["id"] for row in await fleet.nodes()] == ["b", "a"]
    assert [row["id"] for row in await fleet.nodes(Asked(state="Online"))] == ["a"]


async def test_a_node_is_found_by_its_objects_name_or_its_id(kube: FakeKube, fleet: ObjectFleet):
    kube.objects = [an_object("gpu-1-0a1b2c", nodeId="GPU_1")]
    assert (await fleet.node("gpu-1-0a1b2c"))["node"]["id"] == "GPU_1"
    assert (await fleet.node("GPU_1"))["object"] == kube.objects[0]
    with pytest.raises(NotFoundError, match='"nope" not found'):
        await fleet.node("nope")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (404, "knows no FabricNodes: install the definitions"),
        (403, "who may must let you"),
        (401, "log in to the cluster again"),
        (0, "is this the right --context"),
    ],
)
async def test_an_error_says_what_to_do(kube: FakeKube, fleet: ObjectFleet, status: int, told: str):
    kube.answers[NODES] = KubeError(status, "GET /apis: \x1b[2J no")
    with pytest.raises(FleetError, match=told) as caught:
        await fleet.nodes()
    assert caught.value.status == status
    assert str(caught.value).isprintable()


async def test_models_are_those_of_nodes_that_serve(kube: FakeKube, fleet: ObjectFleet):
    service = {"name": "vllm", "type": "llm", "health": "ok", "models": ["Llama", "Llama"]}
    for name, state in (("a", "Online"), ("b", "Degraded"), ("c", "Offline")):
        one = an_object(name, state)
        one["status"]["services"] = [service, {**service, "name": "x", "health": "unknown"}]
        kube.objects.append(one)
    assert await fleet.models("LLAMA") == [
        {"model": "Llama", "nodes": ["a", "b"], "replicas": 4, "engines": ["llm"], "healthy": 2}
    ]
    assert await fleet.models("qwen") == []


async def test_events_are_told_as_the_api_does_and_by_time(kube: FakeKube, fleet: ObjectFleet):
    kube.objects = [an_object("a")]
    early, late = "2026-11-23T07:00:00Z", "2026-11-23T08:00:00Z"
    items = [an_event("a", late, count=3), an_event("a", early), an_event("a", "no time")]
    kube.answers[EVENTS] = {"items": items}
    found = await fleet.events(node="a", since=1_000_000.0)
    assert [event["time"] for event in found] == [early, late]
    assert found[1] == {
        "id": f"a-{late}", "time": late, "node": "a", "type": "Warning", "reason": "GpuLost",
        "message": "GPU 3", "count": 3,
    }  # fmt: skip
    assert kube.asked[-1][1]["fieldSelector"] == (
        "involvedObject.kind=FabricNode,involvedObject.name=a"
    )


async def test_a_watch_lists_and_goes_on_from_there(kube: FakeKube, fleet: ObjectFleet):
    kube.objects = [an_object("a")]
    kube.rounds = [
        [
            {"type": "MODIFIED", "object": an_object("a", "Stale")},
            {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "11"}}},
            {"type": "MODIFIED"},
        ],
        [{"type": "DELETED", "object": an_object("a", version="12")}],
    ]
    found = await changes(fleet, 3)
    assert [change.kind for change in found] == ["all", "node", "gone"]
    watched = [query["resourceVersion"] for _, query in kube.asked if "timeoutSeconds" in query]
    assert watched == ["7", "11"]


@pytest.mark.parametrize(
    "line",
    [
        KubeError(410, "too old"),
        {"type": "ERROR", "object": {"code": 410, "message": "too old"}},
    ],
)
async def test_a_history_that_is_too_short_is_listed_anew_without_a_word(
    kube: FakeKube, fleet: ObjectFleet, line: Any
):
    kube.rounds = [[line]]
    assert [change.kind for change in await changes(fleet, 2)] == ["all", "all"]


async def test_a_cut_is_told_and_everything_listed_anew(kube: FakeKube, fleet: ObjectFleet):
    kube.rounds = [[KubeError(0, "GET x: broke")]]
    found = await changes(fleet, 4)
    assert [change.kind for change in found] == ["all", "cut", "back", "all"]
    assert "broke" in found[1].message


async def test_a_watch_that_is_refused_is_given_up(kube: FakeKube, fleet: ObjectFleet):
    kube.answers[NODES] = KubeError(403, "GET x: 403")
    with pytest.raises(FleetError, match="must let you"):
        await changes(fleet, 1)


async def test_a_token_that_is_over_is_followed_by_another(kube: FakeKube, fleet: ObjectFleet):
    kube.objects = [an_object("a")]
    kube.rounds = [[KubeError(401, "expired")], [0.5]]
    assert [change.kind for change in await changes(fleet, 2)] == ["all", "all"]


async def test_a_token_that_is_refused_again_and_again_ends_a_watch(
    kube: FakeKube, fleet: ObjectFleet
):
    kube.rounds = [[KubeError(401, "expired")]]
    found: list[str] = []

    async def follow() -> None:
        async with aclosing(fleet.watch()) as watch:
            async for change in watch:
                found.append(change.kind)
                kube.answers[NODES] = KubeError(401, "expired")

    with pytest.raises(FleetError):
        await follow()
    assert found == ["all"]


async def test_a_watch_of_events_tells_new_ones(kube: FakeKube, fleet: ObjectFleet):
    told = an_event("a", "2026-11-23T08:00:00Z")
    kube.rounds = [[{"type": "DELETED", "object": told}, {"type": "ADDED", "object": told}]]
    first, second = await changes(fleet, 2, "events")
    assert first.kind == "all"
    assert second.event is not None
    assert second.event["reason"] == "GpuLost"


POD = {
    "metadata": {"namespace": "citadel", "name": "agent-x"},
    "spec": {"containers": [{"name": "agent", "ports": [{"name": "http", "containerPort": 9}]}]},
    "status": {"phase": "Running", "podIP": "10.0.0.7"},
}
PROXY = "/api/v1/namespaces/citadel/pods/agent-x:9/proxy/status"


async def asked_live(kube: FakeKube, fleet: ObjectFleet, answer: Any) -> dict[str, Any]:
    kube.objects = [an_object("a", nodeName="node-a")]
    kube.answers |= {"/api/v1/pods": {"items": [POD]}, PROXY: answer}
    return await fleet.live("a")


async def test_a_node_is_asked_through_its_agents_pod(kube: FakeKube, fleet: ObjectFleet):
    status = {"nodeId": "a", "status": {"node": {"name": "a"}}}
    answer = await asked_live(kube, fleet, status)
    assert (answer["live"], answer["status"]) == (True, status)
    assert answer["address"] == "the pod citadel/agent-x at 10.0.0.7"
    assert kube.asked[0][1]["fieldSelector"] == "spec.nodeName=node-a"


@pytest.mark.parametrize(
    ("answer", "step"),
    [
        (KubeError(0, "no answer within 5 s"), "timeout"),
        (KubeError(503, "dial tcp: connection refused"), "connect"),
        (KubeError(401, "a bearer token or a client certificate is needed"), "auth"),
        (KubeError(404, "not found"), "body"),
        ({"nodeId": "other"}, "identity"),
    ],
)
async def test_the_step_at_which_a_question_ends_is_named(
    kube: FakeKube, fleet: ObjectFleet, answer: Any, step: str
):
    told = await asked_live(kube, fleet, answer)
    assert (told["live"], told["step"]) == (False, step)


async def test_an_agent_that_hangs_up_in_clear_is_asked_by_tls(kube: FakeKube, fleet: ObjectFleet):
    by_tls = PROXY.replace("pods/agent-x", "pods/https:agent-x")
    kube.answers[by_tls] = {"nodeId": "a"}
    hung_up = KubeError(503, "error trying to reach service: EOF")
    assert (await asked_live(kube, fleet, hung_up))["live"] is True
    kube.answers[by_tls] = KubeError(503, "tls: no certificate")
    told = await asked_live(kube, fleet, hung_up)
    assert (told["step"], "EOF" in told["message"]) == ("connect", True)
    kube.answers[by_tls] = KubeError(401, "a client certificate is needed")
    told = await asked_live(kube, fleet, hung_up)
    assert told["step"] == "auth"
    assert "CITADEL_API_URL" in told["message"]


async def test_without_a_pod_the_api_is_what_to_ask(kube: FakeKube, fleet: ObjectFleet):
    kube.objects = [an_object("a")]
    kube.answers["/api/v1/pods"] = {"items": [{**POD, "status": {"phase": "Pending"}}]}
    told = await fleet.live("a")
    assert told["step"] == "address"
    assert "CITADEL_API_URL" in told["message"]


async def test_who_may_not_ask_pods_is_told_of_the_api(kube: FakeKube, fleet: ObjectFleet):
    with pytest.raises(FleetError, match="CITADEL_API_URL"):
        await asked_live(kube, fleet, KubeError(403, "cannot get pods/proxy"))
