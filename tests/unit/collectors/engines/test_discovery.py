"""Finding engines: what proves itself is told, what does not is left in peace."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.config.agent import EngineEndpoint
from citadel_k8s.models.readings import Engine, Listener, Pod, Reading
from tests import fake_engines as fakes
from tests.fake_engines import FakeEngine, Page, fake_engines, says, says_json

FAMILIES: dict[str, Callable[[], dict[str, Page]]] = {
    "vllm": fakes.vllm,
    "sglang": lambda: fakes.sglang(num_running_reqs=1),
    "ollama": fakes.ollama,
    "llamacpp": fakes.llamacpp,
    "tgi": fakes.tgi,
    "tei": fakes.tei,
    "triton": fakes.triton,
    "lmdeploy": fakes.lmdeploy,
    "infinity": fakes.infinity,
}
"""Those that can be told by what they answer."""

COMMANDS = {
    "vllm": "vllm serve m",
    "transformers": "transformers serve",
    "openai": "trtllm-serve m",
    "llamacpp": "llama-server -m x",
}


class Node:
    """A node whose engines are found; looked at every ten seconds."""

    def __init__(self, *endpoints: EngineEndpoint, **settings: Any) -> None:
        self.listeners: tuple[Listener, ...] = ()
        self.pods: tuple[Pod, ...] = ()
        self.clock = ManualClock()
        self.collector = EngineCollector(
            endpoints,
            **{"ports": (), "deadline": 2.0, "clock": self.clock} | settings,
            listeners=lambda: self.listeners,
            pods=lambda: self.pods,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.collector.close()

    async def look(self) -> tuple[Engine, ...]:
        outcome = await self.collector.collect()
        self.clock.advance(10.0)
        assert isinstance(outcome, Reading)
        return outcome.value


def listens(engine: FakeEngine, command: str | None = None, pid: int = 7, **more: Any) -> Listener:
    return Listener(engine.port, more.pop("address", "127.0.0.1"), pid, command, **more)


async def unused() -> FakeEngine:
    async with FakeEngine() as fake:
        return fake


def pod_of(engine: FakeEngine, kind: str = "vllm", **said: str) -> Pod:
    said = {"engine": kind, "port": str(engine.port)} | said
    annotations = tuple((f"fabric.aceteam.ai/{k}", v) for k, v in said.items())
    return Pod("u1", "ml", "p1", (("c1", "main"),), "127.0.0.1", annotations=annotations)


@pytest.mark.parametrize("kind", FAMILIES)
async def test_a_family_is_known_by_what_it_answers_within_one_look(kind: str):
    async with FakeEngine(FAMILIES[kind]()) as fake, Node(ports=[("vllm", fake.port)]) as node:
        (engine,) = await node.look()
        assert (engine.engine, engine.name, engine.health) == (kind, kind, "ok")
        assert engine.models
        asked = len(fake.asked)
        await node.look()
        # It is not asked again what it is.
        assert len(fake.asked) - asked <= 4


@pytest.mark.parametrize("kind", COMMANDS)
async def test_a_process_whose_command_says_what_it_is_is_told(kind: str):
    pages = {"vllm": fakes.vllm, "llamacpp": fakes.llamacpp}.get(kind, fakes.transformers)()
    async with FakeEngine(pages) as fake, Node() as node:
        command = f"{COMMANDS[kind]} --port {fake.port}"
        node.listeners = (listens(fake, command, container_id="c1", pod_uid="u1"),)
        (engine,) = await node.look()
    assert (engine.engine, engine.health) == (kind, "ok")
    assert (engine.pid, engine.pod_uid, engine.container_id) == (7, "u1", "c1")


async def test_a_process_whose_command_says_what_it_is_need_not_show_its_models():
    pages = dict.fromkeys(("/health", "/v1/models", "/metrics"), says(status=503))
    async with FakeEngine(pages) as fake, Node() as node:
        node.listeners = (listens(fake, f"llama-server --port {fake.port}"),)
        (engine,) = await node.look()
        assert (engine.engine, engine.health) == ("llamacpp", "starting")


async def test_a_command_is_no_proof_where_something_else_answers():
    async with FakeEngine({"/": says("<html>")}) as fake, Node() as node:
        node.listeners = (listens(fake, f"vllm serve m --port {fake.port}"),)
        assert await node.look() == ()


async def test_a_pod_is_told_by_its_own_name_and_those_of_the_cluster():
    async with FakeEngine(fakes.vllm()) as fake, Node() as node:
        node.pods = (pod_of(fake, name="chat"),)
        node.listeners = (listens(fake, "x", pod_uid="u1", container_id="c1"),)
        (engine,) = await node.look()
    assert (engine.name, engine.namespace, engine.pod, engine.container) == (
        "chat", "ml", "p1", "main",
    )  # fmt: skip


async def test_a_pod_that_proved_its_engine_is_told_when_that_is_down():
    async with FakeEngine(fakes.vllm()) as fake, Node() as node:
        node.pods = (pod_of(fake),)
        await node.look()
        await fake.stop()
        (engine,) = await node.look()
        assert (engine.status, engine.health) == ("stopped", "unhealthy")
        node.pods = ()
        assert await node.look() == ()


async def test_a_pod_that_never_proved_its_engine_is_not_told():
    async with FakeEngine({}) as fake, Node() as node:
        node.pods = (pod_of(fake),)
        assert await node.look() == ()
        await fake.stop()
        assert await node.look() == ()


async def test_a_process_that_is_gone_is_told_no_more():
    async with FakeEngine(fakes.vllm()) as fake, Node() as node:
        node.listeners = (listens(fake, f"vllm serve m --port {fake.port}"),)
        assert len(await node.look()) == 1
        node.listeners = ()
        assert await node.look() == ()


async def test_an_unknown_web_server_is_asked_ever_more_rarely():
    async with FakeEngine({"/": says("<html>")}) as fake, Node(ports=[("vllm", 1)]) as node:
        node.listeners = (listens(fake, "python app.py"),)
        looks: list[int] = []
        for number in range(40):
            before = len(fake.asked)
            assert await node.look() == ()
            if len(fake.asked) > before:
                looks.append(number)
                assert len(fake.asked) - before <= 6
    assert looks == [0, 1, 3, 7, 15, 30]


async def test_what_takes_the_place_of_an_unknown_server_is_asked_at_once():
    async with FakeEngine({}) as fake, Node() as node:
        node.listeners = (listens(fake, "python app.py", pid=7),)
        for _ in range(5):
            await node.look()
        fake.pages = fakes.vllm()
        assert await node.look() == ()
        node.listeners = (listens(fake, "python other.py", pid=8),)
        assert len(await node.look()) == 1


async def test_another_engine_at_the_same_port_is_known_for_what_it_is():
    async with FakeEngine(fakes.vllm()) as fake, Node(ports=[("vllm", fake.port)]) as node:
        assert [e.engine for e in await node.look()] == ["vllm"]
        fake.pages = fakes.ollama()
        kinds = [[e.engine for e in await node.look()] for _ in range(4)]
        assert kinds[-1] == ["ollama"]
        await fake.stop()
        assert await node.look() == ()
        fake.pages = fakes.tgi()
        await fake.start()
        assert [e.engine for e in await node.look()] == ["tgi"]


async def test_a_port_where_nothing_listens_is_not_even_connected_to():
    async with FakeEngine({}) as fake:
        port = fake.port
    async with Node(ports=[("vllm", port)]) as node:
        assert await node.look() == ()
        async with FakeEngine(fakes.vllm(), port=port):
            assert len(await node.look()) == 1


NO_ENGINE: dict[str, Page] = {
    "hangs": fakes.hangs,
    "resets": fakes.resets,
    "endless": fakes.endless_body,
    "endless headers": fakes.endless_headers,
    "drips": fakes.drips,
    "another protocol": fakes.speaks_ssh,
    "empty": says("{}"),
    "large": says(b"x" * 5_000_000),
    "a list of nothing": says_json({"data": []}),
    "401": says(status=401),
}


@pytest.mark.parametrize("page", NO_ENGINE.values(), ids=NO_ENGINE)
async def test_a_program_that_is_no_engine_is_not_told_whatever_it_does(page: Page):
    paths = ("/", "/v1/models", "/metrics", "/info", "/models", "/v2", "/api/tags", "/health")
    async with (
        fake_engines(dict.fromkeys(paths, page), fakes.vllm()) as (bad, good),
        Node(ports=[("vllm", bad.port), ("vllm", good.port)], deadline=0.5) as node,
    ):
        assert [e.port for e in await node.look()] == [good.port]


async def test_the_same_process_under_two_addresses_is_told_once():
    """A configured engine behind another port is the found one if both began at one moment."""
    async with fake_engines(fakes.vllm(), fakes.vllm()) as (service, process):
        endpoint = EngineEndpoint(name="mine", engine="vllm", url=service.url)
        async with Node(endpoint) as node:
            node.listeners = (listens(process, f"vllm serve m --port {process.port}", pid=9),)
            (engine,) = await node.look()
    assert (engine.name, engine.pid) == ("mine", 9)


async def test_names_of_finds_are_theirs_for_as_long_as_they_are_there():
    async with (
        fake_engines(fakes.vllm(), fakes.sglang(), fakes.sglang()) as engines,
        Node(EngineEndpoint(name="vllm", engine="tcp", url="tcp://127.0.0.1:1")) as node,
    ):
        kinds = ("vllm serve m", "sglang.launch_server", "sglang.launch_server")
        listeners = [
            listens(e, f"{c} --port {e.port}", pid=n)
            for n, (e, c) in enumerate(zip(engines, kinds, strict=True))
        ]
        node.listeners = tuple(listeners)
        told = {e.name for e in await node.look()}
        assert told == {
            "vllm", f"vllm-{engines[0].port}", "sglang", f"sglang-{engines[2].port}",
        }  # fmt: skip
        node.listeners = (listeners[0], listeners[2])
        assert {e.name for e in await node.look()} == told - {"sglang"}


async def test_nothing_is_looked_for_where_that_is_not_wanted():
    async with FakeEngine(fakes.vllm()) as fake, Node(discover=False) as node:
        node.listeners = (listens(fake, "vllm serve m"),)
        node.pods = (pod_of(fake),)
        assert await node.look() == ()
    assert fake.asked == []


async def test_not_more_services_are_told_than_a_node_can_have():
    endpoints = [
        EngineEndpoint(name=f"e{n}", engine="tcp", url=f"tcp://127.0.0.1:{n}") for n in range(1, 80)
    ]
    async with Node(*endpoints) as node:
        assert len(await node.look()) == 64


async def test_strangers_are_met_a_few_at_a_time():
    async with fake_engines(*[{}] * 20) as engines, Node() as node:
        node.listeners = tuple(listens(e, "app", pid=n) for n, e in enumerate(engines))
        await node.look()
        assert sum(bool(e.asked) for e in engines) == 16
        await node.look()
        assert all(e.asked for e in engines)


async def test_all_whose_command_says_what_they_are_are_told_at_the_first_look():
    async with fake_engines(*[fakes.vllm()] * 20) as engines, Node() as node:
        node.listeners = tuple(
            listens(e, f"vllm serve m --port {e.port}", pid=n) for n, e in enumerate(engines)
        )
        assert len(await node.look()) == 20


async def test_the_configured_engines_can_be_replaced_while_it_runs():
    async with fake_engines(fakes.vllm(), fakes.tgi()) as (one, other), Node() as node:

        def configure(*endpoints: tuple[str, str, FakeEngine], expected: Sequence[str] = ()):
            node.collector.configure(
                [EngineEndpoint(name=n, engine=k, url=e.url) for n, k, e in endpoints], expected
            )

        assert await node.look() == ()
        configure(("a", "vllm", one))
        assert [e.name for e in await node.look()] == ["a"]
        configure(("b", "tgi", other), expected=("vllm", "tgi", "b", "whisper"))
        told = {e.name: e for e in await node.look()}
        assert told.keys() == {"b", "vllm", "whisper"}
        assert (told["b"].health, told["vllm"].engine) == ("ok", "vllm")
        assert (told["vllm"].status, told["vllm"].health, told["vllm"].reason) == (
            "stopped", "unknown", "NotFound",
        )  # fmt: skip
        assert (told["vllm"].type, told["whisper"].type) == ("llm", "other")
        assert told["whisper"].engine is None


async def test_a_configured_engine_that_loads_in_its_pod_is_starting_until_it_served_there():
    async with FakeEngine(fakes.vllm()) as fake:
        await fake.stop()
        async with Node(EngineEndpoint(name="a", engine="vllm", url=fake.url)) as node:
            (engine,) = await node.look()
            assert (engine.status, engine.health) == ("stopped", "unhealthy")
            node.pods = (pod_of(fake),)
            (engine,) = await node.look()
            assert (engine.status, engine.health, engine.pod) == ("running", "starting", "p1")
            await fake.start()
            (engine,) = await node.look()
            assert engine.health == "ok"
            await fake.stop()
            (engine,) = await node.look()
            assert (engine.status, engine.health) == ("stopped", "unhealthy")
            await fake.start()


async def test_a_configured_engine_whose_process_is_another_one_may_be_starting():
    port = (await unused()).port
    endpoint = EngineEndpoint(name="a", engine="llamacpp", url=f"http://127.0.0.1:{port}")
    async with FakeEngine(fakes.llamacpp(), port=port) as fake, Node(endpoint) as node:
        node.listeners = (listens(fake, f"llama-server --port {port}", pid=7),)
        await node.look()
        fake.pages = dict.fromkeys(("/health", "/v1/models"), says("{}", status=503))
        assert [e.health for e in await node.look()] == ["unhealthy"]
        node.listeners = (listens(fake, f"llama-server --port {port}", pid=8),)
        assert [e.health for e in await node.look()] == ["starting"]


async def test_a_process_known_a_moment_later_is_still_the_same_engine():
    async with FakeEngine(fakes.vllm()) as fake, Node(ports=[("vllm", fake.port)]) as node:
        await node.look()
        asked = len(fake.asked)
        node.listeners = (listens(fake, "python serve.py", container_id="c1"),)
        (engine,) = await node.look()
        assert (engine.engine, engine.pid, engine.container_id) == ("vllm", 7, "c1")
        assert "GET /v1/models" not in fake.asked[asked:]
