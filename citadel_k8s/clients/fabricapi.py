"""The fleet as the API tells it."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, cast
from urllib.parse import quote

from typing_extensions import override

from citadel_k8s.clients.fabrichttp import LIVE_TIMEOUT, ApiHttp, no_number
from citadel_k8s.clients.fleet import (
    Asked,
    Change,
    Detail,
    FleetError,
    FleetSource,
    Happening,
    LiveAnswer,
    NotFoundError,
    Row,
    Served,
    Subject,
)
from citadel_k8s.clients.ssestream import Event
from citadel_k8s.domain.fleetfilter import Filter
from citadel_k8s.domain.fleetrows import merged, name_of, ordered
from citadel_k8s.domain.rowshape import sound
from citadel_k8s.models.codec import format_timestamp

PAGE: Final = 5000
"""Rows asked for at once: the most that the API gives."""

PAGES_MAX: Final = 40
"""Pages of one list: 200,000 rows; a cursor that leads in a circle ends there."""

EVENTS_PAGE: Final = 1000
"""Events asked for at once: the most that the API gives."""

RETRY_FIRST: Final = 1.0
"""Seconds before the first attempt after a cut."""

RETRY_MAX: Final = 30.0
"""Seconds between attempts at the most."""

FINAL: Final = frozenset({400, 401, 403, 404, 405})
"""Answers after which the same question is in vain."""

_NODES: Final = "/api/fabric/nodes"


class ApiFleet(FleetSource):
    """Asks the API.

    Parameters
    ----------
    http : ApiHttp
        Its connections; closed with this.
    jitter : callable
        Gives 0 to 1: clients that a replica's end cut off together do not come back together.
    """

    def __init__(self, http: ApiHttp, *, jitter: Callable[[], float] = random.random) -> None:
        self._http = http
        self._jitter = jitter

    @property
    @override
    def where(self) -> str:
        return self._http.where

    @override
    async def nodes(self, asked: Asked | None = None) -> list[Row]:
        wanted = asked or Asked()
        chosen = Filter(
            state=wanted.state,
            model=wanted.model,
            gpu=wanted.gpu,
            label=wanted.label,
            q=wanted.q,
        )
        query = {"limit": str(PAGE)}
        if chosen.gone:
            # Nodes that were given up are in the list only by name of their state.
            query["state"] = wanted.state or "Decommissioned"
        rows = [_row(row) for row in await self._pages(_NODES, query)]
        return ordered(row for row in rows if chosen.takes(row))

    @override
    async def node(self, name: str) -> Detail:
        return await self._of(name, "")

    @override
    async def live(self, name: str) -> LiveAnswer:
        return await self._of(name, "/live", timeout=LIVE_TIMEOUT)

    @override
    async def models(self, named: str | None = None) -> list[Served]:
        found, _ = await self._http.get("/api/fabric/models", {"q": named} if named else None)
        return _objects(found)

    @override
    async def events(
        self, *, node: str | None = None, since: float | None = None, most: int = 500
    ) -> list[Happening]:
        query = {"limit": str(min(most, EVENTS_PAGE))}
        if node:
            query["node"] = node
        if since is not None:
            query["since"] = format_timestamp(since)
        found = await self._pages("/api/fabric/events/list", query, most)
        return found[:most][::-1]

    @override
    async def watch(self, what: Subject = "nodes") -> AsyncGenerator[Change]:
        watch = _Watch(what)
        failed = 0
        while True:
            try:
                query = {"kinds": "event" if what == "events" else "node,gone"}
                stream = self._http.stream("/api/fabric/events", query, watch.last)
                async with aclosing(stream):
                    async for event in stream:
                        if failed:
                            yield Change("back")
                        failed = 0
                        for change in watch.take(event):
                            yield change
                message = f"{self.where} ended the stream"
            except FleetError as error:
                if error.status in FINAL:
                    raise
                message, asked = str(error), error.retry_after
            else:
                asked = None
            failed += 1
            watch.again()
            pause = max(asked or 0.0, self._pause(failed, watch.retry))
            yield Change("cut", message=message, seconds=pause)
            await asyncio.sleep(pause)

    @override
    async def close(self) -> None:
        await self._http.close()

    def _pause(self, failed: int, asked: float | None) -> float:
        if failed == 1 and asked is not None:
            return asked
        return min(RETRY_MAX, RETRY_FIRST * 2.0 ** min(failed - 1, 10)) * (0.5 + self._jitter() / 2)

    async def _of(self, name: str, rest: str, timeout: float | None = None) -> dict[str, Any]:
        """Ask about one node: by its id, and by what people call it where there is no such id."""
        try:
            return await self._one(name, rest, timeout)
        except NotFoundError:
            known = {row["id"] for row in await self.nodes() if name_of(row) == name}
            if len(known) != 1 or name in known:
                raise
            return await self._one(str(known.pop()), rest, timeout)

    async def _one(self, name: str, rest: str, timeout: float | None) -> dict[str, Any]:
        path = f"{_NODES}/{quote(name, safe='')}{rest}"
        try:
            found, _ = await self._http.get(path, timeout=timeout)
        except FleetError as error:
            # 400: what can be no id is nobody's.
            if error.status in {400, 404}:
                raise NotFoundError(name) from error
            raise
        if not isinstance(found, dict):
            raise FleetError(f"{self.where} answers with what is no node")
        return cast("dict[str, Any]", found)

    async def _pages(
        self, path: str, query: Mapping[str, str], most: int | None = None
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        asked = dict(query)
        for _ in range(PAGES_MAX):
            found, headers = await self._http.get(path, asked)
            rows += _objects(found)
            cursor = headers.get("X-Next-Cursor")
            if not cursor or (most is not None and len(rows) >= most):
                break
            asked["cursor"] = cursor
        return rows


class _Watch:
    """What a stream told so far: whole rows, made of the changes that it sends."""

    def __init__(self, what: Subject) -> None:
        self.last: str | None = None
        self.retry: float | None = None
        self._what = what
        self._rows: dict[str, Row] = {}
        self._began = False

    def again(self) -> None:
        """Come back after a cut: without a place to go on from, what happened is not told again."""
        if self.last is None:
            self._began = False

    def take(self, event: Event) -> list[Change]:
        """Give what an event says."""
        if event.retry is not None:
            self.retry = event.retry
        if event.id:
            self.last = event.id
        try:
            found: Any = json.loads(event.data, parse_constant=no_number) if event.data else None
        except (ValueError, RecursionError):
            return []
        if event.kind == "reset":
            # What follows is a snapshot; the place in the stream is no more.
            self.last = None
            self._began = False
            return []
        if self._what == "events":
            return self._happened(event, found)
        return self._changed(event, found)

    def _happened(self, event: Event, found: Any) -> list[Change]:
        if event.kind == "event" and isinstance(found, dict):
            told = cast("dict[str, Any]", found)
            happening = told.get("event")
            if isinstance(happening, dict):
                said = cast("dict[str, Any]", happening)
                return [Change("event", str(told.get("id", "")), event=said)]
        # Before there is a place to go on from, what happens is not listened for yet.
        if not self._began and self.last and event.kind in {"snapshot", "time"}:
            self._began = True
            return [Change("all")]
        return []

    def _changed(self, event: Event, found: Any) -> list[Change]:
        if event.kind == "snapshot":
            self._rows = {str(row.get("id")): _row(row) for row in _objects(found)}
            return [Change("all", rows=ordered(self._rows.values()))]
        if not isinstance(found, dict):
            return []
        delta = cast("dict[str, Any]", found)
        node = str(delta.get("id", ""))
        if event.kind == "gone":
            row = self._rows.pop(node, None)
            return [Change("gone", node, row=row)]
        if event.kind != "node":
            return []
        row = sound(merged(self._rows.get(node), delta))
        self._rows[node] = row
        return [Change("node", node, row=row)]


def _row(row: dict[str, Any]) -> Row:
    # The fleet is shown though one row of it is odd.
    return sound(row)


def _objects(found: Any) -> list[dict[str, Any]]:
    items: list[Any] = found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
