"""The fleet as FabricNodes tell it, of the cluster that a kubeconfig names."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, cast
from urllib.parse import quote

from typing_extensions import override

from citadel_k8s.aio.clock import Clock
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
from citadel_k8s.clients.kube import KubeClient, Object
from citadel_k8s.clients.objectevents import event_of, served_of
from citadel_k8s.clients.podstatus import ask_agent
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.fleetfilter import Filter
from citadel_k8s.domain.fleetrows import object_row, ordered, part
from citadel_k8s.domain.proxy import TEXT_MAX
from citadel_k8s.errors import KubeError, WireError
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.models.fabricnode import GROUP, KIND, PLURAL, VERSION

RETRY_FIRST: Final = 1.0
"""Seconds before the first attempt after a cut."""

RETRY_MAX: Final = 30.0
"""Seconds between attempts at the most."""

WATCH_SECONDS: Final = 240
"""Seconds for which one watch is asked; API servers end them after 300 at the earliest."""

SILENCE: Final = WATCH_SECONDS + 20.0
"""Seconds without a byte after which a watch is given up: the server should have ended it."""

_PATH: Final = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
_EVENTS: Final = "/api/v1/namespaces/default/events"
_CHUNK: Final = "500"
_GONE: Final = 410
_NOT_FOUND: Final = 404
_REFUSED: Final = {
    401: "; log in to the cluster again, or name another --context",
    403: "; somebody who may must let you: `kubectl create clusterrolebinding …`",
}
_FINAL: Final = frozenset({400, 401, 403, _NOT_FOUND, 405})


class ObjectFleet(FleetSource):
    """Asks a cluster's API server.

    Parameters
    ----------
    client : KubeClient
        Its connections; closed with this.
    clock : Clock
        Measures ages.
    host : str
        The API server, for messages.
    """

    def __init__(self, client: KubeClient, clock: Clock, host: str = "the API server") -> None:
        self._client = client
        self._clock = clock
        self._host = host

    @property
    @override
    def where(self) -> str:
        return f"FabricNodes at {clip(self._host)}"

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
        rows = [self._row(raw) for raw in await self._objects()]
        return ordered(row for row in rows if chosen.takes(row))

    @override
    async def node(self, name: str) -> Detail:
        raw = await self._object(name)
        return {"node": self._row(raw), "complete": False, "object": raw}

    @override
    async def live(self, name: str) -> LiveAnswer:
        raw = await self._object(name)
        node = str(part(raw, "spec").get("nodeName") or part(raw, "metadata").get("name"))
        wanted = str(part(raw, "spec").get("nodeId") or node)
        try:
            answer = await ask_agent(self._client, node, wanted)
        except KubeError as error:
            told = self._told(error)
            told.args = (f"{told}; an API asks for you: set CITADEL_API_URL",)
            raise told from error
        return {"node": self._row(raw), **answer}

    @override
    async def models(self, named: str | None = None) -> list[Served]:
        return served_of(await self._objects(), named)

    @override
    async def events(
        self, *, node: str | None = None, since: float | None = None, most: int = 500
    ) -> list[Happening]:
        if node is not None:
            node = str(part(await self._object(node), "metadata").get("name"))
        found: list[Happening] = []
        query = {"fieldSelector": _about(node), "limit": _CHUNK}
        while True:
            answer = await self._asked(_EVENTS, query)
            found += [event_of(raw) for raw in answer.get("items") or []]
            more = part(answer, "metadata").get("continue")
            if not more:
                break
            query["continue"] = str(more)
        new = [event for event in found if since is None or _at(event) >= since]
        return sorted(new, key=_at)[-most:]

    @override
    async def watch(self, what: Subject = "nodes") -> AsyncGenerator[Change]:
        place = _Place(self._row, what)
        failed = 0
        while True:
            try:
                if place.version is None:
                    answer = await self._asked(place.path, place.query)
                    if failed:
                        yield Change("back")
                    failed = 0
                    yield place.begin(answer)
                stream = self._client.watch(place.path, place.watch_query(), silence=SILENCE)
                async with aclosing(stream):
                    async for event in stream:
                        for change in place.take(event):
                            if failed:
                                yield Change("back")
                            failed = 0
                            yield change
                # That one is ended by the server is how it should be: go on from there.
                if place.version is not None and not failed:
                    await asyncio.sleep(RETRY_FIRST)
                    continue
                message = "the API server ended the watch"
            except FleetError as error:
                if error.status in _FINAL:
                    raise
                message = str(error)
            except KubeError as error:
                if error.status == _GONE:
                    place.version = None
                    continue
                if error.status in _FINAL:
                    raise self._told(error) from error
                message = str(self._told(error))
            failed += 1
            pause = min(RETRY_MAX, RETRY_FIRST * 2 ** (failed - 1))
            yield Change("cut", message=message, seconds=pause)
            await asyncio.sleep(pause)

    @override
    async def close(self) -> None:
        await self._client.close()

    def _row(self, raw: Object) -> Row:
        return object_row(raw, self._clock.now())

    async def _object(self, name: str) -> Object:
        """Give an object by its name, or else by its node's id."""
        try:
            raw = await self._client.get_fabric_node(name)
        except KubeError as error:
            raise self._told(error) from error
        if raw is not None:
            return raw
        for other in await self._objects():
            if part(other, "spec").get("nodeId") == name:
                return other
        raise NotFoundError(name)

    async def _objects(self) -> list[Object]:
        try:
            return await self._client.list_fabric_nodes()
        except KubeError as error:
            raise self._told(error) from error

    async def _asked(self, path: str, query: Mapping[str, str]) -> Object:
        try:
            return await self._client.request("GET", path, query=query)
        except KubeError as error:
            if error.status == _GONE:
                raise
            raise self._told(error) from error

    def _told(self, error: KubeError) -> FleetError:
        """Give an error with what to do about it."""
        text = clip(" ".join(str(error).split()), TEXT_MAX)
        if error.status == _NOT_FOUND:
            text = (
                f"{self._host} knows no FabricNodes: install the definitions "
                "(`kubectl apply -k manifests`, or the chart), or name another --context"
            )
        elif error.status == 0:
            text = f"{self._host}: {text}; is it up, and is this the right --context?"
        return FleetError(
            text + _REFUSED.get(error.status, ""),
            status=error.status,
            retry_after=error.retry_after,
        )


class _Place:
    """How far a watch is."""

    def __init__(self, row: Callable[[Object], Row], what: Subject) -> None:
        self.version: str | None = None
        self.path = _EVENTS if what == "events" else _PATH
        self.query = {"fieldSelector": _about(None)} if what == "events" else {}
        self._row = row
        self._events = what == "events"

    def begin(self, listed: Object) -> Change:
        """Begin anew with a list."""
        self.version = str(part(listed, "metadata").get("resourceVersion") or "0")
        if self._events:
            return Change("all")
        rows = [self._row(raw) for raw in cast("list[Object]", listed.get("items") or [])]
        return Change("all", rows=ordered(rows))

    def watch_query(self) -> dict[str, str]:
        """Give what to ask for."""
        return {
            **self.query,
            "resourceVersion": self.version or "0",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }

    def take(self, event: Object) -> list[Change]:
        """Give what one line says."""
        raw: Any = event.get("object")
        if not isinstance(raw, dict):
            return []
        found = cast("Object", raw)
        kind = event.get("type")
        if kind == "ERROR":
            # History is shorter than this was away.
            raise KubeError(int(found.get("code") or 0), str(found.get("message") or "the watch"))
        self.version = str(part(found, "metadata").get("resourceVersion") or self.version)
        if kind == "BOOKMARK":
            return []
        if self._events:
            return [] if kind == "DELETED" else [_happened(found)]
        row = self._row(found)
        return [Change("gone" if kind == "DELETED" else "node", str(row["id"]), row=row)]


def _happened(raw: Object) -> Change:
    event = event_of(raw)
    return Change("event", str(event.get("node", "")), event=event)


def _about(node: str | None) -> str:
    named = "" if node is None else f",involvedObject.name={quote(node)}"
    return f"involvedObject.kind={KIND}{named}"


def _at(event: Happening) -> float:
    try:
        return parse_timestamp(str(event.get("time")))
    except WireError:
        return 0.0
