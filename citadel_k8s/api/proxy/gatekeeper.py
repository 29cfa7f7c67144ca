"""Says what a caller may name, and keeps on record who tried more."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.auditing import AuditRow
from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.proxy.bounds import Claims
from citadel_k8s.errors import CitadelError
from citadel_k8s.models.identity import Principal

DENIED: Final = "proxy.denied"
"""The action in the audit log of a name that was not the caller's."""

AGAIN_SECONDS: Final = 60.0
"""Seconds after which the same denial is put on record again: a node that is set up wrongly repeats
it with each heartbeat, and one line a minute says as much."""

KEPT: Final = 10_000
"""Denials and ids of the mesh that are remembered, about 2 MB."""

MESH_SECONDS: Final = 60.0
"""Seconds for which an id of the mesh is believed."""

MeshId = Callable[[str, str], Awaitable[str | None]]
"""Gives the mesh's id of an org's node; None if it is not known."""

Note = Callable[[AuditRow], None]
"""Takes a row of the audit log."""


async def no_mesh(_org_id: str, _node_id: str) -> str | None:
    """Know no id of the mesh."""
    return None


class Gatekeeper:
    """Makes a caller's `Claims`.

    Parameters
    ----------
    clock : Clock
        What dates and spaces the audit log's rows.
    note : callable or None
        Takes them; with None the frame keeps those of requests, and nobody those of sockets.
    mesh_id : callable
        Gives the mesh's id of a node.
    """

    def __init__(self, clock: Clock, note: Note | None = None, mesh_id: MeshId = no_mesh) -> None:
        self._clock, self._note, self._mesh_id = clock, note, mesh_id
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], tuple[float, str | None]] = OrderedDict()

    def claims(self, call: Call, mesh_id: str | None = None) -> Claims:
        """Give what the caller may name."""

        def denied(who: Principal, where: str, why: str) -> None:
            self._record(call, who, where, why)

        return Claims(call.who, denied, mesh_id)

    async def mesh_claims(self, call: Call) -> Claims:
        """Give what the caller may name, his own id of the mesh among it."""
        who = call.who
        if who.node_id is None:
            return self.claims(call)
        return self.claims(call, await self._find(who.org_id, who.node_id))

    async def _find(self, org_id: str, node_id: str) -> str | None:
        now = self._clock.monotonic()
        until, found = self._known.get((org_id, node_id), (0.0, None))
        if now < until:
            return found
        try:
            found = await self._mesh_id(org_id, node_id)
        except CitadelError:
            return found
        self._known[org_id, node_id] = (now + MESH_SECONDS, found)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found

    def _record(self, call: Call, who: Principal, where: str, why: str) -> None:
        now = self._clock.monotonic()
        key = (f"{who.org_id}:{who.subject}:{who.node_id or ''}", where)
        if now - self._told.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return
        self._told[key] = now
        self._told.move_to_end(key)
        if len(self._told) > KEPT:
            self._told.popitem(last=False)
        detail = {"why": why} | ({"node": who.node_id} if who.node_id else {})
        if self._note is None:
            # The frame puts a refused request on record by its notes; a socket's frame is none.
            call.notes.update(audit=DENIED, target=where, detail=detail)
            return
        row = AuditRow(
            happened_at=self._clock.now(),
            org_id=who.org_id,
            subject=who.subject,
            action=DENIED,
            target=where,
            outcome="refused",
            address=call.address,
            request_id=call.request_id,
            detail=detail,
        )
        self._note(row)
