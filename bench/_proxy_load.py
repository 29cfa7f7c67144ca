"""What the proxy's benchmark runs in processes of their own: the load, and the naive server.

Run as ``python -m bench._proxy_load load JSON`` or ``… naive REDIS_URL PORT``.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import redis.asyncio as redis_asyncio
from aiohttp import web

from citadel_k8s.models.codec import decode

PATH = "/api/fabric/redis/streams/add"
CONNECTIONS = 32
REDIS_URL = web.AppKey("redis_url", str)


@dataclass(frozen=True)
class Load:
    """What one run saw: answers a second, the slowest of a hundred, those that were not 200."""

    rate: float
    p99_ms: float
    refused: int


async def load(port: int, requests: Sequence[bytes], seconds: float) -> Load:
    """Send over and over on each connection, as fast as the answers come."""
    times: list[float] = []
    refused = 0
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def one(number: int) -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := loop.time()) < end:
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            refused += not head.startswith(b"HTTP/1.1 200")
            times.append(loop.time() - began)
            number += CONNECTIONS
        writer.close()

    async with asyncio.TaskGroup() as group:
        for first in range(CONNECTIONS):
            group.create_task(one(first))
    times.sort()
    return Load(len(times) / seconds, 1000 * times[int(len(times) * 0.99)], refused)


async def naive_add(request: web.Request) -> web.Response:
    """Check everything, connect, write, hang up."""
    body: dict[str, Any] = await request.json()
    values: dict[str, Any] = body["values"]
    decode(values["payload"], node_id=values["nodeId"])
    async with redis_asyncio.Redis.from_url(request.app[REDIS_URL]) as client:
        number: bytes = await client.xadd(body["stream"], values, maxlen=10_000)
    return web.json_response({"success": True, "messageId": number.decode()})


async def naive(redis_url: str, port: int) -> None:
    """Serve the naive way until killed."""
    app = web.Application(client_max_size=4 * 2**20)
    app[REDIS_URL] = redis_url
    app.router.add_post(PATH, naive_add)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Run the part that is named."""
    part, *words = sys.argv[1:]
    if part == "naive":
        asyncio.run(naive(words[0], int(words[1])))
    asked = json.loads(words[0])
    requests = [text.encode() for text in json.loads(Path(asked["file"]).read_text())]
    print(json.dumps(asdict(asyncio.run(load(asked["port"], requests, asked["seconds"])))))


if __name__ == "__main__":
    main()
