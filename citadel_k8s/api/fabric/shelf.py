"""Each org's nodes as they were at most a second ago, read once for all who ask.

Rows about which nothing changed are taken over from the reading before as they are.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.fabric.pages import Page
from citadel_k8s.api.fabric.positions import Position, nowhere
from citadel_k8s.api.fabric.rows import Item, Judge, words_of
from citadel_k8s.api.fabric.single import Single
from citadel_k8s.api.fabric.sorting import Order
from citadel_k8s.domain.life import Policy
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.postgres.fleet import FleetRows, Ingested

HOLD_SECONDS: Final = 1.0
"""How long what was read is given to everybody, in seconds: a heartbeat is 10 to 30 times rarer."""

JUDGED_AT_ONCE: Final = 250
"""Rows judged before the loop serves others: each takes up to 20 microseconds."""


class Reader(Protocol):
    """Who reads; `stores.postgres.fleet.Fleet` does."""

    async def rows(self, org_id: str) -> FleetRows:
        """Give all nodes of an org; raises `DatabaseError`."""
        ...


@dataclass(slots=True)
class Listing:
    """The nodes of one org at one moment.

    ``position`` is the last id of the org's stream before they were read; None if not known.
    """

    items: dict[str, Item]
    judge: Judge
    ingested: Ingested
    position: EntryId | None = None
    pages: dict[tuple[str, str | None, int], Page] = field(
        default_factory=dict[tuple[str, str | None, int], Page]
    )
    _sorted: dict[str, list[Item]] = field(default_factory=dict[str, list[Item]])

    def sorted(self, order: Order) -> list[Item]:
        """Give all nodes in an order; sorted once for all who ask for it."""
        found = self._sorted.get(order.name)
        if found is None:
            found = self._sorted[order.name] = order.sorted(list(self.items.values()))
        return found

    @property
    def frontier_ms(self) -> int | None:
        """Up to which moment everything is ingested; None if nobody said so."""
        return min((part.frontier_ms for part in self.ingested.partitions), default=None)

    @property
    def lag_seconds(self) -> float | None:
        """Seconds since ingest last said how far it is; None if it never did."""
        return max((part.lag_seconds for part in self.ingested.partitions), default=None)


class Shelf:
    """Gives the nodes of an org.

    Parameters
    ----------
    reader : Reader
        Where they come from.
    policy : Policy
        How long silence is borne.
    clock : Clock
        What measures how old a reading is.
    position : callable
        Where the stream of changes stands.
    """

    def __init__(
        self,
        reader: Reader,
        policy: Policy,
        clock: Clock,
        *,
        hold: float = HOLD_SECONDS,
        position: Position = nowhere,
    ) -> None:
        self._reader = reader
        self._position = position
        self._policy = policy
        self._listings: Single[Listing] = Single(self._read, clock, hold=hold)

    async def listing(self, org_id: str) -> Listing:
        """Give an org's nodes, read less than a second ago.

        Raises
        ------
        DatabaseError
            When the database is away.
        """
        return await self._listings.get(org_id)

    def forget(self, org_id: str) -> None:
        """Read an org's nodes anew for the next one who asks: something was changed here."""
        self._listings.forget(org_id)

    async def _read(self, org_id: str) -> Listing:
        last = self._listings.last(org_id)
        before = {} if last is None else last.items
        # First the place, then the rows: what is told in between is told again, and not lost.
        position = await self._position(org_id)
        found = await self._reader.rows(org_id)
        judge = Judge(found.ingested, self._policy)
        items: dict[str, Item] = {}
        for number, row in enumerate(found.rows, 1):
            known = before.get(row.node_id)
            same = known is not None and known.row == row
            words = known.words if known is not None and same else words_of(row, org_id)
            verdict = judge.judge(row, words)
            if known is None or not known.still(row, verdict):
                known = Item(row, words, verdict)
            items[row.node_id] = known
            if number % JUDGED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return Listing(items, judge, found.ingested, position)
