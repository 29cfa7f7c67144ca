"""``GET /api/fabric/nodes/{node_id}/live``: the node's own word now, or why there is none.

A node that does not answer is no error of the API: the answer then has the last status that it
sent, its age, and the step at which the question ended.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pydantic_core
from aiohttp import web

from citadel_k8s.api.fabric.lastword import LastWord
from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.live.asking import Place
from citadel_k8s.api.live.bodies import BODY_MAX, boot_of, check_identity, read_status
from citadel_k8s.api.live.failure import NO_ROUTE, LiveError, Step
from citadel_k8s.api.live.places import Places
from citadel_k8s.api.live.turns import Turns
from citadel_k8s.stores.postgres.fleet import NodeRow

FRESH_SHARE: Final = 0.7
"""Part of the time that a node gets to look at its sources anew; in the rest it tells what it
knows. Drivers that hang are waited for by the agent for as long as the whole question lasts."""

LEAST_SECONDS: Final = 0.1
"""Seconds below which nobody is asked any more: a round trip through the mesh takes as long."""


class Asker(Protocol):
    """Who asks one address; `asking.NodeClient` does."""

    async def ask(self, place: Place, *, connect: float, until: float, fresh: bool) -> bytes:
        """Give the body of an answer; raises `LiveError`."""
        ...


class LiveChannel(Protocol):
    """Who asks a node over the WebSocket that it holds, on whichever replica that is."""

    async def ask(self, org_id: str, node_id: str, deadline: float) -> bytes | None:
        """Give a node's status as JSON text, before a moment of the loop's clock.

        None if it holds no WebSocket, or did not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a question: a body, or a failure."""

    body: bytes = b""
    address: str = ""
    fresh: bool = False
    seconds: float = 0.0
    failure: LiveError | None = None


class Live:
    """Asks nodes.

    Parameters
    ----------
    words : LastWord
        Finds nodes, and what they said last.
    places : Places
        Where they may be asked.
    asker : Asker
        Asks them there.
    channel : LiveChannel or None
        Asks those that no way leads to.
    enabled : bool
        Whether nodes are asked at all.
    deadline : float
        Seconds for a question, whatever is tried.
    """

    def __init__(
        self,
        words: LastWord,
        places: Places,
        asker: Asker,
        *,
        channel: LiveChannel | None = None,
        enabled: bool = True,
        deadline: float = 3.0,
        turns: Turns[Found] | None = None,
    ) -> None:
        self._words = words
        self._places = places
        self._asker = asker
        self._channel = channel
        self._enabled = enabled
        self._deadline = deadline
        self._turns: Turns[Found] = turns or Turns()

    async def __call__(self, call: Call) -> web.Response:
        """Answer with a node's own word, or with its last one."""
        org_id = call.who.org_id
        node = await self._words.node(org_id, call.part("node_id"))
        status, complete = await self._words.status(org_id, node)
        found = await self._turns.shared(
            org_id, node.row.node_id, lambda: self._ask(org_id, node, status)
        )
        item, age = self._words.item(org_id, node)
        head = b'{"node":' + item.encoded(age) + b","
        if found.failure is None:
            rest = _fresh(found)
            return _json(head + rest[1:-1] + b',"status":' + found.body + b"}")
        return _json(head + _cached(found, status, age, complete=complete)[1:])

    async def _ask(self, org_id: str, node: NodeRow, status: dict[str, Any] | None) -> Found:
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = began + self._deadline
        try:
            async with asyncio.timeout_at(until):
                body, address, fresh = await self._asked(org_id, node, status, until)
        except LiveError as error:
            return Found(seconds=loop.time() - began, failure=error)
        except TimeoutError:
            late = LiveError(Step.TIMEOUT, f"no answer within {self._deadline:g} s")
            return Found(seconds=loop.time() - began, failure=late)
        return Found(body, address, fresh, loop.time() - began)

    async def _asked(
        self, org_id: str, node: NodeRow, status: dict[str, Any] | None, until: float
    ) -> tuple[bytes, str, bool]:
        if not self._enabled:
            raise LiveError(Step.ADDRESS, "nodes are not asked here: live.enabled is off")
        try:
            places = await self._places.of(org_id, node.row, status)
            return await self._dialled(org_id, node, places, until)
        except LiveError as error:
            if self._channel is None or error.step not in NO_ROUTE:
                raise
            body = await self._channel.ask(org_id, node.row.node_id, until)
            if body is None:
                raise
            where = "the node's own connection"
            if len(body) > BODY_MAX:
                raise LiveError(Step.BODY, f"{where} answers with too much") from error
            await self._check(org_id, node, body, where)
            return body, "websocket", False

    async def _dialled(
        self, org_id: str, node: NodeRow, places: Sequence[Place], until: float
    ) -> tuple[bytes, str, bool]:
        failures: list[LiveError] = []
        # Whoever cannot be reached leaves time for the others, and for the node's own connection.
        share = self._deadline / (1 + len(places))
        for place in places:
            try:
                body, fresh = await self._told(place, share, until)
                await self._check(org_id, node, body, place.where)
            except LiveError as error:
                failures.append(error)
            else:
                return body, place.where, fresh
        raise max(failures, key=lambda error: error.step.reach)

    async def _told(self, place: Place, connect: float, until: float) -> tuple[bytes, bool]:
        loop = asyncio.get_running_loop()
        left = until - loop.time()
        patience = loop.time() + left * FRESH_SHARE
        try:
            body = await self._asker.ask(place, connect=connect, until=patience, fresh=True)
        except LiveError as error:
            if error.step is not Step.TIMEOUT or until - loop.time() < LEAST_SECONDS:
                raise
            body = await self._asker.ask(place, connect=connect, until=until, fresh=False)
            return body, False
        return body, True

    async def _check(self, org_id: str, node: NodeRow, body: bytes, where: str) -> None:
        """Check that the node itself answers, by its id and by that of its process."""
        message = read_status(body, where)
        row = node.row
        names = frozenset(name for name in (row.name, row.headscale_id) if name)
        check_identity(message, row.node_id, names, where)
        boot = boot_of(message)
        # One that reports without a boot id answers without: else it could claim the address of
        # another org's node of the same id. One that never reported claims nothing.
        if boot == row.boot_id or row.stream_ms is None:
            return
        # It may have started anew a moment ago: its first heartbeat says so.
        now = await self._words.node(org_id, row.node_id)
        if boot is None or boot != now.row.boot_id:
            raise LiveError(
                Step.IDENTITY, f"{where} is not the process that this node's heartbeats come from"
            )


def _fresh(found: Found) -> bytes:
    return pydantic_core.to_json(
        {
            "live": True,
            "seconds": round(found.seconds, 4),
            "address": found.address,
            "fresh": found.fresh,
            "complete": True,
            "age": 0.0,
        }
    )


def _cached(
    found: Found, status: dict[str, Any] | None, age: float | None, *, complete: bool
) -> bytes:
    failure = found.failure
    told: dict[str, Any] = {
        "live": False,
        "seconds": round(found.seconds, 4),
        "complete": complete and status is not None,
        "age": age,
        "step": None if failure is None else failure.step.value,
        "message": None if failure is None else str(failure),
        "status": status,
    }
    return pydantic_core.to_json({k: v for k, v in told.items() if v is not None})


def _json(body: bytes) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=body, content_type="application/json", headers=headers)
