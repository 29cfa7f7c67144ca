"""What happened and who did what: lists of what is over, the newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import pydantic_core
from aiohttp import web

from citadel_k8s.api.fabric.cursor import decode_cursor, encode_cursor, question_of
from citadel_k8s.api.fabric.queries import AuditQuery, AuditView, EventsQuery
from citadel_k8s.api.fabric.rows import moment
from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.api.frame.route import Call
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.views import FleetEvent
from citadel_k8s.stores.postgres.audit import AuditPage
from citadel_k8s.stores.postgres.past import EventFilter, EventRow, Past
from citadel_k8s.stores.postgres.refused import RefusedError

KINDS: Final = ("state", "fault", "xid", "config", "node")
"""Kinds of events."""

MESSAGE_MAX: Final = 1024
"""Characters told of an event's sentence."""


class AuditLog(Protocol):
    """Where the audit log is; `stores.postgres.audit.Audit` does."""

    async def list(
        self,
        org_id: str | None,
        *,
        cursor: str | None = None,
        limit: int = 100,
        subject: str | None = None,
        action: str | None = None,
    ) -> AuditPage:
        """Give what was noted of an org, the latest first; raises `RefusedError`."""
        ...


class PastLists:
    """Answers with events and with the audit log.

    Parameters
    ----------
    past : Past
        Has the events.
    audit : AuditLog
        Has the audit log.
    """

    def __init__(self, past: Past, audit: AuditLog) -> None:
        self._past = past
        self._audit = audit

    async def events(self, call: Call) -> web.StreamResponse:
        """Answer with a JSON array; ``X-Next-Cursor`` and ``Link`` lead on."""
        query = call.asked(EventsQuery)
        which = EventFilter(query.node, _kinds(query.kind), query.reason, query.since, query.until)
        question = question_of(
            "events", which.node_id, which.kinds, which.reason, which.since, which.until
        )
        before = decode_cursor(query.cursor, question, (int, int)) if query.cursor else None
        rows = await self._past.events(
            call.who.org_id,
            which,
            before=None if before is None else (before[0], before[1]),
            limit=query.limit + 1,
        )
        shown = rows[: query.limit]
        cursor = None
        if len(rows) > len(shown):
            cursor = encode_cursor(question, (shown[-1].at_us, shown[-1].event_id))
        return _answer(call, [_event(row) for row in shown], cursor)

    async def audit(self, call: Call) -> web.StreamResponse:
        """Answer with a JSON array of what was done in the asker's org."""
        query = call.asked(AuditQuery)
        try:
            page = await self._audit.list(
                call.who.org_id,
                cursor=query.cursor,
                limit=query.limit,
                subject=query.subject,
                action=query.action,
            )
        except RefusedError as error:
            raise bad_request("cursor: it is none that was given out") from error
        entries = [
            AuditView(
                id=str(row.audit_id),
                time=_date(row.happened_at),
                subject=row.subject,
                action=row.action,
                target=row.target,
                outcome=row.outcome,
                detail=row.detail or None,
                address=row.address,
                request_id=row.request_id,
            )
            for row in page.rows
        ]
        return _answer(call, entries, page.cursor)


def _kinds(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(sorted({name.strip() for name in text.split(",")}))
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise bad_request(f"kind: {unknown[0][:40]!r} is none of {', '.join(KINDS)}")
    return names


def _event(row: EventRow) -> dict[str, Any]:
    # The database holds what the worker checked; an odd word must not hide the rest of the list.
    kind: Any = row.kind
    state: Any = row.state
    before: Any = row.state_before
    told = FleetEvent.model_construct(
        id=str(row.event_id),
        time=moment(row.at_us // 1000) or "",
        node=row.node_id,
        kind=kind,
        state=state,
        before=before,
        reason=row.reason,
        message=row.message[:MESSAGE_MAX],
        count=row.times,
    )
    return told.model_dump(exclude_none=True, warnings=False)


def _date(at: datetime) -> str:
    return format_timestamp(at.timestamp(), fraction=True)


def _answer(call: Call, entries: Sequence[Any], cursor: str | None) -> web.Response:
    headers = {"Cache-Control": "private, no-cache"}
    if cursor is not None:
        following = call.request.rel_url.update_query(cursor=cursor)
        headers |= {"X-Next-Cursor": cursor, "Link": f'<{following.raw_path_qs}>; rel="next"'}
    body = pydantic_core.to_json(list(entries), by_alias=True, exclude_none=True)
    return web.Response(body=body, content_type="application/json", headers=headers)
