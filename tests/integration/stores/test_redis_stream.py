"""What only a real server does: it hangs, dies, comes back empty, refuses users."""

import asyncio

import pytest
import redis.asyncio

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.errors import StreamError
from citadel_k8s.local.stack import Stack
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.streams import EntryId, RedisStatusStream

CLOCK = SystemClock()


async def test_a_hung_server_is_told_in_time_and_read_again_when_it_goes_on(
    own_valkey: Valkey,
) -> None:
    stream = RedisStatusStream(own_valkey.url)
    last = await stream.append("n", b"before")
    await own_valkey.pause()
    began = CLOCK.monotonic()
    with pytest.raises(StreamError, match="no answer"):
        await stream.read(last, block=0.5)
    with pytest.raises(StreamError, match="no answer"):  # now with a new connection
        await stream.read(last, block=0.5)
    assert CLOCK.monotonic() - began < 2 * (0.5 + 3) + 1
    await own_valkey.resume()
    after = await stream.append("n", b"after")
    assert [entry.id for entry in await stream.read(last, block=0.5)] == [after]
    await stream.close()


async def test_a_block_longer_than_the_library_would_wait_is_borne(own_valkey: Valkey) -> None:
    stream = RedisStatusStream(own_valkey.url)
    assert await stream.read(EntryId.ZERO, block=5.5) == []
    await stream.close()


async def test_a_read_under_way_when_the_server_dies_is_told_at_once(own_valkey: Valkey) -> None:
    stream = RedisStatusStream(own_valkey.url)
    await stream.head()

    async def read() -> float:
        with pytest.raises(StreamError):
            await stream.read(EntryId.ZERO, block=10)
        return CLOCK.monotonic()

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        await asyncio.sleep(0.1)
        began = CLOCK.monotonic()
        await own_valkey.kill()
    assert reading.result() - began < 2
    with pytest.raises(StreamError):
        await stream.head()
    await own_valkey.start()
    assert (await stream.head()).last_id == EntryId.ZERO
    await stream.close()


async def test_a_restart_that_keeps_the_data_keeps_the_last_id(own_valkey: Valkey) -> None:
    stream = RedisStatusStream(own_valkey.url)
    last = await stream.append("n", b"")
    await own_valkey.restart(keep=True)
    with pytest.raises(StreamError, match="closed"):  # the connection from before, told once
        await stream.head()
    assert (await stream.head()).last_id == last
    await stream.close()


async def test_a_wrong_password_and_none_are_told(own_valkey: Valkey) -> None:
    bare = f"redis://127.0.0.1:{own_valkey.port}"
    for stream in (RedisStatusStream(bare), RedisStatusStream(bare, password="wrong-one")):
        with pytest.raises(StreamError) as caught:
            await stream.read(EntryId.ZERO)
        assert "wrong-one" not in str(caught.value)
        assert "uthentication" in str(caught.value) or "password" in str(caught.value)
        await stream.close()


async def test_a_user_without_the_right_is_told_and_others_still_work() -> None:
    users = {
        "reader": ">secret resetchannels -@all +xread +xinfo|stream +multi +exec +time ~node:*"
    }
    async with Stack(kube=False, users=users) as stack:
        url = f"redis://127.0.0.1:{stack.valkey.port}"
        stream = RedisStatusStream(url, username="reader", password="secret")
        assert (await stream.head()).length == 0
        assert await stream.read(EntryId.ZERO, block=0) == []
        with pytest.raises(StreamError, match="permission"):
            await stream.append("n", b"")
        await stream.close()


async def test_a_key_of_another_type_is_told(own_valkey: Valkey) -> None:
    stream = RedisStatusStream(own_valkey.url, stream="taken")
    async with redis.asyncio.Redis.from_url(own_valkey.url) as server:
        await server.set("taken", "1")
    for call in (
        stream.head,
        lambda: stream.read(EntryId.ZERO, block=0),
        lambda: stream.append("n", b""),
        lambda: stream.trim(1),
        lambda: stream.load_snapshot("taken"),
    ):
        with pytest.raises(StreamError, match=r"WRONGTYPE|wrong kind"):
            await call()
    await stream.close()


async def test_a_stream_is_kept_about_as_long_as_asked(own_valkey: Valkey) -> None:
    stream = RedisStatusStream(own_valkey.url, max_length=100)
    for _ in range(500):
        await stream.append("n", b"")
    assert 100 <= (await stream.head()).length < 300
    await stream.close()


async def test_the_socket_of_the_machine_will_do(own_valkey: Valkey) -> None:
    url = f"unix://{own_valkey.socket_path}"
    stream = RedisStatusStream(url, password=own_valkey.password)
    assert (await stream.head()).length == 0
    await stream.close()


async def test_a_snapshot_of_a_large_fleet_is_saved_and_loaded_in_time(own_valkey: Valkey) -> None:
    stream = RedisStatusStream(own_valkey.url)
    fields = {f"node-{i}": b"x" * 120 for i in range(10_000)}
    await stream.save_snapshot("snapshot", fields)
    assert await stream.load_snapshot("snapshot") == fields
    await stream.close()
