"""The audit log's writer: rows are gathered and written together, off the request's path."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from prometheus_client import Counter

from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import DatabaseError
from citadel_k8s.telemetry.log import RepeatLog, get_logger

ROWS_KEPT: Final = 10_000
"""Rows kept while the database is away, about 5 MB: an hour of three changes a second."""

BATCH: Final = 500
"""Rows in one transaction."""

PAUSE: Final = 0.5
"""Seconds that rows are gathered for."""

RETRY: Final = 5.0
"""Seconds before the next try after one that failed."""

Outcome = Literal["done", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what to what, and what came of it.

    Attributes
    ----------
    happened_at
        Seconds since the epoch.
    subject
        As `Principal.subject`; ``anonymous`` for nobody.
    action, target
        What was asked of what: ``token.revoke``, ``gpu-1``.
    detail
        Further words, no secrets.
    """

    happened_at: float
    org_id: str | None
    subject: str
    action: str
    target: str
    outcome: Outcome
    address: str
    request_id: str
    detail: dict[str, Any] = field(default_factory=dict[str, Any])


Append = Callable[[Sequence[AuditRow]], Awaitable[None]]
"""Writes rows, all or none; raises DatabaseError."""


class Auditor:
    """Gathers rows and writes them.

    Parameters
    ----------
    append : callable
        What writes.
    clock : Clock
        What the log's lid is measured by.
    lost : Counter
        Counts rows that had to be dropped.
    """

    def __init__(self, append: Append, clock: Clock, lost: Counter) -> None:
        self._append = append
        self._lost = lost
        self._rows: deque[AuditRow] = deque()
        self._some = asyncio.Event()
        self._trouble = RepeatLog(get_logger("api.audit"), "audit_not_written", clock=clock)

    def note(self, row: AuditRow) -> None:
        """Take a row to be written; the oldest goes where there are too many."""
        if len(self._rows) >= ROWS_KEPT:
            self._rows.popleft()
            self._lost.inc()
        self._rows.append(row)
        self._some.set()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(PAUSE)
            if not await self._write():
                await asyncio.sleep(RETRY)

    async def finish(self) -> None:
        """Write what is left, once; what cannot be written is lost."""
        try:
            while self._rows and await self._write():
                pass
        finally:
            self._lost.inc(len(self._rows))
            self._rows.clear()

    async def _write(self) -> bool:
        batch = [self._rows[i] for i in range(min(BATCH, len(self._rows)))]
        if not batch:
            self._some.clear()
            return True
        try:
            await self._append(batch)
        except DatabaseError as error:
            self._trouble.failed(error=str(error), rows=len(self._rows))
            return False
        except Exception as error:  # noqa: BLE001 - no row may keep all others from being written
            self._trouble.failed(error=repr(error), rows=len(self._rows))
            self._lost.inc(len(batch))
        else:
            self._trouble.recovered()
        # What was dropped meanwhile was the oldest: of this very batch.
        for row in batch:
            if self._rows and self._rows[0] is row:
                self._rows.popleft()
        if not self._rows:
            self._some.clear()
        return True
