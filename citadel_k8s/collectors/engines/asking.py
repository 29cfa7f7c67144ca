"""One look at one engine: its questions at the same time, and one account of the answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from citadel_k8s.collectors.engines.answers import Listing, busy_slots
from citadel_k8s.collectors.engines.exposition import Exposition
from citadel_k8s.collectors.engines.families import Family
from citadel_k8s.collectors.engines.rates import Load, Rates
from citadel_k8s.collectors.probe import Getter, ProbeError, Seen, tried

T = TypeVar("T")

LISTING_EVERY: Final = 3
"""Looks to one question for the models of an engine whose metrics show that it lives: a list
changes with a restart, which the metrics show, or with an adapter."""

PAUSE: Final = 30
"""Looks after which something that is not offered is asked for again: five minutes."""

VERSION_TRIES: Final = 3
"""Questions for a version that are not answered before it is taken for not told."""

_NOT_OFFERED: Final = frozenset({401, 403, 404, 405, 501})
"""Answers that mean that there is no such page, or not for us."""

_ONLY_LIST: Final = frozenset({"Unauthorized", "NotTold"})
"""Reasons that say nothing of the engine but that its list cannot be had."""

_GONE: Final = frozenset({"ConnectionRefused", "ConnectFailed"})
"""Reasons that hold for the whole engine, whatever was asked."""


@dataclass(slots=True)
class Memory:
    """What is kept of one engine from look to look.

    ``ready``: it has served since it was last gone. ``steady``: its metrics show that it lives,
    so that its list need not. ``own_requests``: canaries since the last look.
    """

    looks: int = 0
    ready: bool = False
    steady: bool = False
    listing: Listing | None = None
    listed: int = 0
    version: str | None = None
    version_tries: int = 0
    pauses: dict[str, int] = field(default_factory=dict[str, int])
    rates: Rates = field(default_factory=Rates)
    seen: dict[str, Seen] = field(default_factory=dict[str, Seen])
    own_requests: int = 0

    def wants_list(self) -> bool:
        """Whether the models are to be asked for in this look."""
        overdue = self.looks - self.listed >= LISTING_EVERY
        return self.listing is None or not self.steady or overdue

    def may_ask(self, what: str) -> bool:
        """Whether a page is to be asked for, or was not offered a short while ago."""
        return self.looks >= self.pauses.get(what, 0)

    def not_offered(self, what: str) -> None:
        """Leave a page out for a while."""
        self.pauses[what] = self.looks + PAUSE

    def restarted(self) -> None:
        """Forget what holds for one process only."""
        self.listing = None
        self.version = None
        self.version_tries = 0
        self.pauses.clear()


@dataclass(frozen=True, slots=True)
class Facts:
    """One look's account. ``error`` is why something in it is missing."""

    health: str
    status: str = "running"
    listing: Listing | None = None
    load: Load = field(default_factory=Load)
    version: str | None = None
    error: ProbeError | None = None
    proven: bool = False


async def ask(family: Family, get: Getter, memory: Memory, at: float) -> Facts:
    """Look at an engine; ``at`` is the clock of durations. Ends when the getter's time is up."""
    memory.looks += 1
    wants_list = memory.wants_list()
    async with asyncio.TaskGroup() as group:
        listing = group.create_task(_if(wants_list, lambda: family.listing(get)))
        series = group.create_task(_exposition(family, get, memory))
        health = group.create_task(_healthy(family, get, memory))
        version = group.create_task(_version(family, get, memory))
    told, listed = series.result(), listing.result()
    known = version.result()
    load, proven = Load(), False
    if isinstance(told, Exposition) and family.series is not None:
        own, memory.own_requests = memory.own_requests, 0
        load, restarted = memory.rates.learn(told, family.series, at, own)
        proven = any(mark in told for mark in family.series.mark)
        if restarted:
            memory.restarted()
            known = None
            if not wants_list:
                listed = await tried(lambda: family.listing(get))
    else:
        memory.rates.forget()
        load = await _slots(family, get, memory)
    memory.steady = isinstance(told, Exposition) and not family.lists_load
    return _account(family, memory, (listed, health.result(), told, known), load, proven=proven)


def _account(
    family: Family,
    memory: Memory,
    answered: tuple[
        Listing | ProbeError | None, ProbeError | None, Exposition | ProbeError | None, str | None
    ],
    load: Load,
    *,
    proven: bool,
) -> Facts:
    listed, sick, told, version = answered
    if isinstance(listed, Listing):
        memory.listing, memory.listed = listed, memory.looks
    elif isinstance(listed, ProbeError):
        memory.listing = None
        proven = proven or bool(family.server and listed.server == family.server)
    health, error = _verdict(listed, sick, told, memory)
    if error is not None and error.reason in _GONE:
        memory.restarted()
        memory.rates.forget()
        memory.ready = False
        return Facts(health, _status(error), error=error)
    if health == "ok":
        memory.ready = True
    listing = memory.listing
    if listing is not None:
        listing = _in_memory(family, listing, load)
        load = replace(
            load,
            running=load.running if load.running is not None else listing.running,
            waiting=load.waiting if load.waiting is not None else listing.waiting,
        )
        proven = proven or family.kind in listing.proves
    version = version or (listing.version if listing else None)
    return Facts(health, "running", listing, load, version, error, proven)


def _verdict(
    listed: Listing | ProbeError | None,
    sick: ProbeError | None,
    told: Exposition | ProbeError | None,
    memory: Memory,
) -> tuple[str, ProbeError | None]:
    errors = [e for e in (listed, sick, told) if isinstance(e, ProbeError)]
    gone = next((e for e in errors if e.reason in _GONE), None)
    if gone is not None:
        return ("unhealthy" if gone.reason == "ConnectionRefused" else "unknown"), gone
    waits = next((e for e in errors if e.reason == "Starting" and e is not told), None)
    if waits is not None and memory.ready:
        # What was ready does not start: it has broken down, or lets nobody in.
        return "unhealthy", ProbeError("Unavailable", str(waits), status=waits.status)
    if waits is not None:
        return "starting", waits
    if isinstance(listed, ProbeError) and listed.reason in _ONLY_LIST and sick is None:
        # Only the list cannot be had; something else has to show that it serves.
        shown = memory.may_ask("health") or isinstance(told, Exposition)
        return ("ok" if shown else "unknown"), listed
    if sick is not None or isinstance(listed, ProbeError):
        return "unhealthy", next(e for e in (sick, listed) if isinstance(e, ProbeError))
    # The metrics were offered once, or broke off: it serves, and cannot be watched.
    return ("ok", None) if not errors else ("degraded", errors[0])


def _in_memory(family: Family, listing: Listing, load: Load) -> Listing:
    if load.asleep:
        return replace(listing, loaded=())
    if family.resident and listing.loaded is None:
        return replace(listing, loaded=listing.models)
    return listing


def _status(error: ProbeError) -> str:
    return "stopped" if error.reason == "ConnectionRefused" else "error"


async def _if(wanted: bool, ask: Callable[[], Awaitable[T]]) -> T | ProbeError | None:  # noqa: FBT001
    return await tried(ask) if wanted else None


async def _exposition(
    family: Family, get: Getter, memory: Memory
) -> Exposition | ProbeError | None:
    """Ask for the metrics; None if there are none to be had, and that is no trouble."""
    if family.series is None:
        return None
    error: ProbeError | None = None
    for place in family.metrics:
        what = f"{place.path}+{place.port_offset}"
        if not memory.may_ask(what):
            continue
        getter = get.beside(place.port_offset) if place.port_offset else get
        try:
            return Exposition(await getter(place.path))
        except ProbeError as refusal:
            if refusal.status in _NOT_OFFERED or (place.port_offset and refusal.reason in _GONE):
                memory.not_offered(what)
                continue
            error = refusal.bare()
            break
    return error


async def _healthy(family: Family, get: Getter, memory: Memory) -> ProbeError | None:
    if family.health is None or not memory.may_ask("health"):
        memory.not_offered("health")
        return None
    answer = await tried(lambda: get(family.health or ""))
    if not isinstance(answer, ProbeError):
        return None
    if answer.status in _NOT_OFFERED:
        memory.not_offered("health")
        return None
    if answer.status == 400:  # noqa: PLR2004
        # Triton's word for "not ready".
        return ProbeError("Starting", str(answer), status=answer.status)
    return answer


async def _version(family: Family, get: Getter, memory: Memory) -> str | None:
    if memory.version or memory.version_tries >= VERSION_TRIES:
        return memory.version
    memory.version_tries += 1
    for path in family.versions:
        answer = await tried(partial(get.read, path, family.version_of))
        if not isinstance(answer, ProbeError):
            memory.version = answer
            break
    return memory.version


async def _slots(family: Family, get: Getter, memory: Memory) -> Load:
    if family.slots is None or not memory.may_ask(family.slots):
        return Load()
    answer = await tried(lambda: get.read(family.slots or "", busy_slots))
    if isinstance(answer, ProbeError):
        if answer.status in _NOT_OFFERED:
            memory.not_offered(family.slots)
        return Load()
    return Load(running=answer)
