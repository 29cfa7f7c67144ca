"""The same streams over WebSockets: begun anew, refused, closed with a code that says why."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from citadel_k8s.api.events.websocket import FRAME_MAX, PACE
from citadel_k8s.local.valkey import Valkey
from tests.integration.api.events.serving import Served, served
from tests.orgfeed import node


@asynccontextmanager
async def dialled(
    api: Served, org: str = "a", **headers: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"http://127.0.0.1:{api.port}/api/fabric/ws"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers={"X-Org": org, **headers}) as socket,
    ):
        yield socket


async def frame(socket: aiohttp.ClientWebSocketResponse, *kinds: str) -> dict[str, Any]:
    """The next frame of some kinds."""
    async with asyncio.timeout(5):
        while True:
            said: dict[str, Any] = await socket.receive_json()
            if said["type"] in kinds:
                return said


async def closed(socket: aiohttp.ClientWebSocketResponse, seconds: float = 5) -> int | None:
    async with asyncio.timeout(seconds):
        while not socket.closed:
            await socket.receive()
    return socket.close_code


async def test_messages_are_those_of_the_event_stream_as_frames(own_valkey: Valkey):
    async with served(own_valkey.url) as api, dialled(api) as socket:
        await api.tell("a", node("n1", state="Online", profile={"name": "a\nb\0"}))
        await socket.send_json({"type": "subscribe"})
        snapshot = await frame(socket, "snapshot")
        assert snapshot["data"] == list(api.rows["a"].values())
        assert (await frame(socket, "time"))["data"]["stale"] is False
        place = await api.tell("a", node("n1", pulse={"cpu": 1}))
        said = await frame(socket, "node")
        assert said == {"type": "node", "id": place, "data": node("n1", pulse={"cpu": 1})}


async def test_a_subscribe_names_a_place_and_nodes_and_another_begins_anew(own_valkey: Valkey):
    async with served(own_valkey.url) as api, dialled(api) as socket:
        place = await api.tell("a", node("n1", state="Online"))
        for name in ("n2", "n3"):
            await api.tell("a", node(name, state="Online"))
        await socket.send_json({"type": "subscribe", "after": place, "nodes": ["n3"]})
        assert (await frame(socket, "snapshot", "node", "reset"))["data"]["id"] == "n3"
        await asyncio.sleep(PACE)
        await socket.send_json({"type": "subscribe", "after": "1-1"})
        assert (await frame(socket, "snapshot", "node", "reset"))["type"] == "reset"
        assert len((await frame(socket, "snapshot"))["data"]) == 3


async def test_a_ping_is_answered_and_what_is_not_understood_is_said_so(own_valkey: Valkey):
    async with served(own_valkey.url) as api, dialled(api) as socket:
        for text, error in (
            ('{"type":"ping"}', None),
            ('{"type":"dance"}', "unknown_type"),
            ("[]", "unknown_type"),
            ("{", "not_json"),
            ('{"type":"subscribe","after":"x"}', "bad_request"),
            ('{"type":"subscribe","nodes":["a/b"]}', "bad_request"),
            (json.dumps({"type": "subscribe", "nodes": ["n"] * 201}), "bad_request"),
        ):
            await socket.send_str(text)
            said = await frame(socket, "pong", "error")
            assert said.get("error") == error
            assert error is None or said["error_description"]


async def test_a_page_of_somebody_elses_is_refused_and_programs_are_not(own_valkey: Valkey):
    async with served(own_valkey.url) as api:
        for origin in ("https://evil.example", "null", "http://fabric.example", "https://[", "x"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with dialled(api, Origin=origin):
                    pass
            assert refused.value.status == 403
        for origin in ("https://fabric.example", "https://FABRIC.example:443"):
            async with dialled(api, Origin=origin) as socket:
                await socket.send_json({"type": "subscribe"})
                await frame(socket, "snapshot")
        api.kind = "device"
        async with dialled(api, Origin="https://elsewhere.example") as socket:
            await socket.send_json({"type": "subscribe"})
            await frame(socket, "snapshot")
        assert api.hub.figures.streams <= 1


async def test_close_codes_say_why(own_valkey: Valkey):
    async with served(own_valkey.url, check_every=0.3) as api:
        async with dialled(api) as socket:
            await socket.send_bytes(b"{}")
            assert await closed(socket) == 1003
        async with dialled(api) as socket:
            await socket.send_str(" " * (FRAME_MAX + 1))
            assert await closed(socket) == 1009
        async with dialled(api) as socket:
            await socket.send_json({"type": "subscribe"})
            await frame(socket, "snapshot")
            api.holds = False
            assert await closed(socket) == 4401
        api.holds = True
        async with dialled(api) as socket:
            await socket.send_json({"type": "subscribe"})
            await frame(socket, "snapshot")
            api.stopping.set()
            assert await closed(socket) == 1001


async def test_who_never_subscribes_is_closed(own_valkey: Valkey):
    async with served(own_valkey.url, patience=0.5) as api, dialled(api) as socket:
        assert await closed(socket) == 4408


async def test_nothing_is_left_of_sockets_that_came_and_went(own_valkey: Valkey):
    async with served(own_valkey.url, linger=1.0) as api:
        await asyncio.sleep(0.1)
        before = set(asyncio.all_tasks())
        for turn in range(30):
            async with dialled(api) as socket:
                if turn % 3:
                    await socket.send_json({"type": "subscribe"})
                if turn % 2:
                    await frame(socket, "snapshot", "time") if turn % 3 else None
        await asyncio.sleep(3)
        assert api.hub.figures.streams == api.hub.figures.orgs == 0
        assert set(asyncio.all_tasks()) <= before
