"""What one room needs of what is another's: small adapters, made by the wiring."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.fabric.shelf import Shelf
from citadel_k8s.api.frame.auditing import Append, AuditRow
from citadel_k8s.api.frame.limiter import OwnQuotas
from citadel_k8s.api.frame.probes import Check
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.domain.redisurl import SERVER_PORT, several
from citadel_k8s.errors import DatabaseError, SchemaError, StreamError
from citadel_k8s.models.views import Delta
from citadel_k8s.stores.orgstream import OrgStreams, Told
from citadel_k8s.stores.postgres.audit import Audit, AuditEntry
from citadel_k8s.stores.postgres.database import Database, ports_of
from citadel_k8s.stores.postgres.fleet import Fleet
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.schema import state_of
from citadel_k8s.telemetry.log import RepeatLog, get_logger


def audit_appender(audit: Audit) -> Append:
    """Give what writes the frame's rows into the audit log."""

    async def append(rows: Sequence[AuditRow]) -> None:
        await audit.append([_entry(row) for row in rows])

    return append


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        org_id=row.org_id,
        subject=row.subject,
        action=row.action,
        target=row.target,
        outcome=row.outcome,
        detail=row.detail,
        address=row.address,
        request_id=row.request_id,
        happened_at=datetime.fromtimestamp(row.happened_at, tz=UTC),
    )


def own_quotas(orgs: Orgs) -> OwnQuotas:
    """Give what tells which orgs have a daily quota of their own."""

    async def quotas() -> dict[str, int]:
        found: dict[str, int] = {}
        after = ""
        while page := await orgs.list(after=after):
            found |= {org.org_id: org.daily_quota for org in page if org.daily_quota is not None}
            after = page[-1].org_id
        return found

    return quotas


def ports_behind(settings: ApiSettings) -> frozenset[int]:
    """Give the ports of PostgreSQL and Redis: no node may have this process knock there."""
    found = set(ports_of(settings.database_url or ""))
    url = settings.redis_url or ""
    place = several(url) if url else None
    if place is not None:
        found.update(port for _, port in place.hosts)
    elif url and not url.startswith("unix:"):
        found.add(urlsplit(url).port or SERVER_PORT)
    return frozenset(found)


def rows_of(shelf: Shelf) -> Callable[[str], Awaitable[bytes]]:
    """Give what tells a stream's reader all rows of an org, as JSON on one line."""

    async def rows(org_id: str) -> bytes:
        # What was read a moment ago lacks what was told since, and nobody would tell it again.
        shelf.forget(org_id)
        listing = await shelf.listing(org_id)
        told = (item.encoded(listing.judge.age(item)) for item in listing.items.values())
        return b"[" + b",".join(told) + b"]"

    return rows


def mesh_ids(fleet: Fleet) -> Callable[[str, str], Awaitable[str | None]]:
    """Give what finds the mesh's id of an org's node."""

    async def mesh_id(org_id: str, node_id: str) -> str | None:
        node = await fleet.node(org_id, node_id)
        return None if node is None else node.row.headscale_id

    return mesh_id


class Goodbye:
    """Tells an org's listeners that a node was given up.

    Parameters
    ----------
    streams : OrgStreams
        Where they listen.
    clock : Clock
        What the log's lid is measured by.
    """

    def __init__(self, streams: OrgStreams, clock: Clock) -> None:
        self._streams = streams
        self._trouble = RepeatLog(get_logger("api"), "goodbye_not_told", clock=clock)

    async def gone(self, org_id: str, node_id: str) -> None:
        """Tell it; without Redis their next snapshot does."""
        delta = Delta(type="gone", id=node_id)
        try:
            await self._streams.tell([Told(org_id, delta.model_dump_json(exclude_none=True))])
        except StreamError as error:
            self._trouble.failed(error=str(error))
        else:
            self._trouble.recovered()


def schema_check(database: Database) -> Check:
    """Give the check that PostgreSQL answers and has our schema."""

    async def check() -> None:
        state = await state_of(database)
        if state.problem is not None:
            # A right that is lacking is mended by another statement, which the log has.
            fits = state.current == state.head
            raise (DatabaseError if fits else SchemaError)(state.problem)

    return check
