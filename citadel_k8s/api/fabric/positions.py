"""Where an org's stream of changes stood before its rows were read: a stream goes on from there.

Rows are committed before they are told, so that whatever has an id by then is in them. A list is
worth having without its position: a Redis that does not answer may not hold it up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgfeed import OrgFeed
from citadel_k8s.telemetry.log import RepeatLog, get_logger

PATIENCE: Final = 0.5
"""Seconds that a list waits for its position; Redis answers in a thousandth of that."""

REST: Final = 5.0
"""Seconds for which nobody asks again after that was in vain: each list would wait anew."""

Position: TypeAlias = Callable[[str], Awaitable[EntryId | None]]
"""Gives the last id of an org's stream; None if it is not known, or there is none."""


async def nowhere(_org_id: str) -> EntryId | None:
    """Give no position: there is no stream."""
    return None


class Positions:
    """Asks for positions.

    Parameters
    ----------
    feed : OrgFeed
        Who knows them.
    clock : Clock
        What the rest is measured by.
    """

    def __init__(self, feed: OrgFeed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self._again = float("-inf")
        self._trouble = RepeatLog(get_logger("api"), "stream_position_unknown", clock=clock)

    async def __call__(self, org_id: str) -> EntryId | None:
        """Give the last id of an org's stream, within half a second; never raises."""
        if self._clock.monotonic() < self._again:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                span = await self._feed.span(org_id)
        except (StreamError, TimeoutError) as error:
            self._again = self._clock.monotonic() + REST
            self._trouble.failed(error=str(error) or "no answer in time")
            return None
        self._trouble.recovered()
        # What is not there any more is no place to go on from, and every stream begins at zero.
        return span.last if span.held == span.last else None
