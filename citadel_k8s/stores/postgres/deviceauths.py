"""Enrolment of devices (RFC 8628): a code is shown, somebody approves it, one poll gets a token."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, LiteralString

from citadel_k8s.models.identity import DEVICE_SCOPES
from citadel_k8s.stores.postgres.database import Connection, Database
from citadel_k8s.stores.postgres.refused import RefusedError, refusing
from citadel_k8s.stores.postgres.secret import new_secret, secret_hash, storable
from citadel_k8s.stores.postgres.tokens import TokenRow, insert_token
from citadel_k8s.stores.postgres.usercode import new_user_code, shown, typed

EXPIRES: Final = 600
"""Seconds that a code is valid. Source: the wire contract."""

PACE: Final = 5
"""Seconds between two polls. Source: the wire contract."""

SLOWER: Final = 5
"""Seconds that the pace grows by when it was not kept. Source: RFC 8628, section 3.5."""

PACE_MAX: Final = 60
"""Longest pace, in seconds: the client waits no longer either."""

SLACK: Final = 0.5
"""Seconds by which a poll may be early: two requests need not take the same time to come."""

PENDING_MAX: Final = 10_000
"""Codes that wait at once: 1 of 2.5 million possible codes is then valid."""

PENDING_PER_ADDRESS: Final = 50
"""Codes of one address that wait at once: a rack behind one address enrols within minutes."""

TEXT_LIMIT: Final = 200
"""Characters kept of what a device says of itself."""

_LOCK: Final = 0x6369_7461_0002
_TRIES: Final = 5
_COLUMNS: Final = (
    "d.user_code, d.client_id, d.client_version, d.hostname, d.machine_id, d.force_new, d.address,"
    " d.created_at, d.expires_at, d.state, d.org_id, d.node_id, d.decided_by"
)


@dataclass(frozen=True, slots=True)
class DeviceAuth:
    """An enrolment. What the device says of itself is a claim: nobody has checked it."""

    user_code: str
    client_id: str
    client_version: str | None
    hostname: str | None
    machine_id: str | None
    force_new: bool
    address: str | None
    created_at: datetime
    expires_at: datetime
    state: str
    org_id: str | None
    node_id: str | None
    decided_by: str | None


@dataclass(frozen=True, slots=True)
class Started:
    """What a device is told: its secret, the code to show, seconds of validity and pace."""

    device_code: str
    user_code: str
    expires_in: int = EXPIRES
    interval: int = PACE


@dataclass(frozen=True, slots=True)
class Poll:
    """What a poll found. ``slow_down`` says that the device polls too often."""

    outcome: Literal["pending", "slow_down", "approved", "denied", "expired"]
    interval: int = PACE


class DeviceAuths:
    """All enrolments.

    Parameters
    ----------
    database : Database
        Where they are kept.
    pending_max, pending_per_address : int
        How many may wait at once, in all and of one address.
    """

    def __init__(
        self,
        database: Database,
        *,
        pending_max: int = PENDING_MAX,
        pending_per_address: int = PENDING_PER_ADDRESS,
    ) -> None:
        self._database = database
        self._pending_max = pending_max
        self._pending_per_address = pending_per_address

    async def start(
        self,
        *,
        client_id: str,
        client_version: str | None = None,
        hostname: str | None = None,
        machine_id: str | None = None,
        force_new: bool = False,
        address: str | None = None,
    ) -> Started:
        """Begin an enrolment.

        Raises
        ------
        RefusedError
            ``too_many`` if as many wait as may.
        """
        device_code = new_secret()
        told = (client_id, client_version, hostname, machine_id, address)
        values = [None if text is None else storable(text, TEXT_LIMIT) for text in told]
        with refusing("the enrolment"):
            async with self._database.transaction() as connection:
                await self._make_room(connection, values[-1])
                for _ in range(_TRIES):
                    code = new_user_code()
                    cursor = await connection.execute(
                        "INSERT INTO device_auths (client_id, client_version, hostname, machine_id,"
                        " address, force_new, device_hash, user_code, pace_seconds, expires_at)"
                        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, now() + make_interval("
                        "secs => %s)) ON CONFLICT (user_code) DO NOTHING",
                        (*values, force_new, secret_hash(device_code), code, PACE, EXPIRES),
                    )
                    if cursor.rowcount:
                        return Started(device_code, shown(code))
        raise RefusedError("too_many", "no free code was found; try again")

    async def poll(self, device_code: str) -> Poll:
        """Say how an enrolment stands; each poll counts against the pace.

        An unknown code is ``expired``, as is one that was used up: expired ones are deleted.
        """
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "WITH before AS (SELECT device_hash, now() - polled_at"
                " < make_interval(secs => pace_seconds - %(slack)s) AS fast"
                " FROM device_auths WHERE device_hash = %(hash)s FOR UPDATE)"
                " UPDATE device_auths d SET polled_at = now(), pace_seconds = CASE WHEN before.fast"
                " AND state = 'pending' THEN least(pace_seconds + %(slower)s, %(most)s)"
                " ELSE pace_seconds END FROM before WHERE d.device_hash = before.device_hash"
                " RETURNING state, pace_seconds, fast, expires_at <= now() AS expired",
                {
                    "hash": secret_hash(device_code),
                    "slack": SLACK,
                    "slower": SLOWER,
                    "most": PACE_MAX,
                },
            )
            row = await cursor.fetchone()
        return _poll(row)

    async def consume(
        self, device_code: str, *, scopes: Collection[str] = DEVICE_SCOPES
    ) -> tuple[DeviceAuth, TokenRow, str] | None:
        """Use an approved enrolment up: give it, and the token that is made for its device.

        The node is known from then on. All happens or nothing. Of several that ask at once, one
        gets the token; None for the others, and if it is not approved, has ended, or its org is
        disabled.

        Raises
        ------
        RefusedError
            If a scope is unknown; the enrolment is then not used up.
        """
        with refusing("the token"):
            async with self._database.transaction() as connection:
                cursor = await connection.execute(
                    "UPDATE device_auths d SET state = 'consumed' FROM orgs o"
                    " WHERE device_hash = %s AND state = 'approved' AND expires_at > now()"
                    " AND o.org_id = d.org_id AND o.disabled_at IS NULL"
                    f" RETURNING {_COLUMNS}",
                    (secret_hash(device_code),),
                )
                row = await cursor.fetchone()
                if row is None:
                    return None
                auth = DeviceAuth(**row)
                token, raw = await insert_token(
                    connection,
                    str(auth.org_id),
                    auth.hostname or auth.node_id or auth.client_id,
                    created_by=auth.decided_by or "",
                    scopes=scopes,
                    node_id=auth.node_id,
                    life=None,
                )
                if auth.node_id is not None:
                    # Known from now on, though it never reported; one that had left is back.
                    await connection.execute(
                        "INSERT INTO nodes (org_id, node_id, name, source)"
                        " VALUES (%s, %s, %s, 'enrolment') ON CONFLICT (org_id, node_id)"
                        " DO UPDATE SET decommissioned_at = NULL",
                        (auth.org_id, auth.node_id, auth.hostname),
                    )
        return auth, token, raw

    async def pending(self, user_code: str) -> DeviceAuth | None:
        """Give the enrolment that waits with a code, as it was typed, to show what is approved."""
        code = typed(user_code)
        if code is None:
            return None
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                f"SELECT {_COLUMNS} FROM device_auths d"
                " WHERE user_code = %s AND state = 'pending' AND expires_at > now()",
                (code,),
            )
            row = await cursor.fetchone()
        return None if row is None else DeviceAuth(**row)

    async def approve(
        self, user_code: str, *, org_id: str, node_id: str | None, decided_by: str
    ) -> DeviceAuth | None:
        """Let a device in, for an org and, unless None, as one node. None if nothing waits.

        Raises
        ------
        RefusedError
            If there is no such org.
        """
        with refusing("the approval"):
            return await self._decide(user_code, "approved", org_id, node_id, decided_by)

    async def deny(self, user_code: str, *, org_id: str, decided_by: str) -> DeviceAuth | None:
        """Refuse a device. None if nothing waits."""
        with refusing("the refusal"):
            return await self._decide(user_code, "denied", org_id, None, decided_by)

    async def sweep(self) -> int:
        """Delete what has expired; give how many."""
        async with self._database.transaction() as connection:
            return await _delete_expired(connection)

    async def _decide(
        self,
        user_code: str,
        state: LiteralString,
        org_id: str,
        node_id: str | None,
        decided_by: str,
    ) -> DeviceAuth | None:
        code = typed(user_code)
        if code is None:
            return None
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "UPDATE device_auths d SET state = %s, org_id = %s, node_id = %s, decided_by = %s,"
                " decided_at = now()"
                " WHERE user_code = %s AND state = 'pending' AND expires_at > now()"
                f" RETURNING {_COLUMNS}",
                (state, org_id, node_id, storable(decided_by, TEXT_LIMIT), code),
            )
            row = await cursor.fetchone()
        return None if row is None else DeviceAuth(**row)

    async def _make_room(self, connection: Connection, address: str | None) -> None:
        # The lock makes the bounds exact: it lasts for this short transaction.
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await _delete_expired(connection)
        cursor = await connection.execute(
            "SELECT count(*) AS waiting, count(*) FILTER (WHERE address = %s) AS of_address"
            " FROM device_auths WHERE state = 'pending'",
            (address,),
        )
        (row,) = await cursor.fetchall()
        if row["of_address"] >= self._pending_per_address:
            raise RefusedError(
                "too_many",
                f"{row['of_address']} enrolments from this address wait for their approval;"
                f" approve or deny them, or try again in {EXPIRES // 60} minutes",
            )
        if row["waiting"] >= self._pending_max:
            raise RefusedError(
                "too_many",
                f"{row['waiting']} enrolments wait for their approval; try again later",
            )


async def _delete_expired(connection: Connection) -> int:
    return (await connection.execute("DELETE FROM device_auths WHERE expires_at <= now()")).rowcount


def _poll(row: dict[str, Any] | None) -> Poll:
    if row is None or row["expired"] or row["state"] == "consumed":
        return Poll("expired")
    pace = int(row["pace_seconds"])
    if row["state"] == "approved":
        return Poll("approved", pace)
    if row["state"] == "denied":
        return Poll("denied", pace)
    return Poll("slow_down" if row["fast"] else "pending", pace)
