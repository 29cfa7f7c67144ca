"""What open streams ask every few seconds: may their readers stay, and how far is ingest."""

from uuid import UUID

from citadel_k8s.models.identity import Principal
from citadel_k8s.stores.postgres.database import Database


class Watching:
    """Answers for open streams; every call raises `DatabaseError` when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def still(self, who: Principal) -> bool:
        """Say whether a principal's credential still holds.

        A device's token must work, a person must be enabled, of the same role, and not signed out
        everywhere; of a workload nothing is kept but its org, and its tokens end within the hour.
        """
        match who.kind:
            case "device":
                condition = (
                    "EXISTS (SELECT FROM device_tokens t WHERE t.org_id = o.org_id"
                    " AND t.token_id = %(id)s AND t.revoked_at IS NULL"
                    " AND (t.expires_at IS NULL OR t.expires_at > now()))"
                )
            case "user":
                condition = (
                    "EXISTS (SELECT FROM users u WHERE u.org_id = o.org_id AND u.user_id = %(id)s"
                    " AND u.disabled_at IS NULL AND u.role = %(role)s)"
                    " AND (NOT EXISTS (SELECT FROM sessions s WHERE s.user_id = %(id)s)"
                    " OR EXISTS (SELECT FROM sessions s WHERE s.user_id = %(id)s"
                    " AND s.revoked_at IS NULL AND s.expires_at > now()))"
                )
            case "workload":
                condition = "true"
        given = {"org": who.org_id, "id": _id(who.subject), "role": who.role}
        async with self._database.tenant(who.org_id) as connection:
            found = await connection.execute(
                "SELECT 1 FROM orgs o WHERE o.org_id = %(org)s AND o.disabled_at IS NULL"
                f" AND {condition}",
                given,
            )
            return await found.fetchone() is not None

    async def frontier(self) -> int | None:
        """Give the moment, ms by the stream's clock, up to which all statuses are taken in."""
        async with self._database.transaction() as connection:
            found = await connection.execute("SELECT min(frontier_ms) AS at FROM fabric_ingest")
            row = await found.fetchone()
        return None if row is None else row["at"]


def _id(subject: str) -> UUID | None:
    try:
        return UUID(subject.partition(":")[2])
    except ValueError:
        return None
