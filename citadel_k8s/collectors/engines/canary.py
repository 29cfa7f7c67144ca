"""A request of one token now and then, to see that a ready engine answers and not only listens."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.collectors.engines.asking import Facts
from citadel_k8s.collectors.engines.families import Family
from citadel_k8s.collectors.probe import Getter, ProbeError

FAILURES: Final = 2
"""Canaries that fail in a row before the engine is degraded: one may meet a long queue."""

UNFIT_TURNS: Final = 10
"""Turns that an engine which takes none of the requests is left out; it may serve another model
one day."""

BREATH: Final = 1.0
"""Seconds between two canaries of a node, and between two looks for one that is due."""


_EVER: Final = 365 * 86400.0
"""Seconds that stand for "until told otherwise": Ollama gives a date centuries ahead then."""


@dataclass(slots=True)
class Singing:
    """What is known of one engine's canaries; ``request`` is the one that it takes."""

    due: float
    seconds: float | None = None
    failures: int = 0
    error: str | None = None
    request: int = 0


@dataclass(frozen=True, slots=True)
class Cage:
    """A ready engine to which a canary may be sent, as the last look found it."""

    family: Family
    facts: Facts
    sent: Callable[[], None]
    getter: Callable[[float], Awaitable[Getter]]


@dataclass(slots=True)
class Aviary:
    """All canaries of a node: one at a time, each engine's at least an interval apart.

    A canary that fails is not sent again before its next turn.
    """

    interval: float
    timeout: float
    birds: dict[Any, Singing] = field(default_factory=dict[Any, Singing])

    def due(self, cages: Mapping[Any, Cage], now: float) -> Any | None:
        """Give the key of the engine that has waited longest past its turn, if there is one."""
        for gone in self.birds.keys() - cages.keys():
            # One that comes and goes is asked no more often for that.
            if self.birds[gone].due <= now:
                del self.birds[gone]
        for key in cages:
            self.birds.setdefault(key, Singing(due=now))
        waiting = [key for key in cages if self.birds[key].due <= now]
        return min(waiting, key=lambda key: self.birds[key].due, default=None)

    async def send(
        self, key: Any, cage: Cage, clock: Clock, loop_time: Callable[[], float]
    ) -> None:
        """Send one and keep what comes of it.

        Parameters
        ----------
        key : hashable
            Whose it is.
        cage : Cage
            The engine.
        clock : Clock
            The machine's clocks.
        loop_time : callable
            The event loop's clock, by which its timeout is set.
        """
        bird = self.birds[key]
        bird.due = clock.monotonic() + self.interval
        requests = tuple(_requests(cage, clock.now()))
        if not requests:
            bird.seconds = None
            return
        get = await cage.getter(loop_time() + self.timeout)
        for number, (path, document) in enumerate(requests):
            if number < bird.request:
                continue
            started = clock.monotonic()
            cage.sent()
            try:
                await get(path, post=document)
            except ProbeError as error:
                if error.status in {400, 404, 405} and number + 1 < len(requests):
                    continue
                self._refused(bird, error)
                return
            bird.request, bird.failures, bird.error = number, 0, None
            bird.seconds = clock.monotonic() - started
            return

    def _refused(self, bird: Singing, error: ProbeError) -> None:
        bird.seconds = None
        status = error.status
        if status is not None and 400 <= status < 500:  # noqa: PLR2004
            # The engine answers; it does not take this request: no text model, a key, its limits.
            if status not in {401, 403, 408, 429}:
                bird.due += self.interval * (UNFIT_TURNS - 1)
                bird.request = 0
            bird.failures, bird.error = 0, None
            return
        bird.failures += 1
        bird.error = str(error)


def verdict(bird: Singing | None) -> ProbeError | None:
    """Give what is wrong with an engine by its canaries; None if nothing is known to be."""
    if bird is None or bird.failures < FAILURES:
        return None
    return ProbeError(
        "CanaryFailed", f"{bird.failures} requests of one token failed in a row: {bird.error}"
    )


def _requests(cage: Cage, now: float) -> Iterator[tuple[str, dict[str, Any]]]:
    model = model_for(cage.facts)
    for canned in cage.family.canary:
        document = dict(canned.document)
        if canned.model is not None:
            if model is None:
                return
            document[canned.model] = model
        leaves = None if cage.facts.listing is None else cage.facts.listing.leaves
        if leaves is not None:
            # As long as it would have stayed anyway: a canary holds no model in memory.
            document["keep_alive"] = max(1, round(leaves - now)) if leaves < now + _EVER else -1
        yield canned.path, document


def model_for(facts: Facts) -> str | None:
    """Give a model that is in memory for sure: a canary is no reason to load one."""
    listing = facts.listing
    if listing is None:
        return None
    adapters: Sequence[str] = listing.adapters or ()
    if listing.loaded is None:
        return listing.models[0] if len(listing.models) == 1 and listing.count == 1 else None
    return next((m for m in listing.loaded if m not in adapters), None)
