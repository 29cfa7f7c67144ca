"""The fleet as FabricNodes tell it, of the cluster that a kubeconfig names."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

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
from citadel_k8s.clients.objectwatch import EVENTS, ObjectWatch, about
from citadel_k8s.clients.podstatus import ask_agent
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.fleetfilter import Filter
from citadel_k8s.domain.fleetrows import object_row, ordered, part, parts
from citadel_k8s.domain.proxy import TEXT_MAX
from citadel_k8s.errors import KubeError, WireError
from citadel_k8s.models.codec import parse_timestamp

_CHUNK: Final = "500"
_NOT_FOUND: Final = 404
_REFUSED: Final = {
    401: "; log in to the cluster again, or name another --context",
    403: "; somebody who may must let you: `kubectl create clusterrolebinding …`",
}


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
        query = {"fieldSelector": about(node), "limit": _CHUNK}
        while True:
            answer = await self._asked(EVENTS, query)
            found += [event_of(raw) for raw in parts(answer, "items")]
            more = part(answer, "metadata").get("continue")
            if not more:
                break
            query["continue"] = str(more)
        new = [event for event in found if since is None or _at(event) >= since]
        return sorted(new, key=_at)[-most:]

    @override
    async def watch(self, what: Subject = "nodes") -> AsyncGenerator[Change]:
        watch = ObjectWatch(self._client, what, row=self._row, told=self._told)
        async with aclosing(watch.changes()) as changes:
            async for change in changes:
                yield change

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


def _at(event: Happening) -> float:
    try:
        return parse_timestamp(str(event.get("time")))
    except WireError:
        return 0.0
