"""The process's memory, arranged for a fleet: what is known of nodes lives as long as they do."""

import asyncio
import ctypes
import gc
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

YOUNG: Final = 20_000
"""Objects after which the youngest are looked through for cycles. A message leaves none, and the
interpreter's own 700 are used up by seven of them."""

OLD: Final = 100
"""Rounds of the middle generation before the oldest is looked through: 0.4 s for 10,000 nodes."""

SETTLED: Final = 30.0
"""Seconds after the stream was first read to its end: then each node has been looked at once."""


@dataclass(slots=True)
class Heap:
    """Spares the collector what does not die, and gives back what the start took.

    Parameters
    ----------
    first_proof : asyncio.Event
        Set once the stream has been read to its end.
    """

    first_proof: asyncio.Event

    async def run(self) -> None:
        """Arrange the memory once all nodes are known; then there is nothing more to do."""
        gc.set_threshold(YOUNG, 20, OLD)
        await self.first_proof.wait()
        await asyncio.sleep(SETTLED)
        settle()
        await asyncio.Event().wait()


def settle() -> None:
    """Take what is there now out of the collector's sight, and give free memory back."""
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # a libc other than glibc has no such call
        ctypes.CDLL(None).malloc_trim(0)
