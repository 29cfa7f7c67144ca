"""Asks, looks at each answer, and counts what should not be.

While one org asks alone, nothing of the others may change. Then all ask at the same time.
"""

import asyncio
import json
import random
import re
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from citadel_k8s.api.frame.route import Route
from tests.integration.api import isolation_stores as stores
from tests.integration.api.conftest import WholeApi
from tests.integration.api.isolation import HOUSE, ORGS, SHARED, Owners
from tests.integration.api.isolation_ears import PROXY, Ears, machines
from tests.integration.api.isolation_names import Names
from tests.integration.api.isolation_requests import Asked, Draw, Requests
from tests.integration.api.isolation_world import World

STREAMED = 0.12
"""Seconds that a stream is listened to which a request began."""

WEIGHTS = {"SSE": 3.0, "WebSocket": 1.5, "live": 6.0, "streams": 4.0, "pub/sub": 4.0, "kv": 2.0}
"""How often routes of a kind are asked: few routes carry most of what is told to others."""

PATIENCE = aiohttp.ClientTimeout(total=20)
"""What is not answered by then never is."""

SETTINGS: dict[str, Any] = {
    "live": {"allowed_cidrs": ["127.0.0.0/8"], "deadline_seconds": 1.5},
    "quota": {"requests_per_second": 1e6, "burst": 10**6, "daily_requests": 10**9},
    "trusted_proxies": ["127.0.0.1/32"],
    "trusted_header": {
        "name": "X-Forwarded-Email", "from_cidrs": ["10.255.0.0/16"], "org_id": "acme",
    },
}  # fmt: skip
"""What the API is run with: a fence in which all machines lie, and a proxy that nobody is."""


@dataclass
class Answer:
    """What came back."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Tally:
    """What was asked, and what should not have been answered."""

    asked: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    worked: set[tuple[str, str]] = field(default_factory=set)
    pairs: int = 0
    live: int = 0
    """Questions that a machine answered itself."""
    heard: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    told_apart: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All requests."""
        return self.asked.total()

    def wrong(self) -> list[str]:
        """Give all that should not be, a line each."""
        return [*dict.fromkeys(self.leaks), *self.changed, *self.told_apart, *self.broken]


@dataclass
class Run:
    """One run: the application, the world behind it, and what came of it so far."""

    api: WholeApi
    seed: int
    routes: list[Route] | None = None
    tally: Tally = field(default_factory=Tally)
    _seen: list[tuple[str, str, set[tuple[str, str]], str]] = field(default_factory=list)
    _said: dict[str, set[str]] = field(default_factory=lambda: {org: set() for org in ORGS})

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.owners = Owners(self.rng)
        self.world = World(self.owners, self.api.database, self.api.redis_url)
        routes = self.api.service.routes if self.routes is None else self.routes
        self.requests = Requests(self.owners, routes)

    async def go(self, total: int, rounds: int = 1) -> Tally:
        """Make so many requests, or a few more."""
        async with (
            machines(self.owners) as ports,
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=0)
            ) as client,
        ):
            self.client = client
            await self.world.fill(ports)
            for org, claimed in self.world.claims.items():
                self._said[org] |= claimed
            self.ears = Ears(self.api.url(""), self.owners, self.world, client)
            async with asyncio.TaskGroup() as group:
                tasks = self.ears.begin(group)
                await self.ears.settled()
                await self._rounds(total, rounds)
                await self._given_up()
                self.ears.over = True
                for task in tasks:
                    task.cancel()
            await self._judge()
        await self.world.redis.aclose()
        return self.tally

    async def _rounds(self, total: int, rounds: int) -> None:
        for number in range(rounds):
            left = total * (number + 1) // rounds - self.tally.total
            for place, org in enumerate(ORGS):
                share = left * (place + 1) // 4 + total * number // rounds
                await self._alone(org, share, number, place)
            left = total * (number + 1) // rounds - self.tally.total
            async with asyncio.TaskGroup() as group:
                for org in ORGS:
                    # Dice of its own: what it asks is no matter of who is answered first.
                    dice = random.Random(self.rng.randrange(2**60))
                    group.create_task(self._ask(org, -(-left // len(ORGS)), dice))

    async def _alone(self, org: str, until: int, number: int, place: int) -> None:
        before, at = await self._picture(), await stores.last(self.world)
        self.ears.speaking.set()
        if number == 0:
            for route in self.requests.routes:
                await self._one(route, org, self.rng, plain=True)
            await self._raid(org)
        for route in self.requests.routes[(number + place) % 3 :: 3]:
            await self._one(route, org, self.rng, aimed=True)
        await self._ask(org, until - self.tally.total, self.rng)
        after = await self._picture()
        for other in (*ORGS, HOUSE):
            if other != org:
                self._compare(org, other, before[other], after[other])
        strange = await stores.stamped(self.world, at) - {org}
        self.tally.changed += [f"{org} wrote an entry stamped {name!r}" for name in strange]
        self.ears.speaking.set()

    async def _raid(self, org: str) -> None:
        """Ask all nodes that claim another org's address, and those that may be asked."""
        live = [route for route in self.requests.routes if kind_of(route) == "live"]
        keys = self.owners.orgs[org].credentials["viewer"]
        for route in live:
            for node_id in SHARED:
                path = route.path.replace("{node_id}", node_id)
                answer = await self._send(Asked(route, "GET", path, keys, None, "viewer"), org)
                self.tally.live += '"live":true' in answer.text

    async def _given_up(self) -> None:
        """Ask again once all nodes were given up: their machines answer on."""
        async with self.api.database.transaction() as connection:
            await connection.execute("UPDATE nodes SET decommissioned_at = now()")
        for org in ORGS:
            await self._raid(org)

    async def _ask(self, org: str, count: int, dice: random.Random) -> None:
        """Make so many requests, or one more; a twin counts too."""
        weights = [WEIGHTS.get(kind_of(route), 1.0) for route in self.requests.routes]
        while count > 0:
            (route,) = dice.choices(self.requests.routes, weights)
            count -= await self._one(route, org, dice)

    async def _one(self, route: Route, org: str, dice: random.Random, **how: bool) -> int:
        """Make one request, and its twin if it names another's; give how many those were."""
        seed, owner = dice.randrange(2**60), self.owners.orgs[org]
        asked = self.requests.make(route, owner, seed, **how)
        answer = await self._send(asked, org)
        if route.deadline is not None and asked.foreign:
            twin = self.requests.make(route, owner, seed, twin=True, **how)
            self._alike(org, asked, answer, await self._send(twin, org))
            return 2
        return 1

    async def _send(self, asked: Asked, org: str) -> Answer:
        url = URL(self.api.url(asked.path), encoded=True)
        kind = kind_of(asked.route)
        self.tally.asked[kind] += 1
        self._hears(org, asked.said())
        if asked.route.path.endswith("/ws") and asked.method == "GET":
            answer = await self._talk(asked, org, url)
        else:
            try:
                answer = await self._answer(asked, url)
            except TimeoutError:
                answer = Answer(599, "no answer")
        who = asked.who if asked.who in {"nobody", "forged"} else org
        text = f"{answer.status}\n{answer.headers}\n{answer.text}"
        where = f"{asked.method} {asked.path} as {asked.who} of {org}: {answer.status}"
        self._seen.append((who, org, self.owners.found(text), where))
        self._uuids(who, org, text, where)
        self.tally.statuses[answer.status] += 1
        if answer.status < 400:
            self.tally.worked.add((asked.route.method, asked.route.path))
        if answer.status >= 500:
            self.tally.broken.append(f"{where} {answer.text[:200]}")
        for name, header in (("etag", "ETag"), ("cursor", "X-Next-Cursor")):
            if value := answer.headers.get(header):
                kept = self.owners.orgs[org].has.setdefault(name, [])
                kept[:] = [*kept[-30:], value]
        return answer

    async def _answer(self, asked: Asked, url: URL) -> Answer:
        async with self.client.request(
            asked.method,
            url,
            headers=asked.headers,
            data=asked.body,
            allow_redirects=False,
            timeout=PATIENCE,
        ) as response:
            body = b""
            if asked.route.deadline is None and response.content_type == "text/event-stream":
                with suppress(TimeoutError):
                    async with asyncio.timeout(STREAMED):
                        async for chunk in response.content.iter_any():
                            body += chunk
            else:
                body = await response.read()
            headers = dict(response.headers)
            return Answer(response.status, body.decode(errors="replace"), headers)

    async def _talk(self, asked: Asked, org: str, url: URL) -> Answer:
        rng = random.Random(zlib.crc32(asked.path.encode()) ^ self.rng.randrange(2**30))
        draw = Draw(self.owners, self.owners.orgs[org], rng)
        frames = Names(draw).frames()
        heard: list[str] = []
        try:
            async with self.client.ws_connect(url, headers=asked.headers) as socket:
                for frame in frames if asked.route.path == PROXY else frames[-1:]:
                    text = json.dumps(frame)
                    self._hears(org, text)
                    with suppress(ConnectionError):
                        await socket.send_str(text)
                with suppress(TimeoutError):
                    async with asyncio.timeout(STREAMED):
                        async for message in socket:
                            heard.append(str(message.data))  # noqa: PERF401 - kept when time is up
        except aiohttp.WSServerHandshakeError as error:
            return Answer(error.status, error.message)
        return Answer(101, "\n".join(heard))

    def _alike(self, org: str, asked: Asked, answer: Answer, twin: Answer) -> None:
        """Compare what is said of another's with what is said of nobody's."""
        if 429 in {answer.status, twin.status}:
            return
        self.tally.pairs += 1
        names = {**asked.foreign, **{t: t for t in asked.foreign.values()}}
        one, other = (plain_form(a, [*names, *names.values()]) for a in (answer, twin))
        if one != other:
            where = f"{asked.method} {asked.path} {(asked.body or b'')[:200]!r} as {asked.who}"
            said = f"of {org}: {answer.status} {one[1]!s:.300} but {twin.status} {other[1]!s:.300}"
            self.tally.told_apart.append(f"{where} {said}")

    async def _picture(self) -> dict[str, stores.Picture]:
        await self.ears.hush()
        auditor: Any = self.api.service._auditor
        async with asyncio.timeout(10):
            while auditor._rows:  # noqa: ASYNC110 - it is written each half second
                await asyncio.sleep(0.02)
        await self.api.service._limiter.exchange()
        return await stores.picture(self.world, self.ears.told)

    def _compare(self, org: str, other: str, before: stores.Picture, after: stores.Picture) -> None:
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                self.tally.changed.append(f"while {org} asked, {other}'s changed: {name[:300]}")

    def _hears(self, org: str, text: str) -> None:
        self._said[org] |= {m for _, m in self.owners.found(text)} | set(
            _UUID.findall(text.lower())
        )

    def _uuids(self, who: str, org: str, text: str, where: str) -> None:
        found = {("?", u) for u in _UUID.findall(text.lower())}
        if found:
            self._seen.append((who, org, found, where))

    async def _judge(self) -> None:
        """Look at all that was heard, knowing now who said what and what is whose."""
        owned = {i: org for org, some in (await stores.ids(self.world)).items() for i in some}
        for ear in self.ears.ears:
            found = self.owners.found("".join(ear.heard))
            self.tally.heard[ear.kind] += sum(owner == ear.org for owner, _ in found)
            self._seen.append((ear.org, ear.org, found, f"{ear.kind} of {ear.org}"))
        for who, org, found, where in self._seen:
            for owner, what in found:
                whose = owned.get(what) if owner == "?" else owner
                if whose is not None and whose != who and what not in self._said[org]:
                    self.tally.leaks.append(f"{where} told {what} of {whose}")


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def plain_form(answer: Answer, names: list[str]) -> tuple[int, Any]:
    """Give status and shape of an answer: of a refusal the words, too, without the names."""
    text = answer.text.lower()
    for name in sorted(map(str.lower, names), key=len, reverse=True):
        text = text.replace(name, "§")
    # What is quoted is the caller's own word, which may be cut.
    text = re.sub(r"'[^']*'", "''", text)
    text = re.sub(r"mk[a-z]+?[0-9a-f]{6}n?[0-9]*x?", "@", text)
    try:
        document = json.loads(text) if text else None
    except ValueError:
        return answer.status, len(text) > 0
    if answer.status >= 400 and isinstance(document, dict):
        return answer.status, {k: v for k, v in document.items() if k != "request_id"}
    return answer.status, shape(document)


def shape(document: Any) -> Any:
    """Give the shape of a document: its keys, and how many there are of each."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in sorted(document.items())}
    if isinstance(document, list):
        return [shape(value) for value in document]
    return type(document).__name__


def kind_of(route: Route) -> str:
    """Give the kind of a route, for the tables."""
    if route.path.endswith("/ws"):
        return "WebSocket"
    if route.deadline is None:
        return "SSE"
    for part, kind in (("/live", "live"), ("/kv", "kv"), ("/streams/", "streams"),
                       ("/pubsub/", "pub/sub"), ("/jobs/", "jobs")):  # fmt: skip
        if part in route.path:
            return kind
    return "REST, reading" if route.method in {"GET", "HEAD"} else "REST, changing"
