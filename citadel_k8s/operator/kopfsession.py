"""kopf's requests as they go: paced where kopf would not, and told where kopf is silent.

kopf begins each watch with a LIST and makes a task of each object in it: 10 s of a core for 10,000,
for what the sweep tells anyway. So its LISTs are asked for nobody, and the sweep is told of them.

kopf repeats a request that was refused with a growing pause. It repeats one at once, for ever and
without a word, whose answer began well and broke off: a watch that a proxy ends after its
headers was begun anew 60 times a second.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

import aiohttp
import kopf
from yarl import URL

from citadel_k8s.aio.clock import Clock
from citadel_k8s.models.fabricnode import GROUP, PLURAL, VERSION

OBJECTS: Final = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
NODES: Final = "/api/v1/nodes"

NOBODY: Final = "metadata.name=0"
"""Field selector of kopf's LISTs: where they give the place from which to watch, and no object."""

LIVED: Final = 5.0
"""Seconds after which a watch counts as having been well: each lasts 600 unless it is cut off."""

PAUSES: Final = (0.0, 1.0, 2.0, 4.0)
"""Seconds before a request whose answers break off is made again, by how often they did."""

ANSWER_LATE: Final = 10.0
"""Seconds without a first byte after which the server is said not to answer. A LIST of 500 objects
takes under 1 s, and a watch is answered before anything happens."""

OK: Final = 200
"""HTTP status."""


@dataclass(slots=True)
class _Course:
    """How one request, as it is made again and again, fares. Times are monotonic."""

    asked_at: float
    answered: bool = False
    served: bool = False
    broken: int = 0
    response: aiohttp.ClientResponse | None = None


class Requests:
    """Looks at each of kopf's requests. Lives in kopf's thread; may be read from any.

    Parameters
    ----------
    clock : Clock
        The operator's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._relisted: Callable[[], None] = lambda: None
        self._courses: dict[str, _Course] = {}
        self._listed: set[str] = set()

    @property
    def well(self) -> bool:
        """Whether the watches have been open for a while."""
        now = self._clock.monotonic()
        found = [self._courses.get(f"WATCH {path}") for path in (OBJECTS, NODES)]
        return self.open and all(c is not None and now - c.asked_at > LIVED for c in found)

    @property
    def trouble(self) -> str | None:
        """What goes wrong that kopf says nothing about; None if nothing does."""
        now = self._clock.monotonic()
        for asked, course in list(self._courses.items()):
            age = now - course.asked_at
            if not course.answered and age > ANSWER_LATE:
                return f"{asked}: no answer for {age:.0f} s"
            if course.broken > 1 and age <= LIVED:
                return f"{asked}: broke off {course.broken} times in a row"
        return None

    @property
    def open(self) -> bool:
        """Whether both watches are open."""
        return all(self._is_open(path) for path in (OBJECTS, NODES))

    def session(
        self, info: kopf.ConnectionInfo, relisted: Callable[[], None] = lambda: None
    ) -> kopf.AiohttpSession:
        """Give the session that kopf is to use, as it would have made it.

        Parameters
        ----------
        info : ConnectionInfo
            Server and credentials.
        relisted : callable
            Told when a watch is open after a LIST: what was there before, no event tells.
        """
        self._relisted = relisted
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._starts)
        trace.on_request_end.append(self._ends)
        trace.on_request_exception.append(self._fails)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
            headers=info.as_http_headers(),
            proxy=info.proxy_url,
            trust_env=info.trust_env,
            trace_configs=[trace],
            middlewares=[_list_nobody],
        )
        return kopf.AiohttpSession(
            server=info.server,
            default_namespace=info.default_namespace,
            expiration=info.expiration,
            aiohttp_session=session,
        )

    def _is_open(self, path: str) -> bool:
        course = self._courses.get(f"WATCH {path}")
        response = course.response if course is not None else None
        return response is not None and not response.closed

    async def _starts(
        self,
        _: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        context.asked = asked = _asked(params.url)
        if asked is None:
            return
        before, now = self._courses.get(asked), self._clock.monotonic()
        course = _Course(now)
        if before is not None and before.served and now - before.asked_at <= LIVED:
            course.broken = before.broken + 1
            await asyncio.sleep(PAUSES[min(course.broken, len(PAUSES)) - 1])
            course.asked_at = self._clock.monotonic()
        self._courses[asked] = course

    async def _ends(
        self,
        _: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        course = self._courses.get(context.asked or "")
        if course is None:
            return
        course.answered = True
        course.served = params.response.status == OK
        if not course.served:
            return
        verb, _, path = context.asked.partition(" ")
        if verb == "LIST":
            self._listed.add(path)
            return
        course.response = params.response
        if path in self._listed:
            self._listed.discard(path)
            self._relisted()

    async def _fails(
        self,
        _: aiohttp.ClientSession,
        context: SimpleNamespace,
        __: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        course = self._courses.get(context.asked or "")
        if course is not None:
            course.answered, course.served = True, False  # kopf has a pause of its own for that


async def _list_nobody(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    if (_asked(request.url) or "").startswith("LIST"):
        request.url = request.url.update_query(fieldSelector=NOBODY)
    return await send(request)


def _asked(url: URL) -> str | None:
    """Name what is asked; None for what kopf asks once, and for the further chunks of a LIST."""
    if url.path not in {OBJECTS, NODES} or "continue" in url.query:
        return None
    return f"{'WATCH' if 'watch' in url.query else 'LIST'} {url.path}"
