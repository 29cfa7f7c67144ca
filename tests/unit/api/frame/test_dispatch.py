"""From a request to an answer, over a real socket."""

import asyncio
import io
import json
from typing import Annotated, Any

import pytest
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from structlog.testing import capture_logs

from citadel_k8s.api.frame.refusal import RefusalError, bad_request, not_found
from citadel_k8s.api.frame.route import ANYONE, PUBLIC, Access, Call, Route, device, person
from citadel_k8s.errors import DatabaseError, StreamError, WireError
from citadel_k8s.models.identity import Role, Scope
from citadel_k8s.models.views import View
from citadel_k8s.stores.postgres.refused import RefusedError
from tests.unit.api.frame.serving import serving


class Thing(View):
    some_name: str
    count: int | None = None


class Query(View):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=10, ge=1, le=100)
    state: list[str] | None = None
    only_live: bool = False


class Added(BaseModel):
    stream: str
    values: dict[str, Annotated[str, Field(max_length=10)]]
    anything: Any = None
    weight: float = 0


async def thing(call: Call) -> Thing:
    return Thing(some_name=call.part("name"))


async def listed(call: Call) -> dict[str, Any]:
    query = call.asked(Query)
    return {"limit": query.limit, "state": query.state, "live": query.only_live}


async def added(call: Call) -> dict[str, Any]:
    return {"stream": call.sent(Added).stream, "nothing": None}


async def nothing(_call: Call) -> None:
    return None


def raising(error: Exception):
    async def handler(_call: Call) -> None:
        raise error

    return handler


def get(path: str, handler: Any, access: Access = ANYONE, **more: Any) -> Route:
    return Route("GET", path, handler, "A test.", access, "test", **more)


def post(path: str, handler: Any, access: Access = ANYONE, **more: Any) -> Route:
    return Route("POST", path, handler, "A test.", access, "test", **more)


async def test_an_answer_has_the_names_of_the_contract_and_nothing_that_is_unknown():
    async with serving([get("/things/{name}", thing)]) as api:
        status, body, headers = await api.ask("/things/a%2Fb")
    assert (status, body) == (200, {"someName": "a/b"})
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Cache-Control"] == "private, no-cache"


async def test_every_answer_says_what_no_browser_may_do_with_it():
    async with serving([get("/x", nothing)]) as api:
        for path in ("/x", "/nowhere"):
            _, _, headers = await api.ask(path)
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "Strict-Transport-Security" not in headers
            assert not [name for name in headers if name.startswith("Access-Control")]


async def test_a_request_keeps_its_sane_id_and_gets_one_in_place_of_another():
    async with serving([get("/x", nothing)]) as api:
        _, _, headers = await api.ask("/x", headers={"X-Request-Id": "abc-1.2"})
        assert headers["X-Request-Id"] == "abc-1.2"
        _, _, headers = await api.ask("/x", headers={"X-Request-Id": "a b<script>"})
        assert len(headers["X-Request-Id"]) == 16


@pytest.mark.parametrize(
    ("access", "who", "status"),
    [
        (PUBLIC, None, 204),
        (PUBLIC, "nonsense", 204),
        (ANYONE, None, 401),
        (ANYONE, "nonsense", 401),
        (ANYONE, "device", 204),
        (ANYONE, "viewer", 204),
        (Access(), "bare", 204),
        (Access(), "viewer", 204),
        (device(), "bare", 204),
        (device(), "admin", 403),
        (device(Scope.REDIS_PUBSUB), "device", 204),
        (device(Scope.REDIS_PUBSUB), "bare", 403),
        (device(Scope.AUTHKEY_WRITE), "device", 403),
        (person(), "device", 403),
        (person(Role.ADMIN), "viewer", 403),
        (person(Role.ADMIN), "admin", 204),
    ],
)
async def test_who_is_let_in(access: Access, who: str | None, status: int):
    async with serving([get("/x", nothing, access)]) as api:
        got, body, headers = await api.ask("/x", who=who)
    assert got == status
    if status == 401:
        assert body["error"] == "unauthorized"
        assert headers["WWW-Authenticate"] == "Bearer"
    if status == 403 and access.scope:
        assert access.scope in body["error_description"]


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (bad_request("no"), 400, "bad_request"),
        (WireError("BadField", "a.b", "no"), 400, "bad_request"),
        (not_found("no such node"), 404, "not_found"),
        (RefusalError(410, "gone", "was here"), 410, "gone"),
        (DatabaseError("PostgreSQL at secret-host: down"), 503, "unavailable"),
        (StreamError("Redis at secret-host: down"), 503, "unavailable"),
        (RefusedError("exists", "it is there"), 409, "exists"),
        (RefusedError("missing", "it is not there"), 404, "not_found"),
        (web.HTTPGone(), 410, "refused"),
        (KeyError("secret-host"), 500, "internal"),
        (TimeoutError("secret-host"), 500, "internal"),
        (OverflowError("secret-host"), 400, "bad_request"),
    ],
)
async def test_what_is_raised_becomes_an_answer_of_one_shape(
    error: Exception, status: int, name: str
):
    async with serving([get("/x", raising(error))], bad_values=(OverflowError,)) as api:
        with capture_logs() as logs:
            got, body, headers = await api.ask("/x")
    assert (got, body["error"]) == (status, name)
    assert body["request_id"] == headers["X-Request-Id"]
    assert "secret-host" not in json.dumps(body)
    assert "Traceback" not in json.dumps(body)
    assert ("Retry-After" in headers) == (status == 503)
    assert bool([line for line in logs if line["event"] == "request_failed"]) == (status == 500)


async def test_a_defect_is_logged_with_its_request_and_leaves_the_connection_usable():
    routes = [get("/x", raising(KeyError("boom"))), get("/y", nothing)]
    async with serving(routes) as api:
        with capture_logs() as logs:
            _, body, _ = await api.ask("/x")
        assert (await api.ask("/y"))[0] == 204
    (line,) = [line for line in logs if line["event"] == "request_failed"]
    assert line["request_id"] == body["request_id"]
    assert isinstance(line["exc_info"], KeyError)


async def test_what_is_not_there_and_what_cannot_be_done_are_refused_in_the_same_shape():
    async with serving([get("/x", nothing), post("/x", nothing)]) as api:
        status, body, _ = await api.ask("/nowhere/act_1")
        assert (status, body["error"]) == (404, "not_found")
        assert "act_1" not in json.dumps(body)
        status, body, headers = await api.ask("/x", "DELETE")
        assert (status, body["error"]) == (405, "method_not_allowed")
        assert headers["Allow"] == "GET, HEAD, POST"


async def test_head_is_answered_where_get_is_and_not_where_a_stream_is():
    routes = [get("/things/{name}", thing), get("/stream", nothing, deadline=None)]
    async with serving(routes) as api:
        status, body, headers = await api.ask("/things/a", "HEAD")
        assert (status, body) == (200, None)
        assert int(headers["Content-Length"]) == len(b'{"someName":"a"}')
        assert (await api.ask("/stream", "HEAD"))[0] == 405


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"limit": 10, "state": None, "live": False}),
        ("?limit=7&onlyLive=true", {"limit": 7, "state": None, "live": True}),
        ("?limit=7&limit=8", {"limit": 8, "state": None, "live": False}),
        ("?state=Online&state=Stale", {"limit": 10, "state": ["Online", "Stale"], "live": False}),
    ],
)
async def test_a_query_is_read(query: str, expected: dict[str, Any]):
    async with serving([get("/x", listed, query=Query)]) as api:
        assert (await api.ask(f"/x{query}"))[:2] == (200, expected)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("?limit=many", "limit"),
        ("?limit=1000", "limit"),
        ("?limit=", "limit"),
        ("?only_live=1", "only_live"),
        ("?nope=1", "nope"),
        ("?state=%00", "state"),
    ],
)
async def test_a_query_that_does_not_fit_is_refused_by_name(query: str, word: str):
    async with serving([get("/x", listed, query=Query)]) as api:
        status, body, _ = await api.ask(f"/x{query}")
    assert status == 400
    assert word in body["error_description"]


async def test_a_route_without_a_query_takes_none():
    async with serving([get("/x", nothing)]) as api:
        assert (await api.ask("/x?a=1"))[0] == 400


async def test_a_nul_in_the_path_and_an_endless_name_are_refused():
    async with serving([get("/things/{name}", thing)]) as api:
        assert (await api.ask("/things/a%00b"))[0] == 400
        assert (await api.ask("/things/" + "a" * 600))[0] == 400


GOOD = {"stream": "s", "values": {"a": "1"}}


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", None])
async def test_a_body_is_read_with_and_without_a_content_type(kind: str | None):
    async with serving([post("/x", added, body=Added)]) as api:
        options: dict[str, Any] = {"data": json.dumps(GOOD).encode()}
        if kind:
            options["headers"] = {"Content-Type": kind}
        else:
            options["skip_auto_headers"] = ["Content-Type"]
        status, body, headers = await api.ask("/x", "POST", **options)
    assert (status, body) == (200, {"stream": "s", "nothing": None})
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        (b"", 400, "body"),
        (b"{", 400, "JSON"),
        (b"[]", 400, "body"),
        (b'{"stream": 1, "values": {}}', 400, "stream"),
        (b'{"stream": "s", "values": {"a": 1}}', 400, "values.a"),
        (b'{"stream": "s", "values": {}, "weight": NaN}', 400, "not JSON"),
        (b'{"stream": "s", "values": {}, "anything": [Infinity]}', 400, "not JSON"),
        (b'{"stream": "\xff", "values": {}}', 400, "body"),
        (b'{"stream": "s", "values": {}, "anything": ' + b"[" * 400_000, 400, "recursion"),
        (b'{"a":' * 100_000, 400, "recursion"),
        (b'{"stream": "s", "values": {"a": "' + b"x" * 1_100_000 + b'"}}', 413, "larger"),
        (
            json.dumps(
                {"stream": "s", "values": dict.fromkeys(map(str, range(70_000)), 1)}
            ).encode(),
            400,
            "70000 values",
        ),
    ],
    ids=range(12),
)
async def test_a_body_that_does_not_fit_is_refused(data: bytes, status: int, word: str):
    async with serving([post("/x", added, body=Added)]) as api:
        got, body, _ = await api.ask("/x", "POST", data=io.BytesIO(data))
    assert got == status
    assert word in body["error_description"]
    assert len(json.dumps(body)) < 1000


async def test_a_text_that_only_speaks_of_infinity_is_taken_and_a_double_name_too():
    async with serving([post("/x", added, body=Added)]) as api:
        data = b'{"stream": "NaN", "stream": "Infinity", "values": {}}'
        status, body, _ = await api.ask("/x", "POST", data=data)
    assert (status, body["stream"]) == (200, "Infinity")


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}])
async def test_a_body_of_another_kind_is_refused(headers: dict[str, str]):
    async with serving([post("/x", added, body=Added)]) as api:
        status, _, _ = await api.ask("/x", "POST", data=json.dumps(GOOD).encode(), headers=headers)
    assert status == 415


async def test_a_handler_that_takes_too_long_is_ended_and_told_as_503():
    ended = asyncio.Event()

    async def slow(_call: Call) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving([get("/x", slow, deadline=0.01)]) as api:
        status, body, headers = await api.ask("/x")
    assert (status, body["error"]) == (503, "unavailable")
    assert headers["Retry-After"] == "2"
    assert ended.is_set()


async def test_the_address_is_the_proxys_word_only_if_the_proxy_is_trusted():
    async def told(call: Call) -> dict[str, str]:
        return {"address": call.address}

    chain = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9, 127.0.0.2"}
    async with serving([get("/x", told)]) as api:
        assert (await api.ask("/x", headers=chain))[1] == {"address": "127.0.0.1"}
    async with serving([get("/x", told)], settings={"trusted_proxies": ["127.0.0.0/8"]}) as api:
        assert (await api.ask("/x", headers=chain))[1] == {"address": "203.0.113.9"}
        odd = {"X-Forwarded-For": "6.6.6.6, nonsense"}
        assert (await api.ask("/x", headers=odd))[1] == {"address": "127.0.0.1"}


async def test_a_stream_that_breaks_closes_the_connection_without_a_second_head():
    async def stream(call: Call) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(call.request)
        await response.write(b"data: 1\n\n")
        raise KeyError("secret")

    async with serving([get("/x", stream, PUBLIC, deadline=None)]) as api:
        with capture_logs() as logs:
            answer = await api.raw(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"X-Request-Id" in answer
    assert b"secret" not in answer
    assert [line for line in logs if line["event"] == "stream_failed"]


async def test_streams_are_told_when_the_server_stops():
    told = asyncio.Event()

    async def stream(call: Call) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(call.request)
        await call.stopping.wait()
        await response.write(b"retry: 1000\n\n")
        told.set()
        return response

    async with serving([get("/x", stream, PUBLIC, deadline=None)]) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.service.port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        asyncio.get_running_loop().call_soon(told.clear)
    assert told.is_set()
    assert b"retry: 1000" in await reader.read()
    writer.close()
