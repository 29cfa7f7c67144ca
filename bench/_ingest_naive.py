"""The naive worker: each message is a transaction of its own, each confirmation a round trip."""

import asyncio
import sys
from typing import Any

import psycopg
import redis.asyncio as redis_asyncio

from citadel_k8s.constants import STATUS_GROUP, STATUS_STREAM
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import decode

ROW = """
INSERT INTO fabric_node_status (
    org_id, node_id, boot_id, seq, stream_epoch, stream_ms, stream_seq, interval_seconds,
    verdict, state, state_reason, state_since, pulse)
VALUES ('bench', %s, %s, %s, 0, %s, 0, 30, 'Online', 'Online', 'Heartbeat', now(), '{}')
ON CONFLICT (org_id, node_id) DO UPDATE SET
    boot_id = excluded.boot_id, seq = excluded.seq, stream_ms = excluded.stream_ms
"""
DETAIL = """
INSERT INTO fabric_node_detail (org_id, node_id, digest, profile, status)
VALUES ('bench', %s, '', '{}', %s::jsonb)
ON CONFLICT (org_id, node_id) DO UPDATE SET status = excluded.status
"""
NODE = """
INSERT INTO nodes (org_id, node_id, source) VALUES ('bench', %s, 'report') ON CONFLICT DO NOTHING
"""


async def main(redis_url: str, database_url: str, group: str = STATUS_GROUP) -> None:
    """Take entries in until killed."""
    redis: Any = redis_asyncio.Redis.from_url(redis_url, protocol=2)
    database = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    while True:
        answer = await redis.xreadgroup(group, "naive", {STATUS_STREAM: ">"}, count=1, block=2000)
        for key, fields in answer[0][1] if answer else ():
            try:
                message = decode(fields[b"payload"])
            except WireError:
                await redis.xack(STATUS_STREAM, group, key)
                continue
            node_id, ms = message.node_id, int(key.split(b"-")[0])
            async with database.transaction():
                await database.execute(NODE, (node_id,))
                await database.execute(ROW, (node_id, message.boot_id, message.seq, ms))
                await database.execute(DETAIL, (node_id, fields[b"payload"].decode()))
            await redis.publish("fabric:org:bench:events", f'{{"id":"{node_id}"}}')
            await redis.set(f"org:bench:node:{node_id}:status", fields[b"payload"])
            await redis.xack(STATUS_STREAM, group, key)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
