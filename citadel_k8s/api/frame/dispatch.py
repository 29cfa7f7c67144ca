"""From a request to an answer: who asks, may they, how often, is it well formed; then the handler.

One coroutine does it all. A chain of middlewares would cost each request as much as all that is
done in here.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.access import check_access
from citadel_k8s.api.frame.address import Addresses, neighbourhood
from citadel_k8s.api.frame.answers import respond
from citadel_k8s.api.frame.auditing import Auditor, AuditRow, Outcome
from citadel_k8s.api.frame.failures import refusal_of, refusal_response
from citadel_k8s.api.frame.guard import GuardedConnection
from citadel_k8s.api.frame.headers import ADDRESS_KEY, REQUEST_ID, REQUEST_KEY, header_hook
from citadel_k8s.api.frame.journal import Journal, Tallies
from citadel_k8s.api.frame.limiter import Limiter
from citadel_k8s.api.frame.reading import BodyReader, QueryReader
from citadel_k8s.api.frame.refusal import RefusalError, bad_request, unavailable
from citadel_k8s.api.frame.route import Call, Route
from citadel_k8s.models.identity import Principal
from citadel_k8s.telemetry.log import get_logger

_log = get_logger("api")

Authenticator = Callable[[web.Request], Awaitable[Principal | None]]
"""Says who asks: None without any credential, RefusalError 401 with a bad one."""

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GONE: Final = 499
"""The usual status, in logs, of a request whose caller went away; nobody gets to see it."""

_PART_MAX: Final = 512
"""Longest part of a path, in characters: the longest name of ours has 253."""


async def nobody(_request: web.Request) -> None:
    """Authenticate nobody: for an API that has no credentials yet."""


@dataclass(frozen=True, slots=True)
class Door:
    """A route made ready: its readers built, its counters found."""

    route: Route
    status: int
    query: QueryReader
    body: BodyReader | None
    tallies: Tallies


@dataclass(slots=True)
class Frame:
    """What all routes share.

    Attributes
    ----------
    authenticate
        Says who asks.
    limiter, journal, addresses, clock
        What counts, what is noted, where from, when.
    auditor
        Takes the rows of the audit log; None keeps none.
    bad_values
        Errors of stores that are the caller's fault: answered 400.
    body_seconds
        Time for a body to arrive.
    """

    authenticate: Authenticator
    limiter: Limiter
    journal: Journal
    addresses: Addresses
    clock: Clock
    stopping: asyncio.Event
    auditor: Auditor | None = None
    bad_values: tuple[type[Exception], ...] = ()
    body_seconds: float = 15.0
    tls: bool = False

    def application(self, routes: Iterable[Route]) -> web.Application:
        """Give the application that answers routes."""
        app = web.Application(middlewares=[self._strays])
        by_path: dict[str, list[Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, []).append(route)
        for path, there in by_path.items():
            # One resource for all methods of a path, or a 405 would not name them all.
            resource = app.router.add_resource(path)
            taken = {route.method for route in there}
            for route in there:
                handler = self._handler(self._door(route))
                resource.add_route(route.method, handler)
                if route.method == "GET" and route.deadline is not None and "HEAD" not in taken:
                    resource.add_route("HEAD", handler)
        app.on_response_prepare.append(header_hook(tls=self.tls))
        app.on_shutdown.append(self._stop)
        return app

    async def _stop(self, _app: web.Application) -> None:
        self.stopping.set()

    def _door(self, route: Route) -> Door:
        status = min((code for code in route.answers if 200 <= code < 300), default=200)  # noqa: PLR2004
        body = BodyReader(route.body, route.body_max, self.body_seconds) if route.body else None
        timed = route.deadline is not None
        tallies = self.journal.tallies(route.method, route.path, route.log_every, timed=timed)
        return Door(route, status, QueryReader(route.query), body, tallies)

    def _handler(self, door: Door) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(door, request)

        return handle

    async def _answer(self, door: Door, request: web.Request) -> web.StreamResponse:
        clock = asyncio.get_running_loop().time
        started = clock()
        deadline = door.route.deadline
        connection = request.protocol
        if isinstance(connection, GuardedConnection):
            connection.began(deadline)
        request_id = self._identify(request)
        call = Call(request, request_id, self.addresses.of(request), stopping=self.stopping)
        request[ADDRESS_KEY] = call.address
        self.journal.in_flight += 1
        limit = asyncio.timeout(deadline)
        try:
            async with limit:
                response = await self._allowed(door, call)
        except Exception as error:  # noqa: BLE001 - this is the last place that knows the request
            late = isinstance(error, TimeoutError) and limit.expired()
            response = self._failed(door, call, error, late=late)
        finally:
            self.journal.in_flight -= 1
        self.journal.answered(door.tallies, call, response, clock() - started)
        return response

    async def _allowed(self, door: Door, call: Call) -> web.StreamResponse:
        route, request = door.route, call.request
        if not route.access.public:
            call.principal = principal = await self.authenticate(request)
            check_access(route.access, principal)
        self._count(route, call)
        for text in request.match_info.values():
            if "\0" in text or len(text) > _PART_MAX:
                raise bad_request("the path holds what no name can")
        call.query = door.query.read(request)
        if door.body is not None:
            call.body = await door.body.read(request)
        response = await respond(call, await route.handler(call), door.status)
        self._audit(route, call, "done" if response.status < 400 else "refused")  # noqa: PLR2004
        return response

    def _count(self, route: Route, call: Call) -> None:
        principal = call.principal
        if principal is None:
            # Whoever has no credential is known by nothing else; there is no quota of a day.
            key = f"address:{neighbourhood(call.address)}"
            self.limiter.take(key, route.cost, daily=False)
            return
        key = f"{principal.org_id}:{principal.subject}:{principal.node_id or ''}:{route.meter}"
        self.limiter.take(key, route.cost, paced=route.paced)

    def _failed(
        self, door: Door, call: Call, error: Exception, *, late: bool
    ) -> web.StreamResponse:
        request = call.request
        if request.writer.output_size > 0:
            return self._broken_off(call, error)
        refusal = refusal_of(error, self.bad_values)
        if isinstance(error, ConnectionError) and request.transport is None:
            refusal = RefusalError(_GONE, "gone", "the caller went away")
        if late:
            refusal = unavailable("this took too long; try again")
        if refusal is None:
            _log.error(
                "request_failed",
                exc_info=error,
                route=door.route.path,
                method=request.method,
                request_id=call.request_id,
            )
            self._audit(door.route, call, "failed")
            # What went wrong is for the log alone.
            broken = RefusalError(500, "internal", "something went wrong here; it was logged")
            return refusal_response(broken, call.request_id, self.clock.now())
        if refusal.status >= 500:  # noqa: PLR2004
            _log.warning("request_unavailable", error=str(error), request_id=call.request_id)
        self.journal.refused(refusal)
        if call.principal is not None:
            self._audit(door.route, call, "refused" if refusal.status < 500 else "failed")  # noqa: PLR2004
        extra = allowed_methods(error)
        return refusal_response(refusal, call.request_id, self.clock.now(), extra)

    def _broken_off(self, call: Call, error: Exception) -> web.StreamResponse:
        """End a stream that was begun: nothing can be said any more."""
        if not isinstance(error, ConnectionError | TimeoutError):
            _log.error("stream_failed", exc_info=error, request_id=call.request_id)
        if call.request.transport is not None:
            call.request.transport.close()
        raise ConnectionResetError("the stream was broken off") from error

    def _audit(self, route: Route, call: Call, outcome: Outcome) -> None:
        action = call.notes.get("audit", route.audit)
        if action is None or self.auditor is None:
            return
        principal = call.principal
        target = call.notes.get("target") or "/".join(call.request.match_info.values())
        self.auditor.note(
            AuditRow(
                happened_at=self.clock.now(),
                org_id=principal.org_id if principal else call.notes.get("org"),
                subject=principal.subject if principal else "anonymous",
                action=action,
                target=str(target),
                outcome=outcome,
                address=call.address,
                request_id=call.request_id,
                detail=call.notes.get("detail", {}),
            )
        )

    def _identify(self, request: web.Request) -> str:
        given = request.headers.get(REQUEST_ID)
        request_id = given if given and _SANE_ID.fullmatch(given) else secrets.token_hex(8)
        request[REQUEST_KEY] = request_id
        return request_id

    @web.middleware
    async def _strays(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]
    ) -> Any:
        """Give the router's own refusals the shape of all others."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            request_id = self._identify(request)
            refusal = refusal_of(error, ())
            self.journal.strayed(error.status)
            if refusal is None:  # never: it is one of the kinds that refusals are made of
                raise
            extra = allowed_methods(error)
            return refusal_response(refusal, request_id, self.clock.now(), extra)


def allowed_methods(error: Exception) -> dict[str, str]:
    """Give the headers that a 405 must have."""
    if not isinstance(error, web.HTTPMethodNotAllowed):
        return {}
    return {"Allow": ", ".join(sorted(error.allowed_methods))}
