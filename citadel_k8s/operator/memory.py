"""What an operator leaves to the one after it: who spoke last and when, and what was told of whom.

Two hashes in Redis beside the stream. The first has a field of about 90 bytes for each node,
written when it changed; the second what people said of nodes, whose objects may be gone. Only the
leader writes them; each operator reads them at its start, and the first again when it takes over.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain import keys
from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.errors import StreamError, WireError
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import KeptSpec, NodeRecord, back_ms
from citadel_k8s.operator.registry import Registry
from citadel_k8s.operator.remembered import (
    Line,
    decoded,
    decoded_spec,
    encoded,
    encoded_spec,
    line_of,
    memory_of,
)
from citadel_k8s.stores.entries import StreamHead
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.memory")

NODES: Final = "citadel:operator:nodes"
"""The hash with a field for each node."""

SPECS: Final = "citadel:operator:specs"
"""The hash of what people said of nodes."""

SAVE_INTERVAL: Final = 5.0
"""Seconds between two saves. As ruled: what is older is read from the stream again. With 10,000
nodes at 30 s each save is of 1,667 fields."""

URGENT_GAP: Final = 0.1
"""Seconds for which a change of state waits for others before it is saved; a leader that is killed
within them has told what its successor will tell again."""

CHUNK: Final = 1000
"""Fields per request: 90 kB, packed in 1 ms, so that a fleet of 10,000 holds nobody up."""

SPEC_MAX: Final = 65_536
"""Bytes of the largest spec that is kept: what people write by hand is a hundredth of that."""

SPEC_HOURS: Final = 72.0
"""Hours for which it is kept after its object is gone, as ruled."""

RETRY_DELAY: Final = 1.0
"""Seconds before hashes that could not be read are read again."""

Told = tuple[str, str]
"""State and reason, as they were told last."""


class HashStore(Protocol):
    """What is asked of Redis; `stores.streams.RedisStatusStream` has it."""

    async def head(self) -> StreamHead:
        """Give the server's clock, among others."""
        ...

    async def load_snapshot(self, name: str) -> dict[str, bytes]:
        """Give all fields of a hash."""
        ...

    async def save_snapshot(
        self, name: str, fields: Mapping[str, bytes], *, removed: Collection[str] = ()
    ) -> int:
        """Set and remove fields; give how many there are then."""
        ...


@dataclass(slots=True)
class Snapshot:
    """The two hashes, read and written.

    Parameters
    ----------
    store : HashStore
        Redis.
    registry : Registry
        Who is remembered.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    leads : callable
        Whether this operator may write now, and has told what it had to tell.

    Attributes
    ----------
    trouble
        Why it cannot be read or saved; None if it can.
    """

    store: HashStore
    registry: Registry
    clock: Clock
    metrics: OperatorMetrics
    leads: Callable[[], bool]
    trouble: str | None = None
    _kept: dict[str, Line] | None = None
    _strange: list[str] = field(default_factory=list[str])
    _kept_specs: dict[str, KeptSpec] = field(default_factory=dict[str, KeptSpec])
    _urgent: set[str] = field(default_factory=set[str])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _repeats: RepeatLog = field(init=False)

    def __post_init__(self) -> None:
        self._repeats = RepeatLog(_log, "snapshot_failing", clock=self.clock)

    # --- reading

    async def load(self) -> None:
        """Give the registry what the operator before this one knew; waits for Redis to be there.

        After the objects were listed and before the stream is read.
        """
        while True:
            try:
                await self._load()
            except StreamError as error:
                self._failed(error)
                await asyncio.sleep(RETRY_DELAY)
            else:
                self._succeeded()
                return

    async def told(self) -> dict[str, Told]:
        """Give what was told last of each node, and begin to write from there.

        Raises
        ------
        StreamError
            If Redis does not give it.
        """
        self._kept = None
        self._kept = await self._read()
        return {node_id: (line.state, line.reason) for node_id, line in self._kept.items()}

    async def _load(self) -> None:
        lines = await self._read()
        specs = await self.store.load_snapshot(SPECS)
        now_ms = (await self.store.head()).now_ms
        heard = {node_id: line for node_id, line in lines.items() if line.ms is not None}
        for number, (node_id, line) in enumerate(heard.items()):
            self.registry.recall(node_id, memory_of(line, now_ms))
            if number % CHUNK == CHUNK - 1:
                await asyncio.sleep(0)  # others have to be served: it takes 0.1 ms each
        kept = dict(self._readable_specs(specs))
        # What is not handed on counts as known, and is taken away with the next save.
        self._kept_specs = {name: KeptSpec({}, 0.0) for name in specs} | kept
        self.registry.keep_specs(kept)
        _log.info("recalled", nodes=len(heard), specs=len(kept))

    async def _read(self) -> dict[str, Line]:
        lines: dict[str, Line] = {}
        self._strange.clear()
        for node_id, value in (await self.store.load_snapshot(NODES)).items():
            line = decoded(value) if _is_node_id(node_id) else None
            if line is None:
                self.metrics.snapshot_unreadable.inc()
                self._strange.append(node_id)
            else:
                lines[node_id] = line
        return lines

    def _readable_specs(self, fields: Mapping[str, bytes]) -> Iterator[tuple[str, KeptSpec]]:
        now = self.clock.now()
        for name, value in fields.items():
            kept = decoded_spec(value)
            if kept is None:
                self.metrics.snapshot_unreadable.inc()
            elif now - kept.at < SPEC_HOURS * 3600:
                # One from the future, by a clock that was wrong, would be kept for ever.
                yield name, KeptSpec(kept.spec, min(kept.at, now))

    # --- writing

    def note(self, record: NodeRecord, before: Liveness) -> None:  # noqa: ARG002 - a listener
        """Save what was just told of a node sooner than the rest."""
        self._urgent.add(record.node_id)
        self._wake.set()

    async def run(self) -> None:
        """Save for ever, while this operator leads."""
        due = self.clock.monotonic() + SAVE_INTERVAL
        while True:
            await self._until(due)
            whole = self.clock.monotonic() >= due
            if whole:
                due = self.clock.monotonic() + SAVE_INTERVAL
            if not self.leads():
                self._urgent.clear()
                continue
            try:
                await (self.save() if whole else self._save_urgent())
            except StreamError as error:
                self.metrics.snapshot_failures.inc()
                self._failed(error)
            else:
                self._succeeded()

    async def save(self) -> None:
        """Save what has changed. At a clean end, call it before the lease is given back.

        Raises
        ------
        StreamError
            If Redis did not take it; it is saved with the next ones.
        """
        began = self.clock.monotonic()
        if self._kept is None:
            self._kept = await self._read()
        self._urgent.clear()
        count = await self._write(self._changed(self._kept), self._gone(self._kept))
        if count < len(self._kept):
            _log.warning("snapshot_lost", known=len(self._kept), found=count)
            self._kept, self._kept_specs = {}, {}
            await self._write(self._changed(self._kept), [])
        await self._save_specs()
        self.metrics.snapshot_nodes.set(len(self._kept))
        self.metrics.snapshot_seconds.set(self.clock.monotonic() - began)

    async def _save_urgent(self) -> None:
        if self._kept is None:
            return
        urgent, self._urgent = self._urgent, set()
        nodes = self.registry.nodes
        changed = {node_id: nodes[node_id] for node_id in urgent if node_id in nodes}
        await self._write(changed, [])

    async def _write(self, changed: dict[str, NodeRecord], gone: list[str]) -> int:
        """Write in chunks; give how many fields there are at the end."""
        count, kept = 0, self._kept
        rest = iter(changed.items())
        while self.leads() and kept is not None:
            lines = {node_id: line_of(record) for node_id, record in islice(rest, CHUNK)}
            values = {node_id: encoded(line) for node_id, line in lines.items()}
            removed, gone = gone[:CHUNK], gone[CHUNK:]
            count = await self.store.save_snapshot(NODES, values, removed=removed)
            self.metrics.snapshot_fields.inc(len(values) + len(removed))
            kept.update(lines)
            for node_id in removed:
                kept.pop(node_id, None)
            if len(lines) < CHUNK and not gone:
                return count
        return len(kept or {})

    def _changed(self, kept: Mapping[str, Line]) -> dict[str, NodeRecord]:
        found: dict[str, NodeRecord] = {}
        for node_id, record in self.registry.nodes.items():
            line, live = kept.get(node_id), record.live
            # Field by field: a line made for each of 10,000 nodes would cost ten times as much.
            if (
                line is None
                or line.ms != record.heard_ms
                or line.reason != live.reason
                or line.state != live.state
                or (live.held and line.back_ms != back_ms(record))
            ):
                found[node_id] = record
        return found

    def _gone(self, kept: Mapping[str, Line]) -> list[str]:
        strange, self._strange = self._strange, []
        nodes = self.registry.nodes
        return [node_id for node_id in (*kept, *strange) if node_id not in nodes]

    async def _save_specs(self) -> None:
        known, specs = self._kept_specs, dict(self.registry.kept_specs)
        changed = {name: kept for name, kept in specs.items() if known.get(name) != kept}
        gone = [name for name in known if name not in specs]
        if not (changed or gone) or not self.leads():
            return
        values = {name: encoded_spec(kept) for name, kept in changed.items()}
        fit = {name: value for name, value in values.items() if len(value) <= SPEC_MAX}
        await self.store.save_snapshot(SPECS, fit, removed=gone)
        self._kept_specs = specs

    async def _until(self, due: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, due - self.clock.monotonic())):
                await self._wake.wait()
                await asyncio.sleep(URGENT_GAP)
        except TimeoutError:
            pass
        self._wake.clear()

    def _failed(self, error: StreamError) -> None:
        self.trouble = str(error)
        self._repeats.failed(error=self.trouble)

    def _succeeded(self) -> None:
        self.trouble = None
        self._repeats.recovered()


def _is_node_id(text: str) -> bool:
    try:
        keys.check_node_id(text)
    except WireError:
        return False
    return True
