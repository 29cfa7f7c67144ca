"""A watch of FabricNodes, or of Events about them, that outlives cuts."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final, cast

from citadel_k8s.clients.fleet import Change, FleetError, Row, Subject
from citadel_k8s.clients.kube import EVENT_NAMESPACE, KubeClient, Object
from citadel_k8s.clients.objectevents import event_of
from citadel_k8s.domain.fleetrows import ordered, part, parts
from citadel_k8s.errors import KubeError
from citadel_k8s.models.fabricnode import GROUP, KIND, PLURAL, VERSION

RETRY_FIRST: Final = 1.0
"""Seconds before the first attempt after a cut."""

RETRY_MAX: Final = 30.0
"""Seconds between attempts at the most."""

WATCH_SECONDS: Final = 240
"""Seconds for which one watch is asked; API servers end them after 300 at the earliest."""

SILENCE: Final = WATCH_SECONDS + 20.0
"""Seconds without a byte after which a watch is given up: the server should have ended it."""

EVENTS: Final = f"/api/v1/namespaces/{EVENT_NAMESPACE}/events"
"""Where Events of objects without a namespace are."""

FINAL: Final = frozenset({400, 401, 403, 404, 405})
"""Answers after which the same question is in vain."""

_NODES: Final = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
_GONE: Final = 410
_UNAUTHORIZED: Final = 401


class ObjectWatch:
    """Lists, watches, and lists anew after a cut.

    Parameters
    ----------
    client : KubeClient
        Asks the API server.
    what : str
        ``nodes`` or ``events``.
    row : callable
        Makes a row of an object.
    told : callable
        Gives an error with what to do about it.
    """

    def __init__(
        self,
        client: KubeClient,
        what: Subject,
        *,
        row: Callable[[Object], Row],
        told: Callable[[KubeError], FleetError],
    ) -> None:
        self._client = client
        self._events = what == "events"
        self._path = EVENTS if self._events else _NODES
        self._query = {"fieldSelector": about(None)} if self._events else {}
        self._row = row
        self._told = told
        self._version: str | None = None

    async def changes(self) -> AsyncGenerator[Change]:
        """Tell what there is and what changes; raises `FleetError` where that is in vain."""
        failed = 0
        known = False
        while True:
            try:
                async with aclosing(self._round()) as changes:
                    async for change in changes:
                        if failed:
                            yield Change("back")
                        failed = 0
                        known = True
                        yield change
            except KubeError as error:
                self._version = None
                # A token that was good until now is over; the next request has another.
                over, known = known and error.status == _UNAUTHORIZED, False
                if error.status in FINAL and not over:
                    raise self._told(error) from error
                if not over and (error.status != _GONE or failed):
                    failed += 1
                    pause = min(RETRY_MAX, RETRY_FIRST * 2.0 ** min(failed - 1, 10))
                    yield Change("cut", message=str(self._told(error)), seconds=pause)
                    await asyncio.sleep(pause)
                    continue
            # That the server ends a watch is how it should be: go on from there.
            await asyncio.sleep(RETRY_FIRST)

    async def _round(self) -> AsyncGenerator[Change]:
        if self._version is None:
            listed = await self._client.request("GET", self._path, query=self._query)
            yield self._begin(listed)
        query = {
            **self._query,
            "resourceVersion": self._version or "0",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        async with aclosing(self._client.watch(self._path, query, silence=SILENCE)) as lines:
            async for line in lines:
                change = self._take(line)
                if change is not None:
                    yield change

    def _begin(self, listed: Object) -> Change:
        self._version = str(part(listed, "metadata").get("resourceVersion") or "0")
        if self._events:
            return Change("all")
        rows = [self._row(dict(raw)) for raw in parts(listed, "items")]
        return Change("all", rows=ordered(rows))

    def _take(self, line: Object) -> Change | None:
        kind, raw = line.get("type"), cast("Any", line.get("object"))
        if not isinstance(raw, dict):
            return None
        found = cast("Object", raw)
        if kind == "ERROR":
            # History is shorter than this was away.
            raise KubeError(int(found.get("code") or 0), str(found.get("message") or "the watch"))
        self._version = str(part(found, "metadata").get("resourceVersion") or self._version)
        if kind == "BOOKMARK" or (self._events and kind == "DELETED"):
            return None
        if self._events:
            event = event_of(found)
            return Change("event", str(event.get("node", "")), event=event)
        row = self._row(found)
        return Change("gone" if kind == "DELETED" else "node", str(row["id"]), row=row)


def about(node: str | None) -> str:
    """Give the field selector of Events about all FabricNodes, or about one."""
    named = "" if node is None else f",involvedObject.name={node}"
    return f"involvedObject.kind={KIND}{named}"
