"""A reading that may hang: made in a thread, one at a time, and not waited for in vain.

A file on a disk that hangs would hold the loop up, and with it the heartbeats.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Patience(Generic[T]):
    """Reads in a thread of its own, which is started by the first reading.

    Parameters
    ----------
    read : callable
        What may hang.
    seconds : float
        How long one that asks waits; who asks meanwhile waits for the same reading.
    """

    def __init__(self, read: Callable[[], T], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="patience")
        self._pending: Future[T] | None = None

    async def read(self) -> T:
        """Give what was read, or raise what it raises.

        Raises
        ------
        TimeoutError
            If it is not read in time; it goes on, and the next one waits for it.
        """
        if self._pending is None or self._pending.done():
            self._pending = self._thread.submit(self._read)
        future = asyncio.wrap_future(self._pending)
        # Nobody else asks for the error of one that was given up.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait((future,), timeout=self._seconds)
        if not done:
            raise TimeoutError(f"no answer for {self._seconds:g} s")
        return future.result()
