"""Where a node may be asked: what the mesh knows of it and what it says itself, inside the fence.

A name comes from the mesh alone; what a name means is not the node's to say. It is looked up once,
each of its addresses is checked, and one of those is dialled: no second look-up could give another.
"""

import asyncio
import socket
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Protocol

from citadel_k8s.api.fabric.lastword import inner, mapping
from citadel_k8s.api.live.asking import Place
from citadel_k8s.api.live.failure import LiveError, Step
from citadel_k8s.api.live.fence import Address, Fence, is_name, literal
from citadel_k8s.domain.facts import clip
from citadel_k8s.stores.postgres.fleet import FleetRow

PORT: Final = 8080
"""The status port of a node that names none. Source: the wire contract."""

PLACES_MAX: Final = 4
"""Addresses of one node that are tried: those of both families, in the mesh and in the cluster."""

CLAIMS_MAX: Final = 16
"""Addresses of one node that are looked at."""

_LOW_PORTS: Final = 1024
_OPEN_LOW_PORTS: Final = frozenset({80, 443})
_PORTS: Final = 65536

NO_AGENTS: Final = frozenset(
    {2379, 2380, 3306, 5432, 6379, 6443, 9200, 11211, 26379, 27017, *range(10248, 10260)}
)
"""Ports of databases, of etcd, and of what runs Kubernetes: a node that names one wants somebody
else asked."""


class Resolver(Protocol):
    """Looks up names."""

    async def resolve(self, name: str) -> list[str]:
        """Give the addresses of a name; raises `OSError`."""
        ...


class SystemResolver:
    """Asks the system."""

    async def resolve(self, name: str) -> list[str]:
        """Give the addresses of a name; raises `OSError`."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Neighbours(Protocol):
    """Who knows which address belongs to whom; `stores.postgres.fleet.Fleet` does."""

    async def others_at(
        self, org_id: str, addresses: Collection[str], *, claimed: bool = False
    ) -> frozenset[str]:
        """Give those addresses that are another org's; raises `DatabaseError`.

        With ``claimed`` also those that another org's node says it has, as far as is known.
        """
        ...


class Places:
    """Finds where a node may be asked.

    Parameters
    ----------
    fence : Fence
        What may be dialled.
    resolver : Resolver
        Looks up names.
    neighbours : Neighbours
        Knows the addresses of other orgs' nodes.
    closed : collection of int
        Further ports at which nobody is asked: those of what this process itself relies on.
    """

    def __init__(
        self,
        fence: Fence,
        resolver: Resolver,
        neighbours: Neighbours,
        *,
        closed: Collection[int] = (),
    ) -> None:
        self._fence = fence
        self._closed = NO_AGENTS.union(closed)
        self._resolver = resolver
        self._neighbours = neighbours

    async def of(self, org_id: str, row: FleetRow, status: Mapping[str, Any] | None) -> list[Place]:
        """Give where a node may be asked, what the mesh knows of it first.

        Raises
        ------
        LiveError
            ``address``, if it may be asked nowhere; ``resolve``, if its name means nothing.
        """
        port, tls = _port(status, self._closed), _speaks_tls(status)
        known = list(dict.fromkeys(row.addresses[:CLAIMS_MAX]))
        own = [address for text in known if (address := literal(text)) is not None]
        claimed = [a for a in dict.fromkeys(_claims(status)) if a not in own]
        # Without a boot id nothing tells the node of another org that has the same id.
        foreign = await self._neighbours.others_at(
            org_id, [str(a) for a in claimed], claimed=row.boot_id is None
        )
        found = [a for a in own if self._fence.admits(a)]
        found += [a for a in claimed if self._fence.admits(a) and str(a) not in foreign]
        places = [Place(address, port, None, tls) for address in found[:PLACES_MAX]]
        if places:
            return places
        names = [text for text in known if literal(text) is None and is_name(text)]
        if names:
            return await self._named(names[0], port, tls=tls)
        raise LiveError(Step.ADDRESS, _nowhere([*map(str, own), *map(str, claimed)]))

    async def _named(self, name: str, port: int, *, tls: bool) -> list[Place]:
        try:
            texts = await self._resolver.resolve(name)
        except (OSError, UnicodeError) as error:
            raise LiveError(Step.RESOLVE, f"the name {name} is not known") from error
        addresses = [literal(text) for text in texts]
        if not addresses:
            raise LiveError(Step.RESOLVE, f"the name {name} has no address")
        checked = [a for a in addresses if a is not None and self._fence.admits(a)]
        if len(checked) < len(addresses):
            # One that is not allowed condemns the name: who sets it tries to lead elsewhere.
            raise LiveError(
                Step.ADDRESS, f"the name {name} leads to an address outside live.allowedCidrs"
            )
        return [Place(address, port, name, tls) for address in checked[:PLACES_MAX]]


def _claims(status: Mapping[str, Any] | None) -> Iterator[Address]:
    if status is None:
        return
    node = mapping(inner(status).get("node"))
    listed: Any = status.get("addresses")
    texts: list[Any] = listed if isinstance(listed, list) else []  # pyright: ignore[reportUnknownVariableType]
    for text in (
        *texts[:CLAIMS_MAX],
        node.get("network_ip"),
        node.get("tailscale_ip"),
        status.get("podIP"),
    ):
        address = literal(text) if isinstance(text, str) else None
        if address is not None:
            yield address


def _port(status: Mapping[str, Any] | None, closed: Collection[int]) -> int:
    port: Any = None if status is None else status.get("statusPort")
    if port is None:
        return PORT
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < _PORTS:
        raise LiveError(Step.ADDRESS, "the node names a status port that is none")
    if port < _LOW_PORTS and port not in _OPEN_LOW_PORTS:
        # What listens there is a system's own service, and no agent.
        raise LiveError(Step.ADDRESS, f"the node names the status port {port}: below {_LOW_PORTS}")
    if port in closed:
        raise LiveError(Step.ADDRESS, f"the node names the status port {port}: another service's")
    return port


def _speaks_tls(status: Mapping[str, Any] | None) -> bool:
    return status is not None and status.get("statusTls") is True


def _nowhere(addresses: list[str]) -> str:
    if not addresses:
        return "no address of this node is known"
    told = ", ".join(map(clip, addresses[:PLACES_MAX]))
    return f"no address of this node lies in live.allowedCidrs, or is its own: {told}"
