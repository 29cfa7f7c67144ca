"""Who did what, and what came of it: rows are added, and go when their days have passed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from psycopg.rows import class_row

from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.refused import RefusedError, refusing
from citadel_k8s.stores.postgres.secret import storable, storable_document

TEXT_LIMIT: Final = 400
"""Characters kept of each text: a workload's subject is the longest, with about 200."""

PAGE_LIMIT: Final = 500
"""Rows given at once."""

Outcome = Literal["done", "refused", "failed"]
"""What came of it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LARGEST: Final = 2**62


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is noted; ``org_id`` None is the platform. Without a moment it is that of storing."""

    org_id: str | None
    subject: str
    action: str
    target: str = ""
    outcome: Outcome = "done"
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])
    address: str | None = None
    request_id: str | None = None
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """What was noted."""

    audit_id: int
    org_id: str | None
    happened_at: datetime
    subject: str
    action: str
    target: str
    outcome: str
    detail: dict[str, Any]
    address: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Rows, the latest first; ``cursor`` gives the ones before them, None if there are none."""

    rows: tuple[AuditRow, ...]
    cursor: str | None


class Audit:
    """The audit log of all orgs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries, all in one statement.

        Raises
        ------
        RefusedError
            If one has an outcome that is none; none is added then.
        """
        if not entries:
            return
        with refusing("an entry of the audit log"):
            async with self._database.transaction() as connection:
                await connection.execute(
                    "INSERT INTO audit_log (org_id, subject, action, target, outcome, detail,"
                    " address, request_id, happened_at)"
                    " SELECT org_id, subject, action, target, outcome, detail::jsonb, address,"
                    " request_id, coalesce(happened_at, now()) FROM unnest(%s::text[], %s::text[],"
                    " %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],"
                    " %s::timestamptz[]) AS given (org_id, subject, action, target, outcome,"
                    " detail, address, request_id, happened_at)",
                    tuple(map(list, zip(*map(_columns, entries), strict=True))),
                )

    async def list(
        self,
        org_id: str | None,
        *,
        cursor: str | None = None,
        limit: int = 100,
        subject: str | None = None,
        action: str | None = None,
    ) -> AuditPage:
        """Give what was noted of an org, or of all and the platform, the latest first.

        Raises
        ------
        RefusedError
            If the cursor is none that was given.
        """
        before = _parsed(cursor) if cursor else (None, None)
        rows_max = max(1, min(limit, PAGE_LIMIT))
        within = self._database.transaction() if org_id is None else self._database.tenant(org_id)
        async with within as connection:
            found = connection.cursor(row_factory=class_row(AuditRow))
            await found.execute(
                "SELECT audit_id, org_id, happened_at, subject, action, target, outcome, detail,"
                " address, request_id FROM audit_log"
                " WHERE (%(org)s::text IS NULL OR org_id = %(org)s)"
                " AND (%(at)s::timestamptz IS NULL OR (happened_at, audit_id) < (%(at)s, %(id)s))"
                " AND (%(subject)s::text IS NULL OR subject = %(subject)s)"
                " AND (%(action)s::text IS NULL OR action = %(action)s)"
                " ORDER BY happened_at DESC, audit_id DESC LIMIT %(limit)s",
                {
                    "org": org_id,
                    "at": before[0],
                    "id": before[1],
                    "limit": rows_max + 1,
                    "subject": None if subject is None else storable(subject, TEXT_LIMIT),
                    "action": None if action is None else storable(action, TEXT_LIMIT),
                },
            )
            rows = await found.fetchall()
        more = len(rows) > rows_max
        kept = tuple(rows[:rows_max])
        return AuditPage(kept, _cursor(kept[-1]) if more else None)


def _columns(entry: AuditEntry) -> tuple[object, ...]:
    texts = (entry.subject, entry.action, entry.target, entry.outcome)
    loose = (entry.address, entry.request_id)
    return (
        entry.org_id,
        *(storable(text, TEXT_LIMIT) for text in texts),
        json.dumps(storable_document(entry.detail, TEXT_LIMIT)),
        *(None if text is None else storable(text, TEXT_LIMIT) for text in loose),
        entry.happened_at,
    )


def _cursor(row: AuditRow) -> str:
    return f"{(row.happened_at - _EPOCH) // _MICROSECOND}-{row.audit_id}"


def _parsed(cursor: str) -> tuple[datetime, int]:
    at, _, number = cursor[:64].partition("-")
    if not (at.isascii() and at.isdigit() and number.isascii() and number.isdigit()):
        raise RefusedError("invalid", "the cursor is none that was given")
    try:
        moment = _EPOCH + timedelta(microseconds=int(at))
    except OverflowError as error:
        raise RefusedError("invalid", "the cursor is none that was given") from error
    return moment, min(int(number), _LARGEST)
