"""Fetches what rows do not have (temperature, power, holders), for the nodes in view alone."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.clients.fleet import FleetSource
from citadel_k8s.errors import CitadelError

LOOK: Final = 1.0
"""Seconds between looks at which nodes are in view."""

AGE: Final = 15.0
"""Seconds after which a node's whole status is asked for again: half a heartbeat's interval."""

AT_ONCE: Final = 4
"""Nodes asked for in one look: four questions a second are nothing to an API, a page of 50 is."""

FAILED: Final = 60.0
"""Seconds for which a node is left alone that could not be had, or has no such status."""


class Details:
    """Asks for whole statuses, the nodes longest not asked for first.

    Parameters
    ----------
    source : FleetSource
        Who is asked.
    in_view : callable
        Gives the ids of the nodes in view.
    take : callable
        Told id and detail of each.
    """

    def __init__(
        self,
        source: FleetSource,
        clock: Clock,
        in_view: Callable[[], list[str]],
        take: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self._source = source
        self._clock = clock
        self._in_view = in_view
        self._take = take
        self._due: dict[str, float] = {}

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.turn()
            await asyncio.sleep(LOOK)

    async def turn(self) -> None:
        """Ask for what is due now."""
        now = self._clock.monotonic()
        due = [one for one in self._in_view() if self._due.get(one, now) <= now]
        for node in sorted(due, key=lambda one: self._due.get(one, 0.0))[:AT_ONCE]:
            try:
                told = await self._source.node(node)
            except CitadelError:
                self._due[node] = now + FAILED
                continue
            self._due[node] = now + (AGE if told.get("status") else FAILED)
            self._take(node, told)
