"""One node: its row with its last status, its history, and its end."""

from typing import Final, Protocol

import pydantic_core
from aiohttp import web

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.fabric.lastword import LastWord
from citadel_k8s.api.fabric.pages import Page, give, version_of
from citadel_k8s.api.fabric.queries import HistoryQuery, HistoryView
from citadel_k8s.api.fabric.shelf import Shelf
from citadel_k8s.api.frame.route import Call
from citadel_k8s.domain.arrivals import skew_seconds
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.postgres.fleet import Fleet
from citadel_k8s.stores.postgres.past import BucketRow, Past

BUCKET_SECONDS: Final = 300
"""Length of a stored bucket."""

HOUR: Final = 3600
"""Seconds."""

RANGES: Final = {
    "1h": (HOUR, BUCKET_SECONDS),
    "6h": (6 * HOUR, BUCKET_SECONDS),
    "24h": (24 * HOUR, BUCKET_SECONDS),
    "7d": (7 * 24 * HOUR, 6 * BUCKET_SECONDS),
    "14d": (14 * 24 * HOUR, HOUR),
    "30d": (30 * 24 * HOUR, 2 * HOUR),
}
"""Length of a range and of its buckets, in seconds: at most 360 points, what a chart can show."""


class Goodbyes(Protocol):
    """Who tells an org's listeners that a node is no more."""

    async def gone(self, org_id: str, node_id: str) -> None:
        """Tell it; never raises."""
        ...


class OneNode:
    """Answers for ``/api/fabric/nodes/{node_id}`` and what lies below it.

    Parameters
    ----------
    words : LastWord
        Finds nodes, and what they said last.
    fleet : Fleet
        Gives nodes up.
    past : Past
        Has the history.
    shelf : Shelf
        Is to forget what was changed here.
    clock : Clock
        The wall clock: where a history ends.
    goodbyes : Goodbyes or None
        Who tells listeners.
    """

    def __init__(
        self,
        words: LastWord,
        fleet: Fleet,
        past: Past,
        shelf: Shelf,
        clock: Clock,
        *,
        goodbyes: Goodbyes | None = None,
    ) -> None:
        self._words = words
        self._fleet = fleet
        self._past = past
        self._shelf = shelf
        self._clock = clock
        self._goodbyes = goodbyes

    async def get(self, call: Call) -> web.StreamResponse:
        """Answer with the node's row and the last status that it sent."""
        org_id = call.who.org_id
        node = await self._words.node(org_id, call.part("node_id"))
        said = await self._words.said(org_id, node)
        item, age = self._words.item(org_id, node)
        rest = {
            "status": said.status,
            "complete": said.complete,
            "config": node.config,
            "beats": [[one.ms, one.seq] for one in said.arrivals] or None,
            "skewSeconds": skew_seconds(said.arrivals),
        }
        tail = pydantic_core.to_json({k: v for k, v in rest.items() if v is not None})[1:]
        body = b'{"node":' + item.encoded(age) + b"," + tail
        return await give(call, Page(body, version_of(item.head, tail), {}), {})

    async def history(self, call: Call) -> HistoryView:
        """Answer with means over buckets; what was not heard is a gap."""
        org_id = call.who.org_id
        node = await self._words.node(org_id, call.part("node_id"))
        length, step = RANGES[call.asked(HistoryQuery).range]
        # The bucket of now is among them, though it is not full yet.
        end = (int(self._clock.now()) // step + 1) * step
        first = end - length
        rows = await self._past.history(org_id, node.row.node_id, first=first, end=end, step=step)
        return history_view(rows, first, end, step)

    async def decommission(self, call: Call) -> None:
        """Give the node up: it leaves the lists, and its past stays."""
        org_id = call.who.org_id
        node = await self._words.node(org_id, call.part("node_id"))
        call.notes["target"] = node.row.node_id
        if await self._fleet.decommission(org_id, node.row.node_id) and self._goodbyes is not None:
            await self._goodbyes.gone(org_id, node.row.node_id)
        self._shelf.forget(org_id)


def history_view(rows: list[BucketRow], first: int, end: int, step: int) -> HistoryView:
    """Lay the buckets that there are on a grid without holes."""
    found = {row.bucket_ms // 1000: row for row in rows}
    grid = [found.get(at) for at in range(first, end, step)]

    def column(name: str, digits: int) -> list[float | None]:
        values = (None if row is None else getattr(row, name) for row in grid)
        return [None if value is None else round(value, digits) for value in values]

    return HistoryView(
        start=format_timestamp(first),
        bucket_seconds=step,
        beats=[None if row is None else row.beats for row in grid],
        cpu=column("cpu", 4),
        memory=column("memory", 4),
        util=column("util", 4),
        util_max=column("util_max", 4),
        vram=column("vram", 4),
        power=column("power", 1),
        running=column("running", 2),
    )
