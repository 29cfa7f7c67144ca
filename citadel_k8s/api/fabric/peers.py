"""``GET /api/fabric/discover/nodes``: what one node may know of the others of its org."""

from collections.abc import Mapping
from typing import Any, Final, cast

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.fabric.queries import DiscoverQuery, Peer, Peers, PeerStatus
from citadel_k8s.api.fabric.rows import Item, moment
from citadel_k8s.api.fabric.served import SERVICES_HOLD, Services
from citadel_k8s.api.fabric.shelf import Shelf
from citadel_k8s.api.fabric.single import Single
from citadel_k8s.api.frame.route import Call
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.standing import CURRENT
from citadel_k8s.models.fabricnode import NodeState

TAGS_MAX: Final = 128
"""Capabilities told of one node."""

HIDDEN: Final = frozenset({NodeState.DECOMMISSIONED})
"""States of nodes that are nobody's peers."""


class Discovery:
    """Answers with peers.

    Parameters
    ----------
    shelf : Shelf
        Has the nodes.
    services : Services
        What they can.
    clock : Clock
        What measures how old a reading is.
    """

    def __init__(self, shelf: Shelf, services: Services, clock: Clock) -> None:
        self._shelf = shelf
        self._services = Single(services.services, clock, hold=SERVICES_HOLD)

    async def __call__(self, call: Call) -> Peers:
        """Answer with all nodes of the asker's org that fit, by name."""
        org_id, query = call.who.org_id, call.asked(DiscoverQuery)
        items = (await self._shelf.listing(org_id)).items
        tags = {row.node_id: _tags(row.tags) for row in await self._services.get(org_id)}
        peers = [
            _peer(item, tags.get(item.node_id, []), told=query.include_status)
            for item in sorted(items.values(), key=lambda item: (item.name, item.node_id))
            if item.state not in HIDDEN
        ]
        wanted = query.capability
        found = [
            peer
            for peer in peers
            if (peer.online or not query.online_only)
            and (wanted is None or wanted in peer.capabilities)
        ]
        return Peers(nodes=found, total=len(found))


def _peer(item: Item, capabilities: list[str], *, told: bool) -> Peer:
    row, online = item.row, item.state in CURRENT
    own = item.profile.get("address")
    known = [*row.addresses, *([str(own)] if own else [])]
    addresses: dict[str, None] = dict.fromkeys(known)
    return Peer(
        id=row.headscale_id or row.node_id,
        hostname=item.name,
        given_name=row.node_id,
        online=online,
        last_seen=moment(row.stream_ms if row.stream_ms is not None else row.mesh_seen_ms),
        ip_addresses=list(addresses),
        tags=sorted(f"{key}={value}" if value else key for key, value in item.labels.items()),
        capabilities=capabilities,
        status=_status(item, online=online) if told and row.stream_ms is not None else None,
    )


def _status(item: Item, *, online: bool) -> PeerStatus:
    pulse = item.pulse
    gpus = cast("list[tuple[Any, Any, Any]]", pulse.get("gpu") or [])
    return PeerStatus(
        cpu_usage=_percent(pulse, "cpu"),
        memory_usage=_percent(pulse, "memory"),
        disk_usage=_percent(pulse, "disk"),
        gpu_usage=_mean([gpu[0] for gpu in gpus]),
        gpu_memory_usage=_mean([gpu[1] for gpu in gpus]),
        is_online=online,
        reported_at=moment(item.row.stream_ms),
    )


def _percent(pulse: Mapping[str, Any], key: str) -> float | None:
    value = pulse.get(key)
    return None if value is None else round(value * 100, 1)


def _mean(values: list[Any]) -> float | None:
    # A mean over some of the GPUs would pass for the node's own.
    if not values or None in values:
        return None
    return float(round(sum(values) / len(values), 1))


def _tags(tags: Any) -> list[str]:
    items: list[Any] = tags if isinstance(tags, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [clip(tag) for tag in items[:TAGS_MAX] if isinstance(tag, str)]
