"""Asks silent nodes directly, many at once, and a few that live to know what an answer is worth.

A question begins when a node becomes a suspect, long before its deadline, so that the answer is
there when it counts. Whoever has not been asked yet goes before whoever is asked again.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.aio.deadlines import Deadlines
from citadel_k8s.domain.witness import (
    Answer,
    Outcome,
    Probe,
    askable,
    identified,
    most_telling,
)
from citadel_k8s.operator.controls import (
    CONTROL_EVERY,
    CONTROL_RETRY,
    QUESTION_MAX,
    Controls,
)
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.probing")

AT_ONCE: Final = 256
"""Connections at the same time: 3,000 nodes in a black hole are asked within 35 s of the 55 s
between suspicion and deadline; 32 would take 281 s. A socket each is all it costs."""

PAUSE_SLACK: Final = 1.0
"""Seconds by which a question may outlast that before its outcome counts for nothing: this process
stood still meanwhile, and its timers fired before it read what had come."""

LOOK: Final = 0.5
"""Seconds between two looks for new suspects."""

REPEAT_MIN: Final = 5.0
"""Least seconds between two questions to one node."""

RESULT_PERIODS: Final = 2
"""Times one and a half intervals for which an answer is worth something: two questions long."""

MANY: Final = 1000
"""Silent nodes beyond which each is asked every other interval: while a way stays broken, they are
asked for as long as it does."""

DOUBT_DELAY: Final = 3.0
"""Seconds before a node is asked once more that answered before and does not now, or where nobody
can tell who answers."""

UNDECIDED: Final = frozenset({Outcome.UNPROVED, Outcome.GARBLED})
"""Outcomes that speak neither for a node nor against it: a proxy before it, or whoever has its port
for a moment."""

UNDECIDED_MAX: Final = 256
"""Nodes that are asked so soon for that: it would be a hundred questions a second of more."""

KEPT: Final = 5.0
"""Seconds for which a node is remembered that is wanted but not late, by its own short policy."""


class Asker(Protocol):
    """Who asks one address; `clients.health.HealthClient` does."""

    async def ask(self, address: str, port: int, *, hurried: bool = False) -> Answer:
        """Ask within three seconds, in a hurry with half of that to connect."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class Prober:
    """Keeps the last answer of each silent node.

    Parameters
    ----------
    registry : Registry
        Whose late nodes are asked.
    asker : Asker
        Who asks.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    at_once : int
        Connections at the same time.
    loopback : bool
        Whether addresses of this host itself may be asked: on one machine, for a tour or a test.

    Attributes
    ----------
    resting
        While true nobody is asked anew: nobody can be heard, so that all are silent.
    """

    def __init__(
        self,
        registry: Registry,
        asker: Asker,
        clock: Clock,
        metrics: OperatorMetrics,
        *,
        at_once: int = AT_ONCE,
        loopback: bool = False,
    ) -> None:
        self.resting = False
        self._registry = registry
        self._asker = asker
        self._clock = clock
        self._metrics = metrics
        self._at_once = at_once
        self._loopback = loopback
        self._known: dict[str, float] = {}
        self._results: dict[str, Probe] = {}
        self._doubted: set[str] = set()
        self._undecided: set[str] = set()
        self._first: deque[str] = deque()
        self._repeated: deque[str] = deque()
        self._waiting: set[str] = set()
        self._asking: set[str] = set()
        self._again = Deadlines()
        self._open = 0
        self._controls = Controls(registry, self._addresses)
        self._control_at = 0.0
        self._group: asyncio.TaskGroup | None = None
        self._odd = RepeatLog(_log, "probe_failed", clock=clock)

    async def run(self) -> None:
        """Ask for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                try:
                    while True:
                        self._look()
                        await asyncio.sleep(LOOK)
                finally:
                    self._group = None  # a question that ends now must begin no other
        finally:
            await self._asker.close()

    def want(self, record: NodeRecord) -> None:
        """Have a node asked that is not late by its own policy, yet is to be judged."""
        known = record.node_id in self._known
        self._known[record.node_id] = self._clock.monotonic()
        if not known:
            self._queue(self._first, record.node_id)

    def recheck(self, record: NodeRecord) -> None:
        """Ask a node now that answered a while ago: it may have died since."""
        node_id, probe = record.node_id, self.result(record)
        if self.resting or node_id not in self._known:
            return
        if probe is not None and self._is_old_answer(probe):
            self._queue(self._first, node_id)
            self._dispatch()

    def result(self, record: NodeRecord) -> Probe | None:
        """Give the last answer since the node's last word, unless it is too old to be one."""
        probe, live = self._results.get(record.node_id), record.live
        if probe is None or probe.asked_at < (live.last_beat or 0.0):
            return None
        age = self._clock.monotonic() - probe.asked_at
        return probe if age <= RESULT_PERIODS * live.policy.stale_after else None

    def pending(self, record: NodeRecord) -> bool:
        """Say whether an answer is under way that may say more than is known.

        It is the first since its last word, or comes after one that is not of this moment.
        """
        probe = self.result(record)
        if probe is not None and not self._is_old_answer(probe):
            return False
        return record.node_id in self._waiting or record.node_id in self._asking

    def vouches(self, node_id: str, outcome: Outcome, now: float) -> bool:
        """Say whether such an outcome tells a dead node from one that lives."""
        return self._controls.vouches(node_id, outcome, now)

    def _is_old_answer(self, probe: Probe) -> bool:
        old = self._clock.monotonic() - probe.asked_at > REPEAT_MIN
        return old and probe.outcome is Outcome.ANSWERS

    # --- who is asked when

    def _look(self) -> None:
        now = self._clock.monotonic()
        late = self._registry.late
        for node_id in [n for n in self._known.keys() - late if self._known[n] < now - KEPT]:
            self._forget(node_id)
        if self.resting:
            return
        for node_id in late - self._known.keys():
            self._known[node_id] = now
            self._queue(self._first, node_id)
        for node_id in self._again.pop_due(now):
            if node_id in self._known:
                self._queue(self._repeated, node_id)
        if now >= self._control_at:
            self._begin_controls(now)
        self._dispatch()

    def _queue(self, queue: deque[str], node_id: str) -> None:
        if node_id not in self._waiting and node_id not in self._asking:
            self._waiting.add(node_id)
            queue.append(node_id)

    def _forget(self, node_id: str) -> None:
        del self._known[node_id]
        self._results.pop(node_id, None)
        self._doubted.discard(node_id)
        self._undecided.discard(node_id)
        self._waiting.discard(node_id)
        self._again.set(node_id, None)

    def _begin_controls(self, now: float) -> None:
        self._controls.settle()
        # While many are asked who may be dead, a few who live are enough.
        chosen = self._controls.choose(few=self._open >= self._at_once // 2)
        for record in chosen:
            self._begin(record, control=True)
        self._control_at = now + (CONTROL_EVERY if chosen else CONTROL_RETRY)

    def _dispatch(self) -> None:
        while self._open < self._at_once and (self._first or self._repeated):
            node_id = (self._first or self._repeated).popleft()
            if node_id not in self._waiting:
                continue
            self._waiting.discard(node_id)
            record = self._registry.nodes.get(node_id)
            if record is not None and self._addresses(record):
                self._begin(record, control=False)

    def _begin(self, record: NodeRecord, *, control: bool) -> None:
        if self._group is None:
            return
        addresses = self._addresses(record)
        self._open += len(addresses)
        if not control:
            self._asking.add(record.node_id)
        self._group.create_task(self._question(record, addresses, control=control))

    def _addresses(self, record: NodeRecord) -> tuple[str, ...]:
        facts = record.facts
        if facts is None or facts.status_port is None:
            return ()
        return askable(facts.addresses, loopback=self._loopback)

    # --- one question

    async def _question(
        self, record: NodeRecord, addresses: tuple[str, ...], *, control: bool
    ) -> None:
        asked_at = self._clock.monotonic()
        try:
            answer = await self._answer(record, addresses)
        finally:
            self._open -= len(addresses)
            if not control:
                self._asking.discard(record.node_id)
        if self._clock.monotonic() - asked_at > QUESTION_MAX + PAUSE_SLACK:
            answer = Answer(Outcome.VOID, "this operator stood still meanwhile")
        self._metrics.probes.labels(result=answer.outcome).inc()
        probe = Probe(answer.outcome, answer.detail, asked_at)
        if control:
            self._controls.note(record.node_id, probe)
        elif record.node_id in self._known:
            self._note(record, probe)
        self._dispatch()

    async def _answer(self, record: NodeRecord, addresses: tuple[str, ...]) -> Answer:
        port = record.facts.status_port if record.facts else None
        hurried = len(self._waiting) > self._at_once
        answers = [Answer(Outcome.VOID, "not asked")]

        async def one(address: str) -> None:
            answer = await self._asker.ask(address, port or 0, hurried=hurried)
            answers.append(identified(answer, record.node_id, record.live.boot_id))
            if answers[-1].outcome is Outcome.ANSWERS:
                for task in tasks:
                    task.cancel()  # one address is enough

        try:
            async with asyncio.timeout(QUESTION_MAX), asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(address)) for address in addresses]
        except TimeoutError:
            answers.append(Answer(Outcome.TIMED_OUT, f"{addresses[0]}:{port} gives no answer"))
        except ExceptionGroup as errors:
            # Whatever an answer made of a library, it must not end the asking of all others.
            self._odd.failed(node=record.node_id, error=repr(errors.exceptions[0]))
        return most_telling(answers)

    def _note(self, record: NodeRecord, probe: Probe) -> None:
        node_id, now = record.node_id, self._clock.monotonic()
        known = self._results.get(node_id)
        if probe.outcome is Outcome.ANSWERS:
            self._controls.stand_in(node_id, probe, now)
        delay = max(REPEAT_MIN, record.live.policy.interval)
        delay *= 2 if len(self._known) > MANY else 1
        self._undecided.discard(node_id)
        if probe.outcome is Outcome.VOID:
            delay = DOUBT_DELAY
        elif self._doubtful(node_id, known, probe):
            self._doubted.add(node_id)
            delay = DOUBT_DELAY
        else:
            self._doubted.discard(node_id)
            self._results[node_id] = probe
            if probe.outcome in UNDECIDED and len(self._undecided) < UNDECIDED_MAX:
                self._undecided.add(node_id)
                delay = DOUBT_DELAY
        self._again.set(node_id, now + delay)

    def _doubtful(self, node_id: str, known: Probe | None, probe: Probe) -> bool:
        """Say whether a node that answered before deserves a second question."""
        if known is None or known.outcome is not Outcome.ANSWERS or node_id in self._doubted:
            return False
        return probe.outcome not in {Outcome.ANSWERS, Outcome.REFUSED, Outcome.SOMEBODY_ELSE}
