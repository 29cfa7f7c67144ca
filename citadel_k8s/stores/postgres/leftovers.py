"""What nobody can use any more: sessions, links, tokens and enrolments that are over."""

from typing import Final, LiteralString

from citadel_k8s.stores.postgres.database import Database

KEPT_DAYS: Final = 90
"""Days that what was revoked or has expired is kept: long enough to ask who had it."""

SWEEP_SECONDS: Final = 60.0
"""Seconds for all of it."""

_DELETE: Final[tuple[LiteralString, ...]] = (
    "DELETE FROM login_links WHERE expires_at < now() - make_interval(days => %s)",
    "DELETE FROM sessions WHERE least(expires_at, revoked_at) < now() - make_interval(days => %s)",
    (
        "DELETE FROM device_tokens WHERE least(expires_at, revoked_at)"
        " < now() - make_interval(days => %s)"
    ),
    "DELETE FROM device_auths WHERE expires_at < now() - make_interval(days => %s)",
)


async def sweep(database: Database, days: int = KEPT_DAYS) -> int:
    """Delete what has been over for so many days; give how many rows that were.

    Raises
    ------
    DatabaseError
        Nothing was deleted.
    """
    gone = 0
    async with database.transaction(timeout=SWEEP_SECONDS) as connection:
        for statement in _DELETE:
            gone += (await connection.execute(statement, (days,))).rowcount
    return gone
