import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.errors import ConfigError
from citadel_k8s.publishers.proxy import Job, ProxyClient
from citadel_k8s.publishers.session import BODY_MAX
from citadel_k8s.publishers.token import token_file, token_value
from citadel_k8s.publishers.transport import ProxyError, Transport
from tests.proxy import (
    ACKNOWLEDGE,
    ADD,
    CONSUME,
    PING,
    PUBLISH,
    SOCKET,
    TOKEN,
    WORKER_CONFIG,
    FakeProxy,
    running,
)

pytestmark = pytest.mark.looptime


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    async with running() as started:
        yield started


@pytest.fixture
async def client(proxy: FakeProxy) -> AsyncIterator[ProxyClient]:
    made = ProxyClient(Transport(proxy.base, token_value(TOKEN), clock=ManualClock()))
    yield made
    await made.close()


async def add(client: ProxyClient, **more: bool) -> None:
    await client.append("s", {"k": "v"}, 100, **more)


async def refusal(client: ProxyClient) -> ProxyError:
    with pytest.raises(ProxyError) as caught:
        await add(client)
    assert TOKEN not in repr(caught.value)
    return caught.value


async def test_an_entry_is_sent_as_the_contract_says(proxy: FakeProxy, client: ProxyClient):
    await add(client)
    (seen,) = proxy.asked(ADD)
    assert seen.method == "POST"
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.body == {"stream": "s", "values": {"k": "v"}, "maxLen": 100, "approx": True}


async def test_success_is_the_status_alone(proxy: FakeProxy, client: ProxyClient):
    for body in ("", " \n", {"success": False}, {"unheard": "of"}):
        proxy.tell(ADD, 200, body, times=1)
        await add(client)
    proxy.tell(ADD, 202, {}, times=1)
    await add(client)


@pytest.mark.parametrize("body", ["<html>Sign in to the WiFi</html>", "[]", '"yes"', "null", "{"])
async def test_a_success_that_is_no_json_object_is_an_error(
    proxy: FakeProxy, client: ProxyClient, body: str
):
    proxy.tell(ADD, 200, body)
    error = await refusal(client)
    assert f"POST {ADD}: status 200" in str(error)
    assert body[:10] in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
async def test_a_refusal_names_method_path_status_and_reason(
    proxy: FakeProxy, client: ProxyClient, status: int
):
    proxy.tell(ADD, status, {"error": "no", "error_description": "because"})
    error = await refusal(client)
    assert str(error) == f"POST {ADD}: status {status}: no: because"
    assert (error.status, error.retry_after) == (status, None)


async def test_a_refusal_of_another_shape_is_quoted_and_an_empty_one_is_not(
    proxy: FakeProxy, client: ProxyClient
):
    proxy.tell(ADD, 502, "<h1>Bad\nGateway</h1>" + "x" * 9999, times=1)
    text = str(await refusal(client))
    assert "status 502: <h1>Bad Gateway</h1>xxx" in text
    assert len(text) < 700
    proxy.tell(ADD, 500, "", times=1)
    assert "status 500: no reason given" in str(await refusal(client))


async def test_a_redirect_is_not_followed_and_only_its_host_is_told(
    proxy: FakeProxy, client: ProxyClient
):
    there = {"Location": "https://login.example.org/x?code=hidden"}
    for path, call in ((ADD, add(client)), (WORKER_CONFIG, client.org_id())):
        proxy.tell(path, 307, "", headers=there, times=1)
        with pytest.raises(
            ProxyError, match=r"status 307: it redirects to login\.example\.org"
        ) as e:
            await call
        assert "hidden" not in str(e.value)
    proxy.tell(SOCKET, 302, "", headers=there)
    with pytest.raises(ProxyError, match=r"status 302: it redirects to login\.example\.org"):
        await client.upgrade()


async def test_a_token_that_the_proxy_repeats_is_not_repeated_again(
    proxy: FakeProxy, client: ProxyClient
):
    proxy.tell(ADD, 401, {"error": f"bad token {TOKEN}"}, times=1)
    assert "bad token [token]" in str(await refusal(client))
    proxy.tell(ADD, 200, "y" * 500 + TOKEN, times=1)
    assert TOKEN[:8] not in str(await refusal(client))
    proxy.tell(SOCKET, 401, {"error": f"bad token {TOKEN}"}, times=1)
    with pytest.raises(ProxyError, match=r"bad token \[token\]"):
        await client.upgrade()


async def test_no_error_carries_the_headers_that_were_sent(proxy: FakeProxy, client: ProxyClient):
    proxy.tell(SOCKET, 200, "not an upgrade")
    with pytest.raises(ProxyError) as caught:
        await client.upgrade()
    await proxy.stop()
    for error in (caught.value, await refusal(client)):
        link: BaseException | None = error
        while link is not None:
            assert TOKEN not in repr(link)
            link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


async def test_an_answer_that_does_not_come_is_given_up_in_time(
    proxy: FakeProxy, client: ProxyClient
):
    loop = asyncio.get_running_loop()
    for path, call, bound in (
        (ADD, add(client), 10),
        (SOCKET, client.upgrade(), 10),
        (CONSUME, client.consume("q", "g", "c", block_ms=2000), 7),
    ):
        proxy.tell(path, hang=True)
        started = loop.time()
        with pytest.raises(ProxyError, match=f"no answer within {bound} s"):
            await call
        assert loop.time() - started == pytest.approx(bound, abs=0.1)


async def test_an_answer_without_end_is_not_read_to_its_end(proxy: FakeProxy, client: ProxyClient):
    for status in (200, 500):
        proxy.tell(ADD, status, "x" * (BODY_MAX + 100_000), times=1)
        assert f"over {BODY_MAX} bytes" in str(await refusal(client))
    proxy.tell(SOCKET, 500, "x" * (BODY_MAX + 100_000))
    with pytest.raises(ProxyError, match="over"):
        await client.upgrade()


async def test_a_server_that_is_gone_and_one_that_talks_nonsense_are_errors():
    async def nonsense(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = ProxyClient(Transport(f"http://127.0.0.1:{port}", token_value(TOKEN)))
    async with server:
        assert f"POST {ADD}: " in str(await refusal(client))
    error = await refusal(client)
    assert "cannot connect" in str(error)
    assert error.status == 0
    await client.close()


async def test_the_token_is_asked_for_before_each_request(proxy: FakeProxy, tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("old")
    proxy.tokens = {"old"}
    client = ProxyClient(Transport(proxy.base, token_file(path).__call__))
    await add(client)
    proxy.tokens = {"new"}
    assert (await refusal(client)).status == 401
    path.write_text("new\n")
    await add(client)
    wire = await client.upgrade()
    await wire.close()
    path.unlink()
    assert "enrol this node" in str(await refusal(client))
    assert len(proxy.asked(ADD)) == 3
    await client.close()


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        ({"error": "quota", "retry_after": 3600}, {"Retry-After": "1"}, 3600),
        ({"error": "quota", "reset_at": "2026-11-23T08:20:00Z"}, {}, 1200),
        ("slow down", {"Retry-After": "77"}, 77),
        ("slow down", {"Retry-After": "Mon, 23 Nov 2026 08:00:50 GMT"}, 50),
    ],
)
async def test_a_path_that_answered_429_is_not_asked_before_its_time(
    proxy: FakeProxy, client: ProxyClient, body, headers: dict[str, str], wait: float
):
    proxy.tell(ADD, 429, body, headers=headers, times=1)
    assert (await refusal(client)).retry_after == wait
    await asyncio.sleep(wait - 1)
    error = await refusal(client)
    assert (error.status, error.retry_after) == (429, pytest.approx(1, abs=0.1))
    await client.ping()  # another path has a wait of its own
    assert len(proxy.asked(ADD)) == 1
    await asyncio.sleep(1)
    await add(client)


async def test_a_last_word_may_be_tried_before_its_time(proxy: FakeProxy, client: ProxyClient):
    proxy.tell(ADD, 429, {"error": "quota", "retry_after": 60}, times=1)
    await refusal(client)
    await add(client, early=True)
    assert len(proxy.asked(ADD)) == 2


@pytest.mark.parametrize("path", [ADD, PUBLISH, PING, CONSUME, ACKNOWLEDGE, WORKER_CONFIG, SOCKET])
async def test_every_path_honours_a_429(proxy: FakeProxy, client: ProxyClient, path: str):
    async def call() -> None:
        match path:
            case "/api/fabric/redis/streams/add":
                await add(client)
            case "/api/fabric/redis/pubsub/publish":
                await client.announce("c", "{}")
            case "/api/fabric/redis/ping":
                await client.ping()
            case "/api/fabric/redis/jobs/consume":
                await client.consume("q", "g", "c")
            case "/api/fabric/redis/jobs/acknowledge":
                await client.acknowledge("q", "g", "1-0")
            case "/api/fabric/worker-config":
                await client.org_id()
            case _:
                await client.upgrade()

    proxy.tell(path, 429, {"error": "quota", "retry_after": 60})
    for _ in range(3):
        with pytest.raises(ProxyError) as caught:
            await call()
        assert caught.value.retry_after == pytest.approx(60, abs=0.1)
    assert len(proxy.asked(path)) == 1


async def test_after_the_end_nothing_is_asked(proxy: FakeProxy, client: ProxyClient):
    await client.close()
    assert "closed" in str(await refusal(client))
    assert not proxy.seen


async def test_a_ping_is_answered_by_exactly_200(proxy: FakeProxy, client: ProxyClient):
    await client.ping()
    proxy.tell(PING, 200, "pong", times=1)
    await client.ping()
    proxy.tell(PING, 204, "", times=1)
    with pytest.raises(ProxyError, match="status 204"):
        await client.ping()


async def test_the_org_is_told_or_not(proxy: FakeProxy, client: ProxyClient):
    assert await client.org_id() == "acme"
    for body in ({}, {"org_id": None}, {"org_id": ""}):
        proxy.tell(WORKER_CONFIG, 200, body, times=1)
        assert await client.org_id() is None
    proxy.tell(WORKER_CONFIG, 200, {"org_id": 7}, times=1)
    with pytest.raises(ProxyError, match="org_id is no text"):
        await client.org_id()


async def test_jobs_are_consumed_and_acknowledged(proxy: FakeProxy, client: ProxyClient):
    job = {"id": "1-0", "data": {"jobId": "j", "type": "APPLY_DEVICE_CONFIG", "payload": "{}"}}
    proxy.jobs = [job]
    assert await client.consume("q", "g", "c", block_ms=0) == [Job("1-0", job["data"])]
    body = {"queue": "q", "group": "g", "consumer": "c", "count": 1, "blockMs": 1}
    assert proxy.asked(CONSUME)[0].body == body
    assert await client.consume("q", "g", "c") == []
    assert await client.acknowledge("q", "g", "1-0")
    assert not await client.acknowledge("q", "g", "1-0")
    assert proxy.asked(ACKNOWLEDGE)[0].body == {"queue": "q", "group": "g", "messageId": "1-0"}


@pytest.mark.parametrize("body", ["", {}, {"messages": None}, {"messages": []}])
async def test_no_jobs_are_no_error(proxy: FakeProxy, client: ProxyClient, body):
    proxy.tell(CONSUME, 200, body)
    assert await client.consume("q", "g", "c") == []


@pytest.mark.parametrize(
    "messages",
    [
        {},
        "x",
        [7],
        [{}],
        [{"id": 7, "data": {}}],
        [{"id": "", "data": {}}],
        [{"id": "1" * 65, "data": {}}],
        [{"id": "1-0"}],
        [{"id": "1-0", "data": []}],
        [{"id": "1-0", "data": {"k": 7}}],
        [{"id": "1-0", "data": {"k": "x" * (1024 * 1024 + 1)}}],
        [{"id": "1-0", "data": {}}] * 101,
    ],
)
async def test_jobs_of_another_shape_are_an_error(proxy: FakeProxy, client: ProxyClient, messages):
    proxy.tell(CONSUME, 200, {"messages": messages})
    with pytest.raises(ProxyError, match=f"POST {CONSUME}: status 200"):
        await client.consume("q", "g", "c")


async def test_an_acknowledgement_of_another_shape_is_an_error(
    proxy: FakeProxy, client: ProxyClient
):
    proxy.tell(ACKNOWLEDGE, 200, {"acknowledged": "yes"})
    with pytest.raises(ProxyError, match="neither true nor false"):
        await client.acknowledge("q", "g", "1-0")


def test_an_address_that_would_tell_the_token_to_all_is_refused():
    with pytest.raises(ConfigError, match="in clear"):
        Transport("http://proxy.example.org", token_value(TOKEN))
    Transport("http://proxy.example.org", token_value(TOKEN), insecure=True)
