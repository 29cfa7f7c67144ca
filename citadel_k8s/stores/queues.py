"""Job queues: streams of which each group gives every entry to one of its consumers.

An entry that was given stays pending until it is acknowledged. One whose consumer is gone is
claimed for another, and one that was given too often, or that no consumer can read, becomes a dead
letter: it must hold up neither the queue nor itself.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pydantic_core

from citadel_k8s.aio.clock import Clock
from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.configmessage import ConfigEntry
from citadel_k8s.domain.deadletter import dead_letter
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.relay import Command, RedisRefusal, Relay, judged
from citadel_k8s.stores.streamwatch import StreamWatch, Waiter

DELIVERIES_MAX: Final = 5
"""Times that an entry is given before it is taken for the reason why its consumers end."""

CLAIM_AFTER: Final = 900.0
"""Seconds without a word after which a consumer is gone. A node neither asks nor acknowledges while
it works, and jobs take minutes: claimed sooner, a long one would run twice."""

CLAIM_EVERY: Final = 1.0
"""Seconds between two looks for such entries, by queue and group."""

LINES_MAX: Final = 20_000
"""Queues and groups whose last look is remembered."""

LETTERS_MAXLEN: Final = 1000
"""Approximate length of a queue's dead letters, in entries. Source: that of configuration."""

PASSED_MAX: Final = 64
"""Entries that one reading takes off a queue at most, when most of them are for others."""

ABANDONED_MS: Final = 10**10
"""Idle time that is set on an entry handed back, in milliseconds: longer than any wait for it."""

_CREATED: Final = "BUSYGROUP"
_NO_GROUP: Final = "NOGROUP"


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody waits for.

    Attributes
    ----------
    key, letters
        Keys in Redis: of the queue, and of its dead letters.
    queue
        The queue's name as its consumers know it.
    passes
        Whether an entry is for somebody else, and done with at once; None if all are for everybody.
    resumes
        Whether what the consumer was given before is given again first: a consumer that is alone in
        its group, and asks only when it has nothing left.
    """

    key: str
    letters: str
    queue: str
    group: str
    consumer: str
    passes: Callable[[ConfigEntry], bool] | None = None
    resumes: bool = False

    @property
    def line(self) -> tuple[str, str, str]:
        """What Redis keeps a record of: the queue, the group, the consumer."""
        return self.key, self.group, self.consumer


@dataclass(frozen=True, slots=True)
class Given:
    """An entry for a consumer."""

    order: Order
    id: str
    data: dict[str, str]
    deliveries: int = 1


class Queues:
    """Takes entries off queues.

    Parameters
    ----------
    relay : Relay
        The way to Redis for what does not wait.
    watch : StreamWatch
        Tells when there is something new.
    clock : Clock
        What dates the dead letters.
    claim_after : float
        Seconds after which an entry that was given is given to another.
    """

    def __init__(
        self,
        relay: Relay,
        watch: StreamWatch,
        *,
        clock: Clock,
        claim_after: float = CLAIM_AFTER,
        worker_id: str = "proxy",
    ) -> None:
        self._relay, self._watch, self._clock = relay, watch, clock
        self._claim_ms = round(claim_after * 1000)
        self._worker_id = worker_id
        self._looked: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._returned: dict[tuple[str, str], deque[str]] = {}
        self.buried = 0
        self.claimed = 0

    async def take(
        self,
        orders: Sequence[Order],
        block: float,
        gone: Callable[[], bool] = lambda: False,
        waiter: Waiter | None = None,
    ) -> Given | None:
        """Give one entry of the first queue that has one; None if none came in time.

        Parameters
        ----------
        orders : sequence of Order
            In the order in which the queues are asked.
        block : float
            Seconds to wait.
        gone : callable
            Says whether whoever asked is gone: nothing is taken for nobody.
        waiter : Waiter or None
            Who waits, where somebody else may call him.

        Raises
        ------
        StreamError
            If Redis does not answer.
        """
        deadline = asyncio.get_running_loop().time() + block
        waiter = waiter or Waiter()
        given: Given | None = None
        try:
            given = await self._take(orders, deadline, gone, waiter)
        finally:
            for order in orders:
                self._watch.leave(order.key, order.group, waiter)
                if waiter.called.is_set():
                    self._watch.call_next(order.key, order.group)
        if given is not None and gone():
            await self.hand_back(given)
            return None
        return given

    async def acknowledge(self, key: str, group: str, message_id: str) -> bool:
        """Be done with an entry; say whether it was still pending."""
        try:
            return int(await self._relay.ask("XACK", key, group, message_id)) > 0
        except RedisRefusal as error:
            if error.code == _NO_GROUP:
                return False
            raise

    async def hand_back(self, given: Given) -> None:
        """Let the next who asks have an entry that did not reach its consumer."""
        order = given.order
        await self._relay.ask(
            "XCLAIM", order.key, order.group, order.consumer, 0, given.id,
            "IDLE", ABANDONED_MS, "RETRYCOUNT", given.deliveries - 1, "JUSTID",
        )  # fmt: skip
        self._returned.setdefault((order.key, order.group), deque()).append(given.id)
        self._watch.call_next(order.key, order.group)

    async def _take(
        self,
        orders: Sequence[Order],
        deadline: float,
        gone: Callable[[], bool],
        waiter: Waiter,
    ) -> Given | None:
        loop = asyncio.get_running_loop()
        while not gone():
            waiter.called.clear()
            for order in orders:
                await self._follow(order.key)
                self._watch.join(order.key, order.group, waiter)
            for order in orders:
                given = await self._try(order)
                if given is not None:
                    return given
            try:
                async with asyncio.timeout_at(deadline):
                    await waiter.called.wait()
            except TimeoutError:
                return None
            if loop.time() >= deadline:
                return None
        return None

    async def _follow(self, key: str) -> None:
        if not self._watch.knows(key):
            last: list[Any] = await self._relay.ask("XREVRANGE", key, "+", "-", "COUNT", 1)
            self._watch.begin(key, last[0][0] if last else b"0-0")

    async def _try(self, order: Order) -> Given | None:
        """Give what the queue has now, past what nobody can use."""
        try:
            return await self._next(order)
        except RedisRefusal as error:
            if error.code != _NO_GROUP:
                raise
        answers = await self._relay.ask_all(
            [("XGROUP", "CREATE", order.key, order.group, "0", "MKSTREAM")]
        )
        if isinstance(answers[0], Exception) and not str(answers[0]).startswith(_CREATED):
            judged(answers)
        return await self._next(order)

    async def _next(self, order: Order) -> Given | None:
        while True:
            found, deliveries = await self._resumed(order) if order.resumes else ([], 0)
            if not found:
                found, deliveries = await self._handed_back(order)
            if not found:
                found, deliveries = await self._abandoned(order)
            if not found:
                found, deliveries = await self._read(order, ">"), 1
            if not found:
                return None
            given = await self._sift(order, found, deliveries)
            if given is not None:
                return given

    async def _resumed(self, order: Order) -> tuple[list[Any], int]:
        found = await self._read(order, "0")
        return found, await self._deliveries(order, found[0][0]) if found else 0

    async def _read(self, order: Order, after: str) -> list[Any]:
        # Of a queue that is read past others' entries many are taken at once; what is then for its
        # consumer waits among what he was given before.
        many = PASSED_MAX if order.passes is not None and order.resumes and after == ">" else 1
        answer: Any = await self._relay.ask(
            "XREADGROUP", "GROUP", order.group, order.consumer, "COUNT", many,
            "STREAMS", order.key, after,
        )  # fmt: skip
        return answer[0][1] if answer else []

    async def _handed_back(self, order: Order) -> tuple[list[Any], int]:
        """Claim what this process was handed back, unless another has claimed it since."""
        line = (order.key, order.group)
        returned = self._returned.get(line)
        while returned:
            entry_id = returned.popleft()
            if not returned:
                del self._returned[line]
            found = await self._relay.ask(
                "XCLAIM", order.key, order.group, order.consumer, ABANDONED_MS // 2, entry_id
            )
            if found and found[0] is not None and found[0][1] is not None:
                return found, await self._deliveries(order, found[0][0])
        return [], 0

    async def _abandoned(self, order: Order) -> tuple[list[Any], int]:
        """Claim an entry whose consumer is gone, where it is time to look for one."""
        line, now = (order.key, order.group), asyncio.get_running_loop().time()
        looked_at, cursor = self._looked.get(line, (-CLAIM_EVERY, b"0-0"))
        if now - looked_at < CLAIM_EVERY:
            return [], 0
        answer: list[Any] = await self._relay.ask(
            "XAUTOCLAIM", order.key, order.group, order.consumer, self._claim_ms, cursor,
            "COUNT", 1,
        )  # fmt: skip
        found = [entry for entry in answer[1] if entry[1] is not None]
        # From where it ended: at the head may be what somebody still works at.
        self._looked[line] = (-CLAIM_EVERY if found else now, answer[0])
        self._looked.move_to_end(line)
        if len(self._looked) > LINES_MAX:
            self._looked.popitem(last=False)
        if not found:
            return [], 0
        self.claimed += 1
        return found, await self._deliveries(order, found[0][0])

    async def _deliveries(self, order: Order, key: bytes) -> int:
        pending: list[Any] = await self._relay.ask("XPENDING", order.key, order.group, key, key, 1)
        return int(pending[0][3]) if pending else 1

    async def _sift(self, order: Order, found: list[Any], deliveries: int) -> Given | None:
        """Give the first entry that is fit for the consumer; be done with those that are not."""
        done: list[Command] = []
        given: Given | None = None
        for key, pairs in found:
            fields = _fields(pairs)
            entry = ConfigEntry(key.decode(), fields, deliveries)
            if not fields or (order.passes is not None and order.passes(entry)):
                done.append(("XACK", order.key, order.group, key))
            elif reason := _unfit(fields, deliveries):
                done += self._burial(order, entry, reason)
            elif given is None:
                data = {k: v.decode(errors="replace") for k, v in fields.items()}
                given = Given(order, entry.id, data, deliveries)
        if done:
            judged(await self._relay.ask_all(done))
        return given

    def _burial(self, order: Order, entry: ConfigEntry, reason: str) -> list[Command]:
        self.buried += 1
        letter = dead_letter(
            entry,
            queue=order.queue,
            reason=reason,
            moved_at=format_timestamp(self._clock.now()),
            worker_id=self._worker_id,
        )
        pairs = [part for pair in letter.items() for part in pair]
        bury: Command = ("XADD", order.letters, "MAXLEN", "~", LETTERS_MAXLEN, "*", *pairs)
        return [bury, ("XACK", order.key, order.group, entry.id)]


def _fields(pairs: list[bytes] | None) -> dict[str, bytes]:
    """Give an entry's fields by name; empty where it was trimmed away."""
    flat = pairs or []
    return {
        name.decode(errors="replace"): value
        for name, value in zip(flat[::2], flat[1::2], strict=True)
    }


def _unfit(fields: dict[str, bytes], deliveries: int) -> str:
    """Give why no consumer is to have an entry; empty if one may."""
    if deliveries > DELIVERIES_MAX:
        return f"TriedTooOften: it was given {deliveries - 1} times and never acknowledged"
    size = sum(len(value) for value in fields.values())
    if size > MAX_ENTRY_BYTES:
        return f"Oversized: {size} bytes; at most {MAX_ENTRY_BYTES}"
    if fields.get("config"):
        return ""
    try:
        document = pydantic_core.from_json(fields.get("payload", b""), allow_inf_nan=False)
    except ValueError:
        return "NotJson: the payload is no JSON text"
    return "" if isinstance(document, dict) else "BadField: the payload is no JSON object"
