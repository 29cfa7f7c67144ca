import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.config.agent import EngineEndpoint
from citadel_k8s.models.readings import Engine, Reading

RECORDED = Path(__file__).parents[1] / "recorded"
VLLM_MODELS = (RECORDED / "vllm-models.json").read_text()
VLLM_METRICS = (RECORDED / "vllm-metrics.txt").read_text()
OLLAMA_TAGS = (RECORDED / "ollama-tags.json").read_text()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(text: str = "", *, status: int = 200, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text=text, status=status, headers=headers)

    return handler


async def hangs(_request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    raise AssertionError


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1000):
        await response.write(b'{"data": [' + b" " * 65536)
    return response


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    servers: list[TestServer] = []

    async def start(**handlers: Handler) -> int:
        app = web.Application()
        for name, handler in handlers.items():
            app.router.add_get("/" + name.replace("__", "/"), handler)
        server = TestServer(app)
        servers.append(server)
        await server.start_server(shutdown_timeout=0.1)
        assert server.port is not None
        return server.port

    yield start
    for server in servers:
        await server.close()


async def free_port() -> int:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def collect(collector: EngineCollector) -> tuple[Engine, ...]:
    try:
        outcome = await collector.collect()
    finally:
        await collector.close()
    assert isinstance(outcome, Reading)
    return outcome.value


async def ask(port: int, engine: str = "vllm", deadline: float = 2.0) -> Engine:
    endpoint = EngineEndpoint(name="llm-1", engine=engine, url=f"http://127.0.0.1:{port}")
    (answer,) = await collect(EngineCollector([endpoint], discover=False, deadline=deadline))
    return answer


async def discover(port: int, engine: str = "vllm") -> tuple[Engine, ...]:
    return await collect(EngineCollector([], ports=[(engine, port)], deadline=0.5))


async def test_a_vllm_is_told_with_every_served_name_and_its_requests(serve):
    engine = await ask(await serve(v1__models=says(VLLM_MODELS), metrics=says(VLLM_METRICS)))
    assert (engine.name, engine.type, engine.status, engine.health) == (
        "llm-1", "llm", "running", "ok",
    )  # fmt: skip
    assert engine.models == ("tiny-random-llama", "tiny-alias")
    assert (engine.requests_running, engine.requests_waiting) == (2.0, 2.0)
    assert engine.reason is None


async def test_an_ollama_is_told_with_all_pulled_models(serve):
    engine = await ask(await serve(api__tags=says(OLLAMA_TAGS)), "ollama")
    assert (engine.status, engine.health) == ("running", "ok")
    assert engine.models == ("tiny-random:latest", "team/tiny-b:v2")
    assert engine.requests_running is None


@pytest.mark.parametrize("body", ['{"data": null}', '{"data": []}'])
async def test_a_null_or_empty_list_is_known_to_be_empty(serve, body: str):
    engine = await ask(await serve(v1__models=says(body)))
    assert (engine.models, engine.health) == ((), "ok")


async def test_a_vllm_without_metrics_still_tells_its_models(serve):
    engine = await ask(await serve(v1__models=says(VLLM_MODELS)))
    assert engine.models == ("tiny-random-llama", "tiny-alias")
    assert (engine.requests_running, engine.requests_waiting) == (None, None)


async def test_behind_a_key_an_engine_is_running_and_its_models_are_unknown(serve):
    engine = await ask(
        await serve(
            v1__models=says('{"error":"Unauthorized"}', status=401),
            metrics=says(VLLM_METRICS),
            health=says(),
        )
    )
    assert (engine.status, engine.health, engine.models) == ("running", "ok", None)
    assert engine.reason == "Unauthorized"
    assert engine.requests_running == 2.0


async def test_behind_a_key_without_a_health_route_an_engine_is_not_called_healthy(serve):
    engine = await ask(await serve(v1__models=says(status=401)))
    assert (engine.status, engine.health, engine.reason) == ("running", "unknown", "Unauthorized")


async def test_a_configured_engine_that_refuses_connections_is_stopped():
    engine = await ask(await free_port())
    assert (engine.status, engine.health, engine.reason) == (
        "stopped", "unhealthy", "ConnectionRefused",
    )  # fmt: skip
    assert engine.models is None


async def test_an_engine_that_is_loading_is_starting(serve):
    engine = await ask(await serve(v1__models=says("loading", status=503)))
    assert (engine.status, engine.health, engine.reason) == ("running", "starting", "Starting")


async def test_model_names_are_cleaned_before_they_leave_the_node(serve):
    body = json.dumps({"data": [{"id": "a\x1b[31m\nb"}, {"id": "x" * 5000}]})
    engine = await ask(await serve(v1__models=says(body)))
    assert engine.models is not None
    assert engine.models[0] == "a [31m b"
    assert len(engine.models[1]) == 256


async def test_an_engine_on_a_default_port_is_found(serve):
    (engine,) = await discover(await serve(v1__models=says(VLLM_MODELS)))
    assert (engine.name, engine.health) == ("vllm", "ok")
    (engine,) = await discover(
        await serve(api__tags=says(OLLAMA_TAGS), **{"": says("Ollama is running")}), "ollama"
    )
    assert engine.name == "ollama"


async def test_a_default_port_that_refuses_connections_is_not_told():
    assert await discover(await free_port()) == ()


@pytest.mark.parametrize(
    "handler", [says("<html>"), says(status=401), says(status=404), hangs, says('{"data": []}')]
)
async def test_some_other_program_on_a_default_port_is_not_told(serve, handler: Handler):
    assert await discover(await serve(v1__models=handler)) == ()


async def test_a_found_engine_behind_a_key_is_proven_by_its_metrics(serve):
    port = await serve(v1__models=says(status=401), metrics=says(VLLM_METRICS), health=says())
    (engine,) = await discover(port)
    assert (engine.health, engine.models, engine.reason) == ("ok", None, "Unauthorized")


async def test_a_found_engine_that_starts_to_hang_is_still_told(serve):
    hang = False

    async def models(request: web.Request) -> web.StreamResponse:
        return await (hangs if hang else says(VLLM_MODELS))(request)

    collector = EngineCollector([], ports=[("vllm", await serve(v1__models=models))], deadline=0.3)
    try:
        await collector.collect()
        hang = True
        outcome = await collector.collect()
    finally:
        await collector.close()
    assert isinstance(outcome, Reading)
    assert [(e.health, e.reason) for e in outcome.value] == [("unhealthy", "Timeout")]


async def test_a_configured_engine_is_not_found_a_second_time(serve):
    port = await serve(v1__models=says(VLLM_MODELS))
    endpoint = EngineEndpoint(name="mine", engine="vllm", url=f"http://localhost:{port}")
    engines = await collect(EngineCollector([endpoint], ports=[("vllm", port)]))
    assert [e.name for e in engines] == ["mine"]
