"""The streams in the API as it is deployed: behind its frame, for its people and devices."""

import asyncio
import json
from typing import Any

import aiohttp

from citadel_k8s.stores.orgstream import OrgStreams, Told
from tests.integration.api.conftest import WholeApi
from tests.orgfeed import node, parse

PATH = "/api/fabric/events"


async def until(response: aiohttp.ClientResponse, kind: str) -> list[dict[str, str]]:
    """Read on until an event of a kind has come."""
    body = b""
    async with asyncio.timeout(10):
        while not any(event.get("event") == kind for event in parse(body)):
            body += await response.content.readany()
    return parse(body)


async def test_a_stream_is_sent_as_it_comes_and_only_to_its_org(api: WholeApi):
    streams = OrgStreams(api.redis_url)
    mine = api.client.get(api.url(PATH), headers=api.headers["viewer"])
    theirs = api.client.get(api.url(PATH), headers=api.headers["other"])
    async with mine as first, theirs as second:
        assert first.headers["Content-Type"].startswith("text/event-stream")
        assert "Content-Encoding" not in first.headers
        assert (await until(first, "snapshot"))[-1]
        await until(second, "snapshot")
        told = json.dumps(node("gpu-1", state="Online", profile={"name": "x"}))
        await streams.tell([Told("acme", told)])
        # The first entry of a stream: nobody can know that there was none before it.
        events = await until(first, "snapshot")
        assert any(event.get("event") == "reset" for event in events)
        await streams.tell([Told("acme", told), Told("other", told.replace("gpu-1", "gpu-2"))])
        (changed,) = [e for e in await until(first, "node") if e.get("event") == "node"]
        assert json.loads(changed["data"])["id"] == "gpu-1"
        seen = await until(second, "snapshot")
        assert not any("gpu-1" in event.get("data", "") for event in seen)
    await streams.close()


async def test_queries_and_credentials_are_looked_at_before_a_stream_begins(api: WholeApi):
    for query, who, expected in (
        ("", None, 401),
        ("?after=x", "viewer", 400),
        ("?kinds=snapshot", "viewer", 400),
        ("?nodes=" + ",".join(f"n{n}" for n in range(201)), "viewer", 400),
        ("?surprise=1", "viewer", 400),
    ):
        status, body, _ = await api.ask(PATH + query, who=who)
        assert (status, bool(body["error"])) == (expected, True)


async def test_a_page_and_a_device_follow_over_websockets_too(api: WholeApi):
    for who in ("viewer", "device"):
        url = api.url("/api/fabric/ws")
        async with api.client.ws_connect(url, headers=api.headers[who]) as socket:
            await socket.send_json({"type": "subscribe"})
            said: dict[str, Any] = await socket.receive_json(timeout=5)
            assert (said["type"], said["data"]) == ("snapshot", [])
