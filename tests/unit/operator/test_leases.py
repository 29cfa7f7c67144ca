"""Whether kubelets renew their Leases, by this operator's clock alone."""

from collections.abc import Mapping
from typing import Any

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.errors import KubeError
from citadel_k8s.operator.leases import LEASE_SECONDS, SINGLE_MAX, NodeLeases

PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Server:
    """Leases by Node, and what was asked."""

    def __init__(self) -> None:
        self.renewed: dict[str, str] = {}
        self.singles = self.lists = 0
        self.fault: KubeError | None = None

    async def get_lease(
        self, namespace: str, name: str, *, timeout: float | None = None
    ) -> dict[str, Any] | None:
        assert namespace == "kube-node-lease"
        assert timeout is not None
        self.singles += 1
        if self.fault:
            raise self.fault
        return self._lease(name) if name in self.renewed else None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        assert (method, path, query) == ("GET", PATH, {"resourceVersion": "0"})
        self.lists += 1
        if self.fault:
            raise self.fault
        return {"items": [self._lease(name) for name in self.renewed]}

    def _lease(self, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"renewTime": self.renewed[name]}}


def made(*names: str) -> tuple[NodeLeases, Server, ManualClock]:
    server, clock = Server(), ManualClock()
    server.renewed = dict.fromkeys(names, "2026-01-01T00:00:00.000000Z")
    return NodeLeases(server, clock), server, clock


async def test_a_lease_that_did_not_move_for_its_duration_says_that_its_kubelet_is_silent():
    leases, server, clock = made("a", "b")
    for second in range(0, 60, 10):
        server.renewed["b"] = f"2026-01-01T00:00:{second:02}.000000Z"
        await leases.look({"a", "b"})
        assert leases.stopped("a") is (True if second >= LEASE_SECONDS else None)
        assert leases.stopped("b") is None
        clock.advance(10)


async def test_time_without_a_look_and_a_date_of_long_ago_prove_nothing():
    leases, server, clock = made("a")
    server.renewed["a"] = "1999-01-01T00:00:00.000000Z"
    await leases.look({"a"})
    clock.advance(3600)
    clock.jump(-86_400)
    assert leases.stopped("a") is None
    assert leases.stopped("never seen") is None


async def test_few_are_asked_for_one_by_one_and_many_at_once():
    names = [f"n{number}" for number in range(SINGLE_MAX + 1)]
    leases, server, _ = made(*names)
    await leases.look(names[:-1])
    assert (server.singles, server.lists) == (SINGLE_MAX, 0)
    await leases.look(names)
    assert (server.singles, server.lists) == (SINGLE_MAX, 1)


async def test_nobody_under_suspicion_costs_nothing_and_is_forgotten():
    leases, server, clock = made("a")
    await leases.look({"a"})
    clock.advance(20)
    await leases.look(set())
    clock.advance(30)
    await leases.look({"a"})
    assert leases.stopped("a") is None
    assert server.singles == 2


async def test_a_server_that_refuses_changes_nothing():
    leases, server, clock = made("a")
    for _ in range(5):
        await leases.look({"a"})
        clock.advance(10)
    assert leases.stopped("a") is True
    server.fault = KubeError(403, "no right")
    await leases.look({"a"})
    assert leases.stopped("a") is True


async def test_a_lease_without_a_date_or_a_node_without_a_lease_is_no_trouble():
    leases, server, _ = made("a")
    server._lease = lambda name: {"metadata": {"name": name}}  # type: ignore[method-assign]
    await leases.look({"a", "gone"})
    assert leases.stopped("gone") is None
