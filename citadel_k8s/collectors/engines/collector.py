"""All engines of the node: found, asked at the same time, told each once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.collectors.engines import checks, doors
from citadel_k8s.collectors.engines.acquaintance import (
    Acquaintance,
    in_its_pod,
    is_no_more,
    proves,
    without_key,
)
from citadel_k8s.collectors.engines.asking import Facts, ask
from citadel_k8s.collectors.engines.canary import BREATH, Aviary, Cage
from citadel_k8s.collectors.engines.commands import DEFAULT_PORTS
from citadel_k8s.collectors.engines.families import FAMILIES
from citadel_k8s.collectors.engines.identify import identify
from citadel_k8s.collectors.engines.names import Names
from citadel_k8s.collectors.engines.targets import Target, find_targets
from citadel_k8s.collectors.engines.telling import engine_of, missing, without_twins
from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.probe import LARGE_BODIES, Getter, ProbeError
from citadel_k8s.config.agent import Canary, EngineEndpoint
from citadel_k8s.models.readings import Engine, Listener, Outcome, Pod, Reading

PROBE_DEADLINE: Final = 2.0
"""Seconds that one engine may take for all its answers. Source: the wire contract."""

ENGINES_MAX: Final = 64
"""Services told of one node: fifty may be configured, a node has eight GPUs."""

STRANGERS_MAX: Final = 16
"""Ports of which it is found out in one collection what answers; the others wait for the next."""

CONNECTIONS_PER_ENGINE: Final = 4
"""Connections to one engine at a time: it is asked no more questions than that at once."""


NAME_SECONDS: Final = 30
"""Seconds for which the address of a configured name is kept: each look-up takes a thread."""


class EngineCollector:
    """Asks all engines of the node.

    Parameters
    ----------
    endpoints : sequence of EngineEndpoint
        Configured engines; one that does not answer is told as down.
    discover : bool
        Also look for engines: in pods that name one, behind ports on which one listens, and at
        the usual ports on loopback.
    ports : sequence of (str, int)
        What is looked for at loopback, and where.
    deadline : float
        Seconds that one engine may take, and so a collection.
    listeners, pods : callable
        Give what is known of the node now.
    canary : Canary or None
        Whether and how often requests are made; see `run_canary`.
    deep_checks : bool
        Also find databases, and ask those that answer further.
    clock : Clock or None
        What measures rates and pauses.
    """

    name = "engines"

    def __init__(
        self,
        endpoints: Sequence[EngineEndpoint],
        *,
        discover: bool = True,
        ports: Sequence[tuple[str, int]] = DEFAULT_PORTS,
        deadline: float = PROBE_DEADLINE,
        listeners: Callable[[], tuple[Listener, ...]] = tuple,
        pods: Callable[[], tuple[Pod, ...]] = tuple,
        canary: Canary | None = None,
        deep_checks: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._expected: tuple[str, ...] = ()
        self._discover = discover
        self._ports = tuple(ports)
        self._deadline = deadline
        self._listeners, self._pods = listeners, pods
        self._deep = deep_checks
        self._clock = clock or SystemClock()
        self._session: aiohttp.ClientSession | None = None
        self._gate = asyncio.Semaphore(LARGE_BODIES)
        self._known: dict[tuple[str, str], Acquaintance] = {}
        self._found: tuple[tuple[object, ...] | None, tuple[Target, ...]] = (None, ())
        self._names = Names()
        self._cages: dict[tuple[str, str], Cage] = {}
        self._aviary: Aviary | None = None
        if canary is not None and canary.enabled:
            self._aviary = Aviary(canary.interval_seconds, canary.timeout_seconds)

    def configure(self, endpoints: Sequence[EngineEndpoint], expected: Sequence[str] = ()) -> None:
        """Replace the configured engines from the next collection on.

        Parameters
        ----------
        endpoints : sequence of EngineEndpoint
            What is asked, in place of what was.
        expected : sequence of str
            Names or families of services that ought to be here; one that is not found is told as
            stopped.
        """
        self._endpoints = tuple(endpoints)
        self._expected = tuple(expected)

    async def collect(self) -> Outcome[tuple[Engine, ...]]:
        """Ask all at once; the slowest decides how long it takes, and no longer than a deadline."""
        session = self._open()
        until = asyncio.get_running_loop().time() + self._deadline
        now = self._clock.monotonic()
        asked = self._to_ask(now)
        async with asyncio.TaskGroup() as group:
            tasks = [
                (one, group.create_task(self._looked(session, one, until, now))) for one in asked
            ]
        looks = [(one, task.result()) for one, task in tasks]
        told = [(one, facts) for one, facts in looks if facts is not None]
        return Reading(self._told(without_twins(told)))

    async def run_canary(self, breath: float = BREATH) -> None:
        """Send canaries for ever, if that is set; to be run beside the collections.

        ``breath`` is the pause between two, and between two looks for one that is due.
        """
        if self._aviary is None:
            return
        loop = asyncio.get_running_loop()
        while True:
            key = self._aviary.due(self._cages, self._clock.monotonic())
            if key is not None:
                await self._aviary.send(key, self._cages[key], self._clock, loop.time)
            await asyncio.sleep(breath)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Not one limit for all: engines that hang would keep connections from the others.
                connector=aiohttp.TCPConnector(
                    limit=0, limit_per_host=CONNECTIONS_PER_ENGINE, ttl_dns_cache=NAME_SECONDS
                ),
                auto_decompress=False,  # a small body must not become a large one
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(),  # each question has its own end
            )
        return self._session

    def _to_ask(self, now: float) -> list[Acquaintance]:
        """Give those to ask in this collection, and forget those that are gone."""
        found = self._targets()
        before, self._known = self._known, {}
        asked: list[Acquaintance] = []
        strangers: list[Acquaintance] = []
        for target in found:
            one = before.get(target.key)
            if one is None or one.is_other(target):
                one = Acquaintance(target, target.kind)
            if one.target.pid not in {None, target.pid}:
                one.memory.ready = False  # another process may take its time to start
            one.target = target
            self._known[target.key] = one
            if target.configured or one.proven:
                asked.append(one)
            elif one.next_look <= now and not self._shut(target):
                (strangers if target.kind is None else asked).append(one)
        # Those that have waited longest are met first, or some would never be.
        strangers.sort(key=lambda one: one.next_look)
        return (asked + strangers[:STRANGERS_MAX])[:ENGINES_MAX]

    def _shut(self, target: Target) -> bool:
        return not target.sure and doors.is_shut(target.url.host, target.url.port)

    def _targets(self) -> tuple[Target, ...]:
        """Give what there is to ask, found out anew only where something has changed."""
        pods = self._pods() if self._discover else ()
        listeners = self._listeners() if self._discover else ()
        seen, targets = self._found
        now = (self._endpoints, pods, listeners)
        if seen is None or any(a is not b for a, b in zip(seen, now, strict=True)):
            targets = find_targets(
                self._endpoints,
                pods=pods,
                listeners=listeners,
                ports=self._ports if self._discover else (),
                databases=self._deep,
            )
            self._found = (now, targets)
        return targets

    async def _looked(
        self, session: aiohttp.ClientSession, one: Acquaintance, until: float, now: float
    ) -> Facts | None:
        """Look at one target; whatever it does to us is no trouble of the others."""
        try:
            return await self._look(session, one, until, now)
        except Exception as error:  # noqa: BLE001 - told as this engine's state
            told = one.target.configured or one.proven
            why = ProbeError("CollectorError", clean(f"{type(error).__name__}: {error}"))
            return Facts("unknown", error=why) if told else None

    async def _look(
        self, session: aiohttp.ClientSession, one: Acquaintance, until: float, now: float
    ) -> Facts | None:
        """Give what one target is found to be; None if it is not to be told."""
        target = one.target
        if one.doubted:
            one.begin_anew()
        get = await self._getter(session, one, until)
        if one.kind is None:
            one.kind = await identify(get, target.hints)
        facts = None if one.kind is None else await self._ask(get, one, now)
        if target.configured:
            return None if facts is None else in_its_pod(without_key(facts, one), one)
        if facts is None or facts.status == "running":
            if facts is None or not proves(facts, target, before=one.proven):
                one.turned_away(now)
                return None
            one.proven, one.pause = True, 0.0
            one.doubted = target.kind is None and is_no_more(facts)
            return facts
        if one.proven and target.kept:
            return facts
        one.begin_anew()
        one.proven = False
        return None

    async def _getter(
        self, session: aiohttp.ClientSession, one: Acquaintance, until: float
    ) -> Getter:
        path = one.target.api_key_file
        key = None if path is None else await doors.key_in(path, until)
        one.keyless = path is not None and key is None
        return Getter(
            session, one.target.url, until=until, gate=self._gate, key=key, seen=one.memory.seen
        )

    async def _ask(self, get: Getter, one: Acquaintance, now: float) -> Facts:
        family = FAMILIES.get(one.kind or "")
        if family is not None:
            return await ask(family, get, one.memory, now)
        _, check = checks.CHECKS[one.kind or ""]
        return await check(get, deep=self._deep)

    def _told(self, looks: list[tuple[Acquaintance, Facts]]) -> tuple[Engine, ...]:
        configured = [e.name for e in self._endpoints]
        self._names.keep([one.target.key for one, _ in looks], configured)
        engines: list[Engine] = []
        cages: dict[tuple[str, str], Cage] = {}
        for one, facts in looks:
            target, kind = one.target, one.kind or ""
            name = target.name or kind
            if not target.configured:
                name = self._names.of(target.key, name, target.url.port)
            bird = self._aviary.birds.get(target.key) if self._aviary is not None else None
            engines.append(engine_of(name, kind, target, facts, bird))
            if facts.health == "ok" and kind in FAMILIES:
                cages[target.key] = self._cage(one, facts)
        self._cages = cages
        # Finds come in the order in which they prove themselves; a report is to be the same.
        first = len(self._endpoints)
        engines[first:] = sorted(engines[first:], key=lambda engine: engine.name)
        return (*engines, *missing(self._expected, engines))

    def _cage(self, one: Acquaintance, facts: Facts) -> Cage:
        def sent() -> None:
            one.memory.own_requests += 1

        async def getter(until: float) -> Getter:
            return await self._getter(self._open(), one, until)

        return Cage(FAMILIES[one.kind or ""], facts, sent, getter)
