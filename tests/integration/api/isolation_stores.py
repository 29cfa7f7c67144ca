"""What both stores hold of one org, so that it can be seen whether somebody changed it."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.domain.keys import org_events_stream
from tests.integration.api.isolation import HOUSE, ORGS
from tests.integration.api.isolation_world import World

TIMED = ("used_at", "seen_at", "polled_at")
"""Columns that time changes: when a credential was last seen."""

_OWNED = re.compile(r"(?:org|fabric:org|fabric:live|quota:[0-9]+):([^:]+):")

_TABLES = """
    SELECT c.relname FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relnamespace = 'public'::regnamespace
    ORDER BY 1
"""

Picture = dict[str, Any]
"""Names of rows and keys, and what is in them."""


async def picture(world: World, told: dict[str, set[str]]) -> dict[str, Picture]:
    """Give what each org has; ``told`` are entries of their streams that do not count."""
    found: dict[str, Picture] = {name: {} for name in (*ORGS, HOUSE)}
    async with _reading(world) as cursor:
        await cursor.execute(_TABLES)
        tables = [row["relname"] for row in await cursor.fetchall()]
        for table in tables:
            await cursor.execute(f"SELECT org_id, to_jsonb(t) - %s::text[] AS row FROM {table} t",
                                 (list(TIMED),))  # fmt: skip
            for row in await cursor.fetchall():
                if row["org_id"] in found:
                    text = json.dumps(row["row"], sort_keys=True)
                    found[row["org_id"]][f"{table}: {text}"] = True
    await _keys(world, told, found)
    return found


async def ids(world: World) -> dict[str, set[str]]:
    """Give each org's people and tokens, those made meanwhile among them."""
    found: dict[str, set[str]] = {name: set() for name in ORGS}
    async with _reading(world) as cursor:
        await cursor.execute(
            "SELECT org_id, user_id::text AS id FROM users"
            " UNION ALL SELECT org_id, token_id::text FROM device_tokens"
        )
        for row in await cursor.fetchall():
            found[row["org_id"]].add(row["id"])
    return found


async def stamped(world: World, after: str) -> set[str]:
    """Give the orgs that entries of the stream of all orgs behind one are stamped with."""
    entries = await world.redis.xrange(STATUS_STREAM, min=f"({after}")
    return {fields.get(b"orgId", b"").decode() for _, fields in entries}


async def last(world: World) -> str:
    """Give the last id of the stream of all orgs."""
    entries = await world.redis.xrevrange(STATUS_STREAM, count=1)
    return str(entries[0][0].decode())


@asynccontextmanager
async def _reading(world: World) -> AsyncIterator[Any]:
    async with world.database.transaction() as connection:
        yield connection.cursor()


async def _keys(world: World, told: dict[str, set[str]], found: dict[str, Picture]) -> None:
    names = sorted([key async for key in world.redis.scan_iter(count=1000)])
    streams = {org_events_stream(org).encode(): org for org in ORGS}
    for name in names:
        text = name.decode(errors="replace")
        owner = match[1] if (match := _OWNED.match(text)) else HOUSE
        if text == STATUS_STREAM:
            continue  # everybody's; see `stamped`
        if name in streams:
            entries = await world.redis.xrange(name)
            kept = [e for e in entries if e[0].decode() not in told[streams[name]]]
            found[owner][text] = repr(kept)
        else:
            found.setdefault(owner, {})[text] = await world.redis.dump(name)
