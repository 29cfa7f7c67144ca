"""Which of several operators writes: the one that holds a Lease, and surely still does.

The rules are in `domain.election`. Here is the asking: each request bounded, each moment taken
from the monotonic clock, and the answer to "may I write" a comparison with that clock and nothing
else, so that it is right in a process that stood still for half a minute, too.
"""

import asyncio
import random
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.config.operator import Election
from citadel_k8s.domain.election import (
    NOTHING,
    RETRY,
    RETRY_FAILED,
    Sighting,
    claim_of,
    free_at,
    leads_until,
    proven_at,
    released_spec,
    renewed_spec,
    sighted,
)
from citadel_k8s.errors import KubeError
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.leader")

ATTEMPT: Final = 5.0
"""Seconds for one request about the Lease: two attempts that hang fit into the 13 s for which a
holder may go without a renewal."""

RELEASE_TIMEOUT: Final = 2.0
"""Seconds for giving the Lease back at the end; without an answer it runs out by itself."""

JITTER: Final = 0.1
"""Share by which a pause of whoever waits is lengthened at random, so that several do not ask in
step for ever."""

SOON: Final = 0.05
"""Shortest pause in seconds, whatever the rules say: a mistake must not become a busy loop."""

CONFLICTS: Final = frozenset({404, 409})
"""HTTP statuses that say that the Lease is not as it was: looked at again at once."""

HINTS: Final = {
    401: "; the token or certificate in the kubeconfig is not taken",
    403: "; the account lacks rights to its Lease: apply manifests/rbac.yaml",
    404: "; the namespace of the election does not exist",
}
"""What to do about a refusal, by HTTP status."""

_LONG_AGO: Final = float("-inf")
_NOT_YET: Final = float("inf")

Object = dict[str, Any]


class LeaseApi(Protocol):
    """What the election asks of the API server; `clients.kube.KubeClient` has it."""

    async def get_lease(
        self, namespace: str, name: str, *, timeout: float | None = None
    ) -> Object | None:
        """Give a Lease, or None if it does not exist."""
        ...

    async def create_lease(self, body: Object, *, timeout: float | None = None) -> Object:
        """Create a Lease."""
        ...

    async def replace_lease(self, body: Object, *, timeout: float | None = None) -> Object:
        """Replace a Lease of this very version."""
        ...


def _nothing() -> None:
    """Do nothing."""


class Leadership:
    """The part of this operator in the election.

    Parameters
    ----------
    api : LeaseApi
        The API server; not one that is guarded by this very leadership.
    settings : Election
        Which Lease. Without election this operator always leads.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics or None
        What is counted.
    on_lead, on_depose : callable
        Told at the beginning and at the noticed end of each time as leader; must not block.
        The end may be noticed late, as by a process that stood still: `leads` knows at once.
    jitter : callable
        Gives a random number in [0, 1).

    Attributes
    ----------
    identity
        Who this is in the Lease; another for each process, whatever it was given.
    term
        How many times this operator has begun to lead.
    led
        Set while it leads, as far as it has noticed.
    trouble
        Why the Lease cannot be read or renewed; None if it can.
    """

    def __init__(
        self,
        api: LeaseApi,
        settings: Election,
        clock: Clock,
        metrics: OperatorMetrics | None = None,
        *,
        on_lead: Callable[[], None] = _nothing,
        on_depose: Callable[[], None] = _nothing,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.identity = f"{settings.identity or socket.gethostname()}_{secrets.token_hex(4)}"
        self.term = 0
        self.led = asyncio.Event()
        self.trouble: str | None = None
        self.on_lead, self.on_depose = on_lead, on_depose
        self._api, self._settings, self._clock, self._jitter = api, settings, clock, jitter
        self._metrics = metrics
        self._until = _LONG_AGO if settings.enabled else _NOT_YET
        self._renewed_at: float | None = None
        self._lease: Object | None = None
        self._certain = False
        self._proven_at = _LONG_AGO
        self._sighting = Sighting(NOTHING, clock.monotonic())
        self._told: str | None = None
        self._repeats = RepeatLog(_log, "lease_failing", clock=clock)
        if metrics is not None:
            metrics.leader.set_function(lambda: float(self.leads()))
            metrics.lease_age.set_function(self._renewal_age)

    def leads(self) -> bool:
        """Say whether this operator may write at this moment."""
        return self._clock.monotonic() < self._until

    def remaining(self) -> float:
        """Give the seconds for which it may still write, 0 if it may not."""
        return max(0.0, self._until - self._clock.monotonic())

    @property
    def holder(self) -> str | None:
        """Who was last seen holding the Lease; None if nobody was."""
        return self._sighting.claim.holder if self._settings.enabled else self.identity

    async def run(self) -> None:
        """Try to lead, and go on trying, for ever."""
        if not self._settings.enabled:
            self._begin()
            await asyncio.Event().wait()
        while True:
            pause = await self._round()
            if self.led.is_set():  # to notice the end when it comes
                pause = min(pause, self.remaining())
            await asyncio.sleep(max(pause, SOON))
            self._notice_end()

    async def release(self) -> None:
        """Give the Lease back, so that another takes over at once.

        To be called last of all: when `run` and everything that writes have ended.
        """
        if not self._settings.enabled:
            return
        self._depose("gives the Lease back", of_own_will=True)
        if self.holder != self.identity or self._clock.monotonic() < self._proven_at:
            return  # not ours, or not surely ours alone: then it runs out
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT):
                if not self._certain:
                    await self._look()
                if self.holder == self.identity and self._lease is not None:
                    await self._replace(
                        released_spec(self._sighting.claim, self._clock.now()), RELEASE_TIMEOUT
                    )
        except (KubeError, TimeoutError) as error:
            _log.info("lease_not_given_back", error=str(error) or "no answer")

    async def _round(self) -> float:
        """Look where it is needed, take or renew where it is allowed; give the pause after it."""
        for conflict_is_news in (True, False):
            try:
                return await self._try()
            except KubeError as error:
                self._notice_end()
                if error.status in CONFLICTS and conflict_is_news:
                    continue
                self._failed(error)
        return RETRY_FAILED

    async def _try(self) -> float:
        if not (self.leads() and self._certain):
            await self._ask(self._look())
        now = self._clock.monotonic()
        free = free_at(self._sighting, self.identity)
        if self.leads() or now >= free:
            await self._ask(self._take())
        self.trouble = None
        self._repeats.recovered()
        if self.holder == self.identity:
            return RETRY
        return min(RETRY * (1 + JITTER * self._jitter()), free - now)

    async def _ask(self, request: Any) -> None:
        limit = min(ATTEMPT, self.remaining()) if self.leads() else ATTEMPT
        try:
            # Around all of it: renewing a token happens before the request's own limit begins.
            async with asyncio.timeout(limit):
                await request
        except TimeoutError as error:
            raise KubeError(0, f"the Lease: no answer within {limit:.3g} s") from error

    async def _look(self) -> None:
        settings = self._settings
        self._certain = False
        lease = await self._api.get_lease(settings.namespace, settings.name, timeout=ATTEMPT)
        self._saw(lease)

    async def _take(self) -> None:
        before, asked_at = self._sighting.claim, self._clock.monotonic()
        if before.holder != self.identity and not self.leads():
            self._proven_at = _NOT_YET if before.vacant else _LONG_AGO
        spec = renewed_spec(before, self.identity, self._clock.now())
        if self._lease is not None:
            await self._replace(spec, ATTEMPT)
        else:
            self._certain = False
            settings = self._settings
            metadata = {"namespace": settings.namespace, "name": settings.name}
            self._saw(await self._api.create_lease(_lease(metadata, spec), timeout=ATTEMPT))
        self._notice_end()  # of the time before, where this answer came too late for it
        if self.holder == self.identity and asked_at >= self._proven_at:
            self._renewed(asked_at)

    async def _replace(self, spec: Object, timeout: float) -> None:
        # Until the answer is there, nobody knows whether it was done.
        self._certain = False
        known = self._lease or {}
        settings = self._settings
        metadata = {
            **known.get("metadata", {}),
            "namespace": settings.namespace,
            "name": settings.name,
        }
        # What else somebody wrote into it stays.
        others: Object = {**(known.get("spec") or {})}
        others.pop("holderIdentity", None)
        body = _lease(metadata, {**others, **spec})
        self._saw(await self._api.replace_lease(body, timeout=timeout))

    def _saw(self, lease: Object | None) -> None:
        claim = claim_of(lease)
        self._lease, self._certain = lease, True
        self._sighting = sighted(self._sighting, claim, self._clock.monotonic())
        if claim.holder == self.identity and self._proven_at == _NOT_YET:
            # Seen by whichever answer came: that of the taking may have been lost.
            self._proven_at = proven_at(self._clock.monotonic())
        if claim.holder not in {None, self.identity}:
            self._depose(f"the Lease is {claim.holder}'s")
        elif claim.released:
            self._depose("the Lease was given back")
        if claim.holder != self._told:
            self._told = claim.holder
            if claim.holder not in {None, self.identity}:
                _log.info("standing_by", holder=claim.holder)

    def _renewed(self, asked_at: float) -> None:
        self._renewed_at = asked_at
        self._until = leads_until(asked_at)
        if self.leads() and not self.led.is_set():
            self._begin()

    def _begin(self) -> None:
        self.term += 1
        self.led.set()
        _log.info("leading", identity=self.identity, term=self.term)
        self.on_lead()

    def _notice_end(self) -> None:
        if self._settings.enabled and not self.leads():
            self._depose("could not renew the Lease in time")

    def _depose(self, why: str, *, of_own_will: bool = False) -> None:
        self._until = _LONG_AGO
        if self.led.is_set():
            self.led.clear()
            tell = _log.info if of_own_will else _log.warning
            tell("deposed", identity=self.identity, reason=why)
            self.on_depose()

    def _failed(self, error: KubeError) -> None:
        self.trouble = f"{error}{HINTS.get(error.status, '')}"
        self._repeats.failed(error=self.trouble)
        if self._metrics is not None:
            self._metrics.lease_failures.labels(status=str(error.status)).inc()

    def _renewal_age(self) -> float:
        at = self._renewed_at
        return float("nan") if at is None else self._clock.monotonic() - at


def fenced(api: KubeClient, leadership: Leadership) -> KubeClient:
    """Give a client whose writes are sent only while this operator leads, and end with its lease.

    Another write than these has status ``-2``, and was not sent.
    """
    return api.guarded(leadership.remaining)


def _lease(metadata: Object, spec: Object) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": spec,
    }
