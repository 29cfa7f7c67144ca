"""Streams over real sockets out of a real server: resumed, cut, lost, stuck, and kept apart."""

import asyncio
import json
import socket
from typing import Any

import pytest
import redis.asyncio

from citadel_k8s.api.events.hub import Limits
from citadel_k8s.local.valkey import Valkey
from tests.integration.api.events.serving import Listener, served
from tests.orgfeed import node

HEAD = (b"text/event-stream", b"no-store", b"X-Accel-Buffering: no")


def has(kind: str, count: int = 1) -> Any:
    return lambda events: sum(event["event"] == kind for event in events) >= count


async def test_a_stream_is_plain_unbuffered_and_names_a_place_to_go_on_from(own_valkey: Valkey):
    async with served(own_valkey.url) as api:
        await api.tell("a", node("n1", state="Online"))
        client = await Listener.connect(api.port, "a")
        assert all(line in client.head for line in HEAD)
        assert b"Content-Encoding" not in client.head
        await client.until(has("snapshot"))
        place = await api.tell("a", node("n1", pulse={"cpu": 1}))
        await client.until(has("node"))
        assert client.body.startswith(b"retry: ")
        assert client.events()[-1]["id"] == place
        assert client.rows() == api.rows["a"]
        client.close()


@pytest.mark.parametrize("name", ["a\nb", "a\r\n\r\nevent: gone", "a\0b", "data: x\n\n", "\u2028"])
async def test_a_name_with_anything_in_it_stays_a_name(own_valkey: Valkey, name: str):
    async with served(own_valkey.url) as api:
        await api.tell("a", node("n0", state="Online", profile={"name": name}))
        client = await Listener.connect(api.port, "a")
        await client.until(has("snapshot"))
        await api.tell("a", node("n1", state="Online", profile={"name": name}))
        await client.until(has("node"))
        assert client.kinds() == ["snapshot", "node"]
        assert client.rows() == api.rows["a"]
        client.close()


async def test_clients_move_between_replicas_and_miss_nothing(own_valkey: Valkey):
    async with (
        served(own_valkey.url) as one,
        served(own_valkey.url, rows=one.rows) as other,
    ):
        await one.tell("a", node("n0", state="Online"))
        place, seen = None, list[str]()
        for turn in range(6):
            api = (one, other)[turn % 2]
            client = await Listener.connect(api.port, "a", after=place)
            for number in range(5):
                await one.tell("a", node(f"n{turn}-{number}", state="Online"))
            await client.read(0.3)
            seen += [event["id"] for event in client.events() if event["event"] == "node"]
            assert "reset" not in client.kinds()
            place = client.place() or place
            client.close()
            await one.tell("a", node(f"m{turn}", state="Online"))
        last = await Listener.connect(one.port, "a", query=f"?after={place}")
        await last.until(has("node"))
        await last.read(0.3)
        seen += [event["id"] for event in last.events() if event["event"] == "node"]
        assert len(seen) == len(set(seen)) >= 30
        assert seen == sorted(seen, key=lambda text: tuple(map(int, text.split("-"))))
        last.close()


async def test_a_server_that_comes_back_empty_begins_anew_and_one_with_its_data_does_not(
    own_valkey: Valkey,
):
    async with served(own_valkey.url) as api:
        await api.tell("a", node("n1", state="Online"))
        client = await Listener.connect(api.port, "a")
        await client.until(has("snapshot"))
        await own_valkey.restart(keep=True)
        await api.tell("a", node("n2", state="Online"))
        await client.until(has("node"), limit=15)
        assert client.kinds() == ["snapshot", "node"]
        times = [json.loads(e["data"]) for e in client.events(times=True) if e["event"] == "time"]
        assert any(time["stale"] for time in times)
        await own_valkey.restart(keep=False)
        await api.tell("a", node("n3", state="Online"))
        await client.until(has("snapshot", 2), limit=15)
        await client.until(lambda _events: client.rows() == api.rows["a"])
        assert client.kinds()[:4] == ["snapshot", "node", "reset", "snapshot"]
        client.close()


async def test_a_place_that_was_trimmed_or_never_was_begins_anew(own_valkey: Valkey):
    async with served(own_valkey.url) as api:
        place = await api.tell("a", node("n1", state="Online"))
        for number in range(5):
            await api.tell("a", node(f"n{number}"), maxlen=2, approximate=False)
        for after in (place, "1-1", "99999999999999-0", "nonsense", "0-0"):
            client = await Listener.connect(api.port, "a", after=after)
            await client.until(has("snapshot"))
            assert client.kinds() == ["reset", "snapshot"]
            client.close()


async def test_a_client_that_does_not_read_is_cut_and_the_others_do_not_wait(
    own_valkey: Valkey,
):
    async with served(own_valkey.url, stuck_seconds=2.0) as api:
        for number in range(20):
            await api.tell("a", node(f"n{number}", profile={"name": "x" * 40_000}))
        stuck = socket.create_connection(("127.0.0.1", api.port))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET /api/fabric/events HTTP/1.1\r\nHost: x\r\nX-Org: a\r\n\r\n")
        client = await Listener.connect(api.port, "a", query="?kinds=event")
        await client.read(0.3)
        loop = asyncio.get_running_loop()
        slowest = 0.0
        for number in range(30):
            started = loop.time()
            await api.tell("a", node("n1", pulse={"cpu": number}))
            await api.tell("a", {"type": "event", "id": "n1", "event": {"id": "e"}})
            await client.until(has("event", number + 1))
            slowest = max(slowest, loop.time() - started)
            await asyncio.sleep(0.15)
        assert slowest < 1.5
        assert api.hub.figures.stuck == 1
        assert api.hub.figures.streams == 1
        stuck.close()
        client.close()


async def test_nothing_is_left_of_a_hundred_clients_that_came_and_went(own_valkey: Valkey):
    async with served(own_valkey.url, linger=1.0) as api:
        await api.tell("a", node("n1", state="Online"))
        before = set(asyncio.all_tasks())
        for turn in range(100):
            client = await Listener.connect(api.port, "a")
            if turn % 3:
                await client.until(has("snapshot"))
            client.close()
        await asyncio.sleep(3.5)
        assert api.hub.figures.streams == api.hub.figures.orgs == 0
        assert set(asyncio.all_tasks()) <= before
        async with redis.asyncio.Redis.from_url(own_valkey.url) as server:
            clients: Any = await server.client_list()
        # Ours that asks, and those of the pool, which nobody holds: one reader and its snapshot.
        assert len(clients) <= 4


async def test_no_client_of_one_org_ever_gets_a_byte_of_another(own_valkey: Valkey):
    orgs = ("a", "b", "a:stream", "*", "a}{b")
    async with served(own_valkey.url) as api:
        for org in orgs:
            await api.tell(org, node(f"<{org}>", state="Online"))
        clients = {org: await Listener.connect(api.port, org) for org in orgs}
        for client in clients.values():
            await client.until(has("snapshot"))
        last = ""
        for number in range(40):
            for org in orgs:
                last = await api.tell(org, node(f"<{org}>", profile={"name": f"{number}"}))
        visitor = await Listener.connect(api.port, "a", after=last)
        async with asyncio.TaskGroup() as group:
            for client in (*clients.values(), visitor):
                group.create_task(client.read(1.5))
        clients["a "] = visitor
        for org, client in clients.items():
            assert list(client.rows()) == [f"<{org.strip()}>"]
            for other in orgs:
                if other != org.strip():
                    assert f"<{other}>".encode() not in client.body
            client.close()


async def test_a_credential_with_too_many_streams_is_refused_before_anything_is_sent(
    own_valkey: Valkey,
):
    async with served(own_valkey.url, limits=Limits(per_principal=1)) as api:
        client = await Listener.connect(api.port, "a")
        other = await Listener.connect(api.port, "a")
        assert b"429" in other.head.splitlines()[0]
        client.close()
        other.close()


async def test_a_stream_ends_when_its_credential_does(own_valkey: Valkey):
    async with served(own_valkey.url, check_every=0.3) as api:
        client = await Listener.connect(api.port, "a")
        await client.read(0.7)
        assert not client.ended
        api.holds = False
        await client.read(3)
        assert client.ended
        client.close()


async def test_streams_end_when_the_server_is_about_to(own_valkey: Valkey):
    async with served(own_valkey.url) as api:
        client = await Listener.connect(api.port, "a")
        api.stopping.set()
        await client.read(3)
        assert client.ended
        client.close()
