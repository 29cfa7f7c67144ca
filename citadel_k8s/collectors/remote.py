"""Sources read in child processes: asked with patience, and never waited for in vain.

NVML has a child of its own, since its hangs are of another kind; what is read of files shares one.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.aio.supervise import (
    ChildError,
    ChildGoneError,
    ChildHungError,
    ChildRefusedError,
    Supervisor,
)
from citadel_k8s.collectors.base import (
    Answered,
    GpuDecoder,
    Pair,
    containers_from,
    decode_event,
    decode_line,
    encode_request,
    gpus_from,
    host_from,
    processes_from,
)
from citadel_k8s.collectors.lines import decode_note
from citadel_k8s.collectors.quarantine import Quarantine
from citadel_k8s.models.readings import (
    Absent,
    ContainerUsage,
    Failed,
    GpuEvent,
    Gpus,
    Host,
    Outcome,
    Processes,
    Reading,
)

T = TypeVar("T")

CALL_PATIENCE: Final = 3.0
"""Seconds that one call may take. A busy driver answers in 2.7 s at worst by the wire contract's
own experience; a start of the child is inside it too."""

COLLECT_DEADLINE: Final = 8.0
"""Seconds that one attempt at a collection may take as a whole."""

ATTEMPTS: Final = 3
"""Children that one collection may use up: one hang of a call, one of the GPU as a whole, and
one that answers."""

FRESH_CHILD_REASONS: Final = frozenset({"DriverMismatch"})
"""Reasons that only a new process can outlive: NVML is never unloaded, so that a child from
before a driver upgrade keeps the old library."""

FILE_SOURCES: Final = ("host", "containers", "processes", "drm")
"""Sources of the child that reads files."""


class ChildCollector(Generic[T]):
    """Collects one source through a supervised child, which it may share with others.

    Parameters
    ----------
    name : str
        The source's name.
    supervisor : Supervisor
        Keeps the child.
    decode : callable
        Gives the reading from its JSON form.
    args : callable
        Gives what the source is to be told with each request.
    clock : Clock or None
        What measures the quarantine.
    """

    def __init__(
        self,
        name: str,
        supervisor: Supervisor,
        decode: Callable[[Mapping[str, Any]], T],
        *,
        args: Callable[[], Mapping[str, Any]] = dict,
        clock: Clock | None = None,
        patience: float = CALL_PATIENCE,
        deadline: float = COLLECT_DEADLINE,
    ) -> None:
        self.name = name
        self.supervisor = supervisor
        self._decode = decode
        self._args = args
        self._patience = patience
        self._deadline = deadline
        self._quarantine = Quarantine(clock or SystemClock())
        self._number = 0

    async def collect(self) -> Outcome[T]:
        """Ask the child; after a hang ask a new one for the rest."""
        outcome: Outcome[T] = Failed("CollectorDied", "no child was asked")
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt()
            except ChildHungError as error:
                outcome = self._hung(error)
            except ChildGoneError as error:
                where = decode_note(error.at)
                what = f" in {_where(where)}" if where else ""
                outcome = Failed("CollectorDied", f"the collector process died{what}: {error}")
            except ChildRefusedError as error:
                return Failed("Unresponsive", str(error))
        return outcome

    async def close(self) -> None:
        """End the child."""
        await self.supervisor.close()

    async def _attempt(self) -> Outcome[T]:
        self._number += 1
        number = self._number
        answers: list[Answered] = []

        def hear(line: bytes) -> bool:
            answer = decode_line(line, self._name_of(number))
            if answer is not None:
                answers.append(answer)
            return answer is not None

        request = encode_request(
            self._name_of(number),
            self.name,
            self._args(),
            self._quarantine.active(),
            self._quarantine.due(),
        )
        await self.supervisor.exchange(
            request, hear, silence=self._patience, deadline=self._deadline
        )
        self._quarantine.answered(answers[0].tried)
        return await self._finished(answers[0].outcome)

    def _name_of(self, number: int) -> str:
        # Numbers alone would be those of the other sources of the same child, too.
        return f"{self.name}/{number}"

    def _hung(self, error: ChildError) -> Failed:
        pair = decode_note(error.at)
        why = f"{error} from {_where(pair) if pair else 'the collector process'}"
        if pair is not None:
            self._quarantine.hung(pair, why)
        return Failed("Unresponsive", why)

    async def _finished(self, outcome: Outcome[dict[str, Any]]) -> Outcome[T]:
        match outcome:
            case Reading(value):
                try:
                    return Reading(self._decode(value))
                except (TypeError, KeyError, ValueError, AttributeError) as error:
                    return Failed("CollectorError", f"the answer cannot be read: {error!r}")
            case Absent(reason, _) | Failed(reason, _):
                if reason in FRESH_CHILD_REASONS:
                    await self.supervisor.recycle()
                return outcome


def nvml_collector(
    root: Path,
    *,
    clock: Clock | None = None,
    on_event: Callable[[GpuEvent], None] = lambda _event: None,
) -> ChildCollector[Gpus]:
    """Give the collector of NVIDIA GPUs; their events are handed over as they happen."""

    def unasked(line: bytes) -> bool:
        event = decode_event(line)
        if event is not None:
            on_event(event)
        return event is not None

    supervisor = Supervisor(argv_of(("nvml",), root), env=environment(), unasked=unasked)
    return ChildCollector("nvml", supervisor, GpuDecoder(), clock=clock)


class FileCollectors:
    """The collectors that read files; they share one child.

    Parameters
    ----------
    root : Path
        Where the host's ``/`` is seen from here.
    wanted : callable
        Gives the process ids and the ports that the processes' source is to look for.
    """

    def __init__(
        self,
        root: Path,
        *,
        wanted: Callable[[], Mapping[str, Any]] = lambda: {"pids": [], "ports": []},
        clock: Clock | None = None,
    ) -> None:
        child = Supervisor(argv_of(FILE_SOURCES, root), env=environment())
        self.host: ChildCollector[Host] = ChildCollector("host", child, host_from, clock=clock)
        self.drm: ChildCollector[Gpus] = ChildCollector("drm", child, gpus_from, clock=clock)
        self.containers: ChildCollector[tuple[ContainerUsage, ...]] = ChildCollector(
            "containers", child, containers_from, clock=clock
        )
        self.processes: ChildCollector[Processes] = ChildCollector(
            "processes", child, processes_from, args=wanted, clock=clock
        )


def argv_of(sources: Sequence[str], root: Path) -> list[str]:
    """Give the command of a child that reads these sources."""
    # -P: a file in the folder where the agent was started must not be taken for a module.
    module = "citadel_k8s.collectors.child"
    return [sys.executable, "-P", "-m", module, ",".join(sources), str(root)]


def environment() -> dict[str, str]:
    """Give a child's environment: no secrets, and one heap."""
    # Threads of their own heaps cost megabytes.
    own = {k: v for k, v in os.environ.items() if not k.startswith("CITADEL__")}
    return own | {"MALLOC_ARENA_MAX": "1"}


def _where(pair: Pair) -> str:
    gpu, call = pair
    return call if gpu is None else f"{call} on GPU {gpu}"
