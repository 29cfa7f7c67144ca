"""Tells nodes what their objects ask of them, until they report that they have it.

The stream is the truth and what a node reports is the proof: whoever reports another revision for
two intervals is told again, less and less often. Nobody who is silent is told anything; what a
node missed, it shows when it is back.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.config.agent import check_engine
from citadel_k8s.domain.desiredconfig import (
    Desired,
    desired_config,
    is_ours,
    step_to,
    tells_nothing,
)
from citadel_k8s.domain.facts import NodeFacts, clip
from citadel_k8s.domain.liveness import ALIVE
from citadel_k8s.errors import StreamError, WireError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import NodeRecord, ObservedObject
from citadel_k8s.operator.registry import Registry
from citadel_k8s.stores.configsender import ConfigMessage, Sent
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.configpush")

TICK: Final = 1.0
"""Seconds between two looks at who wants what."""

SETTLE: Final = 2.0
"""Seconds from a change of an object until it is sent: what is typed in one go goes in one."""

SENDS_PER_TICK: Final = 10
"""Messages sent per look. Each node reads them all: to 5,000 nodes these are 50,000 a second."""

CHECKS_PER_TICK: Final = 500
"""Configurations checked per look: each takes up to 0.1 ms, and nothing else runs meanwhile."""

AGAIN_FIRST: Final = 60.0
"""Seconds before a node is told the same again, doubled each time."""

AGAIN_MAX: Final = 3600.0
"""Longest wait before a node is told the same again, in seconds: somebody else tells it otherwise
as often, and neither gives way."""

STEADY: Final = 600.0
"""Seconds that a node keeps what it was told before it is told quickly again."""

DIFFERS: Final = 2.0
"""Intervals for which a node reports another revision than it was sent before it is told again."""

FORGOTTEN_AFTER: Final = 72 * 3600.0
"""Seconds for which it is remembered what a node was told that is not there any more."""

ERROR_MAX: Final = 512
"""Characters kept of why a configuration cannot be sent: a condition's message."""

PAUSE_FIRST: Final = 1.0
"""Seconds before a stream that took no message is tried again, doubled each time."""

PAUSE_MAX: Final = 15.0
"""Longest base of that pause, in seconds; chance makes it up to twice as long."""

NOT_TARGETED: Final = (
    "NotTargeted: what speaks for this node is no agent of this project and would take what is"
    " meant for others"
)
"""Why nodes that run the older agent are told nothing."""


class Sender(Protocol):
    """What sends; `stores.configsender.ConfigSender` does."""

    async def send(self, message: ConfigMessage, at: float) -> None:
        """Send one message and remember it; raises `StreamError`."""
        ...

    async def load(self) -> dict[str, Sent]:
        """Give what was sent, by node; raises `StreamError`."""
        ...

    async def forget(self, node_ids: Collection[str]) -> None:
        """Forget what was sent to some nodes; raises `StreamError`."""
        ...


@dataclass(slots=True)
class _Plan:
    """What one node is to have, and how far that is.

    ``done_with`` is the pair of facts and object of which nothing is left to be made.
    """

    source: tuple[str, int | None] | None = None
    desired: Desired | None = None
    error: str | None = None
    sent: str | None = None
    changing: bool = False
    not_before: float = 0.0
    repeats: int = 0
    differs_since: float | None = None
    agrees_since: float | None = None
    done_with: tuple[NodeFacts | None, ObservedObject | None] | None = None

    def is_done(self, record: NodeRecord) -> bool:
        done = self.done_with
        return done is not None and done[0] is record.facts and done[1] is record.observed


_NOTHING: Final = desired_config(None, "", check_engine)


class ConfigPush:
    """Sends configuration.

    Parameters
    ----------
    sender : Sender
        The stream.
    registry : Registry
        What is known; each record's ``config_wanted``, ``config_error`` and
        ``config_unsupported`` are set here.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    leads : callable
        Says whether this process is the one that sends; asked before each message.
    jitter : callable
        Gives a factor in [0, 1) by which pauses are lengthened.
    """

    def __init__(
        self,
        sender: Sender,
        registry: Registry,
        clock: Clock,
        metrics: OperatorMetrics,
        *,
        leads: Callable[[], bool] = lambda: True,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._sender = sender
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._leads = leads
        self._jitter = jitter
        self._plans: dict[str, _Plan] = {}
        self._loaded = False
        self._backoff = Backoff(PAUSE_FIRST, PAUSE_MAX, jitter=jitter)
        self._trouble = RepeatLog(_log, "config_not_sent", clock=clock)

    async def run(self) -> None:
        """Send for ever."""
        while True:
            pause = TICK
            try:
                await self.turn()
            except StreamError as error:
                self._metrics.config_sends.labels(result="failed").inc()
                self._trouble.failed(error=str(error))
                pause = self._backoff.pause()
            await asyncio.sleep(pause)

    async def turn(self) -> None:
        """Look once at all nodes, and send what is due as far as the budget goes.

        Raises
        ------
        StreamError
            If a message, or what was sent before, is not known to be in Redis.
        """
        due = self.due()
        if not self._leads():
            self._loaded = False  # another one sends now, and remembers
            return
        if not self._loaded:
            await self._recall()
            due = self.due()
        for record, plan in due[:SENDS_PER_TICK]:
            if not self._leads():
                return
            await self._send(record, plan)
        self._trouble.recovered()
        self._backoff.reset()

    def due(self) -> list[tuple[NodeRecord, _Plan]]:
        """Bring the records up to date; give those to be told now, new wishes first."""
        now = self._clock.monotonic()
        budget = CHECKS_PER_TICK
        due: list[tuple[NodeRecord, _Plan]] = []
        pending = 0
        for record, plan in self._concerned():
            if _outdated(record, plan):
                if not budget:
                    continue
                budget -= 1
                _check(record, plan, now)
            wanted = self._update(record, plan, now)
            if wanted is None or wanted == _reported(record):
                if not plan.repeats:
                    plan.done_with = (record.facts, record.observed)
                continue
            pending += 1
            if _is_due(record, plan, wanted, now):
                due.append((record, plan))
        self._metrics.config_pending.set(pending)
        due.sort(key=lambda one: (one[1].repeats, one[1].not_before))
        return due

    def _concerned(self) -> Iterator[tuple[NodeRecord, _Plan]]:
        nodes = self._registry.nodes
        if len(self._plans) > len(nodes):
            self._plans = {key: plan for key, plan in self._plans.items() if key in nodes}
        for node_id, record in nodes.items():
            plan = self._plans.get(node_id)
            if plan is None:
                if record.kept_spec.get("config") is None and tells_nothing(_reported(record)):
                    continue
                plan = self._plans[node_id] = _Plan()
            elif plan.is_done(record):
                continue
            yield record, plan

    def _update(self, record: NodeRecord, plan: _Plan, now: float) -> str | None:
        """Put what is known of a plan into its record; give the revision that is wanted."""
        wanted, error = _wanted(record, plan), plan.error
        facts = record.facts
        if wanted is not None and facts is not None and facts.agent_version is None:
            wanted, error = None, NOT_TARGETED
        unsupported = plan.desired.unsupported if plan.desired else ()
        news = (wanted, error, unsupported)
        if news != (record.config_wanted, record.config_error, record.config_unsupported):
            record.config_wanted, record.config_error, record.config_unsupported = news
            self._registry.checks.set(record.node_id, now)
        if wanted is not None and wanted == _reported(record):
            plan.differs_since, plan.changing = None, False
            if plan.agrees_since is None:
                plan.agrees_since = now
            elif now - plan.agrees_since > STEADY:
                plan.repeats = 0
        else:
            plan.agrees_since = None
            if not _speaks(record, now):
                plan.differs_since = None
            elif plan.differs_since is None:
                plan.differs_since = now
        return wanted

    async def _recall(self) -> None:
        """Learn what the one before sent; what it sent to nodes long gone is forgotten."""
        known = await self._sender.load()
        self._loaded = True
        nodes, now = self._registry.nodes, self._clock.now()
        for node_id, sent in known.items():
            if node_id in nodes:
                plan = self._plans.setdefault(node_id, _Plan())
                plan.sent, plan.done_with = sent.revision, None
        old = [n for n, s in known.items() if n not in nodes and now - s.at > FORGOTTEN_AFTER]
        await self._sender.forget(old)

    async def _send(self, record: NodeRecord, plan: _Plan) -> None:
        desired = plan.desired or _NOTHING
        step = step_to(desired, plan.sent, _reported(record))
        at = self._clock.now()
        again = plan.sent == desired.revision
        message = ConfigMessage(
            record.node_id, step.values, desired.revision, format_timestamp(at), step.anew
        )
        await self._sender.send(message, at)
        self._metrics.config_sends.labels(result="ok").inc()
        _log.info(
            "config_sent",
            node=record.node_id,
            revision=desired.revision,
            keys=sorted(step.values),
            again=again,
        )
        now = self._clock.monotonic()
        wait = min(AGAIN_MAX, AGAIN_FIRST * 2.0 ** min(plan.repeats, 10)) * (1 + self._jitter())
        plan.sent, plan.differs_since = desired.revision, now
        plan.not_before, plan.changing = now + wait, False
        plan.repeats += 1


def _outdated(record: NodeRecord, plan: _Plan) -> bool:
    observed = record.observed
    if observed is None:
        return plan.source is None
    # Without a generation there is nothing to tell a change by.
    return observed.generation is None or plan.source != (observed.uid, observed.generation)


def _check(record: NodeRecord, plan: _Plan, now: float) -> None:
    """Read what the object asks for; what does not fit leaves the node as it is."""
    observed = record.observed
    plan.source = (observed.uid, observed.generation) if observed else ("", None)
    before, was = plan.desired, plan.error
    plan.desired, plan.error = None, None
    try:
        plan.desired = _read(record)
    except WireError as error:
        plan.error = clip(str(error), ERROR_MAX)
        if plan.error != was:
            # Without the detail: it may quote what was asked for.
            _log.warning(
                "config_refused", node=record.node_id, reason=error.reason, field=error.field
            )
    except Exception as error:  # noqa: BLE001 - told in the node's own condition
        # What nothing can be made of must not keep their configuration from all others.
        plan.error = f"Unreadable: {type(error).__name__}"
    if (before or _NOTHING).revision != (plan.desired or _NOTHING).revision:
        if not plan.changing:
            # Not later with each change, or who changes it every second would never be heard.
            plan.changing, plan.not_before = True, now + SETTLE
        plan.repeats = 0


def _read(record: NodeRecord) -> Desired | None:
    config: Any = record.kept_spec.get("config")
    if config is None or config == {}:
        return None
    if not isinstance(config, dict):
        raise WireError("BadField", "config", "an object is needed")
    return desired_config(config, record.node_id, check_engine)  # pyright: ignore[reportUnknownArgumentType]


def _wanted(record: NodeRecord, plan: _Plan) -> str | None:
    if plan.error is not None:
        return None
    if plan.desired is not None:
        return plan.desired.revision
    reported = _reported(record)
    if tells_nothing(plan.sent) and tells_nothing(reported):
        return reported if is_ours(reported) else None
    return _NOTHING.revision


def _is_due(record: NodeRecord, plan: _Plan, wanted: str, now: float) -> bool:
    if now < plan.not_before or not _speaks(record, now) or plan.differs_since is None:
        return False
    if plan.sent != wanted:
        return True
    return now - plan.differs_since > DIFFERS * record.live.policy.interval


def _speaks(record: NodeRecord, now: float) -> bool:
    live = record.live
    if record.facts is None or live.last_beat is None or live.state not in ALIVE:
        return False
    return now - live.last_beat <= live.policy.stale_after


def _reported(record: NodeRecord) -> str | None:
    return record.facts.config_revision if record.facts is not None else None
