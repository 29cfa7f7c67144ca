"""A cluster in memory, and heartbeats for it."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.domain.liveness import Liveness, Policy
from citadel_k8s.errors import KubeError
from citadel_k8s.models.codec import encode, format_timestamp
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.stores.entries import Entry, EntryId
from tests.unit.domain.samples import message

FAST = Policy(interval=10, missed=3, skew=5)
METRICS = OperatorMetrics


class World:
    """A registry with its clock, and the nodes that speak to it."""

    def __init__(self, org_id: str | None = None, **policies: Any) -> None:
        self.clock = ManualClock()
        self.transitions: list[tuple[str, str, str]] = []
        self.reasons: list[tuple[str, str]] = []
        self.registry = Registry(self.clock, FAST, org_id, self._note, **policies)
        self._seq = itertools.count(1)

    def entry(self, node_id: str = "gpu-1", *, org: str | None = None, **kwargs: Any) -> Entry:
        """Give an entry as the stream would have it now."""
        now = self.clock.now()
        envelope = {
            "bootId": kwargs.pop("boot", f"boot-{node_id}"),
            "seq": kwargs.pop("seq", next(self._seq)),
            "intervalSeconds": 10.0,
            "timestamp": format_timestamp(now),
            **kwargs.pop("envelope", {}),
        }
        payload = encode(message(node_id, envelope=envelope, **kwargs))
        return Entry(EntryId(int(now * 1000), next(self._seq)), node_id, payload, org_id=org)

    def beat(self, node_id: str = "gpu-1", *, age: float = 0.0, **kwargs: Any) -> None:
        """Let a node be heard."""
        self.registry.hear(self.entry(node_id, **kwargs), age)

    def restore(self, node_id: str = "gpu-1", state: str = "Online") -> None:
        """Let a node be known from its object alone."""
        metadata = {"name": node_id, "uid": f"uid-of-{node_id}", "resourceVersion": "1"}
        spec, status = {"nodeId": node_id}, {"state": state}
        self.registry.observe({"metadata": metadata, "spec": spec, "status": status})

    def silence(self) -> None:
        """Judge silences with the stream proved open until now."""
        now = self.clock.monotonic()
        self.registry.fall_silent(now, now)

    def observe(self, node_id: str = "gpu-1", *, version: int = 10, **spec: Any) -> None:
        """Let the watch tell of a node's object as people made it."""
        uid = f"uid-of-{node_id}"
        metadata = {"name": node_id, "uid": uid, "resourceVersion": str(version)}
        status = spec.pop("status", {})
        raw = {"metadata": metadata, "spec": {"nodeId": node_id, **spec}, "status": status}
        self.registry.observe(raw)

    def kube_node(self, name: str = "gpu-1", ready: str | None = "True", **spec: Any) -> None:
        """Let the watch tell of a Node of the cluster."""
        conditions = [] if ready is None else [{"type": "Ready", "status": ready}]
        metadata = {"name": name, "uid": f"node-{name}"}
        status = {"conditions": conditions}
        self.registry.observe_kube_node({"metadata": metadata, "spec": spec, "status": status})

    def live(self, node_id: str = "gpu-1") -> Liveness:
        """Give what is known of a node's life."""
        return self.registry.nodes[node_id].live

    def wait(self, seconds: float) -> None:
        """Let time pass, judging at the end of it."""
        self.clock.advance(seconds)
        self.silence()

    def state(self, node_id: str = "gpu-1") -> str:
        """Give a node's state."""
        return self.registry.nodes[node_id].live.state.value

    def _note(self, record: NodeRecord, before: Liveness) -> None:
        self.transitions.append((record.node_id, before.state.value, record.live.state.value))
        self.reasons.append((before.reason, record.live.reason))


class FakeKube:
    """FabricNodes and Nodes in memory, with a log of requests and faults on demand."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.nodes: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.chunk = 2
        self.fault: KubeError | None = None
        self._numbers = itertools.count(1)

    def _ask(self, what: str, name: str) -> None:
        self.requests.append((what, name))
        if self.fault is not None:
            raise self.fault

    def _touch(self, name: str) -> dict[str, Any]:
        self.objects[name]["metadata"]["resourceVersion"] = str(next(self._numbers))
        return self.objects[name]

    async def create_fabric_node(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["metadata"]["name"]
        self._ask("create", name)
        if name in self.objects:
            raise KubeError(409, "it is there already")
        metadata = {**body["metadata"], "uid": f"uid-{next(self._numbers)}", "generation": 1}
        self.objects[name] = {**body, "metadata": metadata, "status": {}}
        return self._touch(name)

    async def patch_fabric_node(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        self._ask("patch", name)
        found = self._found(name)
        found["metadata"].update(patch["metadata"])
        found["spec"].update(patch.get("spec", {}))
        return self._touch(name)

    async def patch_fabric_node_status(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        self._ask("status", name)
        status = self._found(name).setdefault("status", {})
        status.update(patch["status"])
        return self._touch(name)

    async def delete_fabric_node(self, name: str, *, uid: str | None = None) -> bool:
        self._ask("delete", name)
        found = self.objects.get(name)
        if found is None or (uid and found["metadata"]["uid"] != uid):
            return False
        del self.objects[name]
        return True

    async def list_fabric_nodes(self) -> list[dict[str, Any]]:
        self._ask("list", "fabricnodes")
        return list(self.objects.values())

    async def list_nodes(self, *, label_selector: str | None = None) -> list[dict[str, Any]]:
        self._ask("list", "nodes")
        wanted = label_selector.partition("=")[0] if label_selector else None
        return [
            n for n in self.nodes.values() if wanted is None or wanted in n["metadata"]["labels"]
        ]

    async def fabric_node_chunks(self) -> AsyncIterator[list[dict[str, Any]]]:
        listed = await self.list_fabric_nodes()
        for first in range(0, max(1, len(listed)), self.chunk):
            yield listed[first : first + self.chunk]

    async def node_chunks(
        self, *, label_selector: str | None = None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        yield await self.list_nodes(label_selector=label_selector)

    def add_node(self, name: str, uid: str, **labels: str) -> dict[str, Any]:
        """Add a Node of the cluster."""
        self.nodes[name] = {"metadata": {"name": name, "uid": uid, "labels": labels}}
        return self.nodes[name]

    def _found(self, name: str) -> dict[str, Any]:
        if name not in self.objects:
            raise KubeError(404, "it is not there")
        return self.objects[name]
