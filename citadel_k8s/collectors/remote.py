"""A source read in a child process: asked with patience, and never waited for in vain."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.aio.supervise import (
    ChildGoneError,
    ChildHungError,
    ChildRefusedError,
    Supervisor,
)
from citadel_k8s.collectors.base import (
    Answered,
    Call,
    Pair,
    decode_line,
    encode_request,
    gpus_from,
    host_from,
)
from citadel_k8s.collectors.quarantine import Quarantine
from citadel_k8s.models.readings import Absent, Failed, Gpus, Host, Outcome, Reading

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


class ChildCollector(Generic[T]):
    """Collects one source through a supervised child.

    Parameters
    ----------
    name : str
        The source's name.
    argv : sequence of str
        The child's command.
    decode : callable
        Gives the reading from its JSON form.
    clock : Clock or None
        What measures the quarantine.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        decode: Callable[[Mapping[str, Any]], T],
        *,
        clock: Clock | None = None,
        env: Mapping[str, str] | None = None,
        patience: float = CALL_PATIENCE,
        deadline: float = COLLECT_DEADLINE,
    ) -> None:
        self.name = name
        self._decode = decode
        self._patience = patience
        self._deadline = deadline
        self._supervisor = Supervisor(argv, env=env)
        self._quarantine = Quarantine(clock or SystemClock())
        self._number = 0

    async def collect(self) -> Outcome[T]:
        """Ask the child; after a hang ask a new one for the rest."""
        outcome: Outcome[T] = Failed("CollectorDied", "no child was asked")
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt()
            except _AgainError as again:
                outcome = again.outcome
            except ChildRefusedError as error:
                return Failed("Unresponsive", str(error))
        return outcome

    async def close(self) -> None:
        """End the child."""
        await self._supervisor.close()

    async def _attempt(self) -> Outcome[T]:
        self._number += 1
        conversation = _Conversation(self._number)
        request = encode_request(self._number, self._quarantine.active())
        try:
            await self._supervisor.exchange(
                request, conversation.hear, silence=self._patience, deadline=self._deadline
            )
        except ChildHungError as error:
            raise _AgainError(self._hung(conversation, error)) from error
        except ChildGoneError as error:
            where = f" in {_where(conversation.current)}" if conversation.current else ""
            died = f"the collector process died{where}: {error}"
            raise _AgainError(Failed("CollectorDied", died)) from error
        self._quarantine.answered(conversation.made)
        return await self._finished(conversation.outcome)

    def _hung(self, conversation: "_Conversation", error: ChildHungError) -> Failed:
        where = _where(conversation.current) if conversation.current else "the collector process"
        why = f"{error} from {where}"
        if conversation.current is not None:
            self._quarantine.hung(conversation.current, why)
        return Failed("Unresponsive", why)

    async def _finished(self, outcome: Outcome[dict[str, Any]]) -> Outcome[T]:
        match outcome:
            case Reading(value):
                try:
                    return Reading(self._decode(value))
                except (TypeError, KeyError) as error:
                    return Failed("CollectorError", f"the answer cannot be read: {error!r}")
            case Absent(reason, _) | Failed(reason, _):
                if reason in FRESH_CHILD_REASONS:
                    await self._supervisor.recycle()
                return outcome


class _AgainError(Exception):
    """An attempt came to nothing; its outcome stands unless another one does better."""

    def __init__(self, outcome: Failed) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class _Conversation:
    """What the child said about one request."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.current: Pair | None = None
        self.made: set[Pair] = set()
        self.outcome: Outcome[dict[str, Any]] = Failed("CollectorDied", "no answer")

    def hear(self, line: bytes) -> bool:
        match decode_line(line, self._number):
            case Call(pair):
                self.current = pair
                self.made.add(pair)
                return False
            case Answered(outcome):
                self.current = None
                self.outcome = outcome
                return True
            case None:
                return False


def host_collector(root: Path, *, clock: Clock | None = None) -> ChildCollector[Host]:
    """Give the collector of the host's figures."""
    return ChildCollector("host", _argv("host", root), host_from, clock=clock, env=_environment())


def nvml_collector(root: Path, *, clock: Clock | None = None) -> ChildCollector[Gpus]:
    """Give the collector of NVIDIA GPUs."""
    return ChildCollector("nvml", _argv("nvml", root), gpus_from, clock=clock, env=_environment())


def _argv(source: str, root: Path) -> list[str]:
    return [sys.executable, "-m", "citadel_k8s.collectors.child", source, str(root)]


def _environment() -> dict[str, str]:
    # A child needs no secrets, and one heap: threads of their own heaps cost megabytes.
    own = {k: v for k, v in os.environ.items() if not k.startswith("CITADEL__")}
    return own | {"MALLOC_ARENA_MAX": "1"}


def _where(pair: Pair) -> str:
    gpu, call = pair
    return call if gpu is None else f"{call} on GPU {gpu}"
