"""An event loop in which time passes only while everybody waits."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

from typing_extensions import override


class _Leap(selectors.DefaultSelector):
    """Waits for nothing: what would be waited is added to the loop's time."""

    loop: "VirtualLoop"

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for somebody else")
        ready = super().select(0)
        if not ready and timeout > 0:
            self.loop.moment += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a time of its own.

    Attributes
    ----------
    moment
        Seconds; setting it forward is what a process sees that was stopped for so long.
    """

    def __init__(self) -> None:
        selector = _Leap()
        selector.loop = self
        self.moment = 0.0
        super().__init__(selector)

    @override
    def time(self) -> float:
        return self.moment


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)
