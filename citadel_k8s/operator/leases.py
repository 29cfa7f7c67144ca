"""Whether kubelets renew their Leases: a witness that needs no way to the node.

Compared are what two looks at a Lease found, on this operator's clock: dates of other machines
prove nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast

from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import KubeError
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.leases")

NAMESPACE: Final = "kube-node-lease"
"""Where kubelets keep their Leases. Source: Kubernetes."""

LEASE_SECONDS: Final = 40.0
"""Seconds without a renewal after which a kubelet counts as silent. Source: its own lease's
duration; it renews every 10 s."""

SINGLE_MAX: Final = 16
"""Leases that are asked for one by one; a LIST of 5,000 is 3 MB."""

REQUEST_LIMIT: Final = 8.0
"""Seconds for a request: the next look is 10 s later."""


class LeaseApi(Protocol):
    """What is asked of the API server; `clients.kube.KubeClient` has it."""

    async def get_lease(
        self, namespace: str, name: str, *, timeout: float | None = None
    ) -> dict[str, Any] | None:
        """Give a Lease, or None if it does not exist."""
        ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Ask for anything else."""
        ...


@dataclass(frozen=True, slots=True)
class _Seen:
    renewed: str
    first: float
    last: float


class NodeLeases:
    """What was seen of the Leases of nodes under suspicion.

    Parameters
    ----------
    api : LeaseApi
        The API server.
    clock : Clock
        The operator's clock.
    """

    def __init__(self, api: LeaseApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._trouble = RepeatLog(_log, "leases_unreadable", clock=clock)

    def stopped(self, name: str) -> bool | None:
        """Say whether a Node's Lease has not moved for its whole duration; None if not known."""
        seen = self._seen.get(name)
        if seen is None:
            return None
        return True if seen.last - seen.first >= LEASE_SECONDS else None

    async def look(self, names: Collection[str]) -> None:
        """Look at the Leases of these Nodes, and forget all others; failures change nothing."""
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        try:
            found = await (self._each(names) if len(names) <= SINGLE_MAX else self._all(names))
        except KubeError as error:
            hint = "; apply manifests/rbac.yaml" if error.status == 403 else ""  # noqa: PLR2004
            self._trouble.failed(error=f"{error}{hint}")
            return
        self._trouble.recovered()
        now = self._clock.monotonic()
        for name, renewed in found.items():
            self._note(name, renewed, now)

    def _note(self, name: str, renewed: str, now: float) -> None:
        seen = self._seen.get(name)
        if seen is None or seen.renewed != renewed:
            self._seen[name] = _Seen(renewed, now, now)
        else:
            self._seen[name] = replace(seen, last=now)

    async def _each(self, names: Collection[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in names:
            lease = await self._api.get_lease(NAMESPACE, name, timeout=REQUEST_LIMIT)
            if lease is not None:
                found[name] = _renewed(lease)
        return found

    async def _all(self, names: Collection[str]) -> dict[str, str]:
        answer = await self._api.request(
            "GET",
            f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases",
            query={"resourceVersion": "0"},  # from the server's memory, not from etcd
            timeout=REQUEST_LIMIT,
        )
        items = cast("list[dict[str, Any]]", answer.get("items") or [])
        named = {str(item["metadata"]["name"]): item for item in items}
        return {name: _renewed(named[name]) for name in names if name in named}


def _renewed(lease: dict[str, Any]) -> str:
    spec: dict[str, Any] = lease.get("spec") or {}
    return str(spec.get("renewTime"))
