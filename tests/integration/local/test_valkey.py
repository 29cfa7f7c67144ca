import asyncio
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from citadel_k8s.errors import StackError
from citadel_k8s.local.stack import Stack
from citadel_k8s.local.valkey import Valkey


async def test_the_url_lets_any_redis_client_in(own_valkey: Valkey) -> None:
    async with redis.asyncio.Redis.from_url(own_valkey.url) as client:
        assert await client.ping()
        assert (await client.info("server"))["server_name"] == "valkey"


async def test_without_the_password_nothing_is_answered(own_valkey: Valkey) -> None:
    once = Retry(NoBackoff(), 0)
    async with redis.asyncio.Redis(port=own_valkey.port, retry=once) as client:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await client.ping()


async def test_a_unix_socket_is_there_too(own_valkey: Valkey) -> None:
    client = redis.asyncio.Redis(
        unix_socket_path=str(own_valkey.socket_path), password=own_valkey.password
    )
    async with client:
        assert await client.ping()


async def test_users_may_do_what_their_rules_say_and_no_more() -> None:
    users = {"agent": ">pa:ss@word ~node:* +xadd"}
    async with Stack(kube=False, users=users) as stack:
        url = stack.valkey.url_for("agent", "pa:ss@word")
        async with redis.asyncio.Redis.from_url(url) as client:
            assert await client.xadd("node:status:stream", {"a": "b"})
            with pytest.raises(redis.exceptions.NoPermissionError):
                await client.xadd("config:stream", {"a": "b"})
            with pytest.raises(redis.exceptions.NoPermissionError):
                await client.flushall()


async def test_an_empty_password_means_none() -> None:
    async with (
        Stack(kube=False, password="") as stack,
        redis.asyncio.Redis(port=stack.valkey.port) as client,
    ):
        assert await client.ping()
        assert stack.redis_url == f"redis://127.0.0.1:{stack.valkey.port}/0"


async def test_a_folder_and_a_password_may_have_any_characters(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path / "a folder", password='sp ace, "quote", back\\slash, #@:/?')
    await valkey.start()
    try:
        async with redis.asyncio.Redis.from_url(valkey.url) as client:
            assert await client.ping()
    finally:
        await valkey.close()


async def test_data_survive_a_restart_that_keeps_them_and_no_other(own_valkey: Valkey) -> None:
    port = own_valkey.port
    await own_valkey.ask("XADD s 5-1 a b")
    await own_valkey.restart(keep=True)
    assert await own_valkey.ask("XLEN s") == ":1"
    await own_valkey.restart(keep=False)
    assert await own_valkey.ask("XLEN s") == ":0"
    assert own_valkey.port == port


async def test_a_killed_server_comes_back_empty_on_its_port(own_valkey: Valkey) -> None:
    await own_valkey.ask("SET a 1")
    await own_valkey.kill()
    with pytest.raises(ConnectionRefusedError):
        await own_valkey.ask("PING")
    assert own_valkey.pid == 0
    await own_valkey.start()
    assert await own_valkey.ask("EXISTS a") == ":0"


async def test_a_paused_server_takes_connections_and_answers_when_resumed(
    own_valkey: Valkey,
) -> None:
    await own_valkey.pause()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await own_valkey.ask("PING")
    await own_valkey.resume()
    assert await own_valkey.ask("PING") == "+PONG"


async def test_a_server_that_does_not_start_shows_the_end_of_its_log() -> None:
    with pytest.raises(StackError, match="Unknown command or category name"):
        async with Stack(kube=False, users={"agent": "+@none-such"}):
            pass


async def test_a_server_that_does_not_run_says_so(own_valkey: Valkey) -> None:
    await own_valkey.stop()
    with pytest.raises(StackError, match="does not run"):
        await own_valkey.pause()
