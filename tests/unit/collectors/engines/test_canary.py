"""Requests of one token: when, to whom, and what is made of the answers."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.collectors.engines.answers import Listing
from citadel_k8s.collectors.engines.asking import Facts
from citadel_k8s.collectors.engines.canary import Aviary, Cage, Singing, model_for, verdict
from citadel_k8s.collectors.engines.families import FAMILIES
from citadel_k8s.config.agent import Canary, EngineEndpoint
from citadel_k8s.models.readings import Reading
from tests import fake_engines as fakes
from tests.fake_engines import FakeEngine, Page, fake_engines, says, says_json

LOADED = Listing(("m", "n"), 2, loaded=("m",))


class Bird:
    """One engine's canaries, sent when a test says so."""

    def __init__(self, getter: Callable[..., object], fake: FakeEngine, kind: str) -> None:
        self.clock = ManualClock()
        self.aviary = Aviary(interval=30.0, timeout=0.5)
        self.own = 0

        def sent() -> None:
            self.own += 1

        async def get(until: float) -> object:
            return getter(fake, until - asyncio.get_running_loop().time())

        self.cage = Cage(FAMILIES[kind], Facts("ok", listing=LOADED), sent, get)  # type: ignore[arg-type]

    async def sing(self) -> Singing:
        key = self.aviary.due({"it": self.cage}, self.clock.monotonic())
        if key is not None:
            loop = asyncio.get_running_loop()
            await self.aviary.send(key, self.cage, self.clock, loop.time)
        self.clock.advance(30.0)
        return self.aviary.birds["it"]


@pytest.mark.parametrize(
    ("kind", "pages", "path", "document"),
    [
        ("vllm", fakes.vllm(), "/v1/completions", {"max_tokens": 1, "model": "m"}),
        ("llamacpp", fakes.llamacpp(), "/v1/completions", {"max_tokens": 1, "model": "m"}),
        ("ollama", fakes.ollama(), "/api/generate", {"options": {"num_predict": 1}, "model": "m"}),
        ("tei", fakes.tei(), "/embed", {"inputs": "1"}),
        ("infinity", fakes.infinity(), "/embeddings", {"input": "1", "model": "m"}),
        (
            "sglang",
            {"/v1/chat/completions": says_json({"choices": []})},
            "/v1/chat/completions",
            {"max_tokens": 1, "model": "m"},
        ),
    ],
)
async def test_each_family_is_asked_for_as_little_as_can_be(getter, kind, pages, path, document):
    async with FakeEngine(dict(pages)) as fake:
        bird = Bird(getter, fake, kind)
        sung = await bird.sing()
        assert fake.asked[-1] == f"POST {path}"
        assert document.items() <= fake.posted[-1].items()
        assert (sung.failures, sung.seconds) == (0, 0.0)
        asked = len(fake.asked)
        await bird.sing()
        # What the engine knows is remembered.
        assert fake.asked[asked:] == [f"POST {path}"]


@pytest.mark.parametrize(
    "page",
    [says(status=500), says(status=503), fakes.hangs, fakes.resets, fakes.drips],
    ids=["500", "503", "hangs", "resets", "drips"],
)
async def test_two_failures_in_a_row_are_told_and_one_success_ends_them(getter, page: Page):
    async with FakeEngine({"/v1/completions": page}) as fake:
        bird = Bird(getter, fake, "llamacpp")
        assert verdict(await bird.sing()) is None
        failed = verdict(await bird.sing())
        assert failed is not None
        assert failed.reason == "CanaryFailed"
        fake.pages["/v1/completions"] = says("{}")
        sung = await bird.sing()
        assert verdict(sung) is None
        assert sung.seconds == 0.0


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429])
async def test_an_engine_that_does_not_take_the_request_answers_all_the_same(getter, status: int):
    async with FakeEngine({"/v1/completions": says("{}", status=status)}) as fake:
        bird = Bird(getter, fake, "llamacpp")
        for _ in range(3):
            sung = await bird.sing()
        assert (verdict(sung), sung.seconds) == (None, None)
        # One that can never work is not tried again.
        assert len(fake.asked) == (3 if status in {401, 429} else 1)


async def test_a_canary_that_failed_waits_for_its_turn_as_any_other(getter):
    async with FakeEngine({"/v1/completions": says(status=500)}) as fake:
        bird = Bird(getter, fake, "llamacpp")
        await bird.sing()
        bird.clock.advance(-1.0)
        await bird.sing()
        assert len(fake.asked) == 1
        bird.clock.advance(-29.0)
        await bird.sing()
        assert len(fake.asked) == 2


def test_those_that_wait_longest_come_first_and_those_gone_are_forgotten():
    aviary = Aviary(interval=30.0, timeout=1.0)
    cage = Cage(FAMILIES["vllm"], Facts("ok"), lambda: None, None)  # type: ignore[arg-type]
    assert aviary.due({}, 0.0) is None
    assert aviary.due({"a": cage}, 0.0) == "a"
    aviary.birds["a"].due = 5.0
    assert aviary.due({"a": cage, "b": cage}, 3.0) == "b"
    assert aviary.due({"a": cage, "b": cage}, 9.0) == "b"
    assert aviary.due({"a": cage}, 9.0) == "a"
    assert aviary.birds.keys() == {"a"}


@pytest.mark.parametrize(
    ("listing", "model"),
    [
        (None, None),
        (Listing(("a",), 1, loaded=()), None),
        (Listing(("a", "b"), 2, loaded=("b",)), "b"),
        (Listing(("l", "a"), 2, loaded=("l", "a"), adapters=("l",)), "a"),
        (Listing(("a",), 1), "a"),
        (Listing(("a", "b"), 2), None),
        (Listing((), 0), None),
    ],
)
def test_only_a_model_in_memory_is_asked_so_that_none_is_loaded_for_it(listing, model):
    facts = replace(Facts("ok"), listing=listing)
    assert model_for(facts) == model


async def test_an_ollama_with_nothing_loaded_is_left_alone(getter):
    async with FakeEngine(fakes.ollama()) as fake:
        bird = Bird(getter, fake, "ollama")
        bird.cage = replace(bird.cage, facts=Facts("ok", listing=Listing(("m",), 1, loaded=())))
        sung = await bird.sing()
    assert fake.asked == []
    assert (sung.seconds, sung.failures) == (None, 0)


@pytest.mark.parametrize(
    ("leaves", "keep_alive"), [(100.4, 100), (-5.0, 1), (9e9, -1), (None, None)]
)
async def test_an_ollamas_model_stays_no_longer_for_its_canary(getter, leaves, keep_alive):
    async with FakeEngine(fakes.ollama()) as fake:
        bird = Bird(getter, fake, "ollama")
        at = None if leaves is None else bird.clock.now() + leaves
        bird.cage = replace(bird.cage, facts=Facts("ok", listing=replace(LOADED, leaves=at)))
        await bird.sing()
    assert fake.posted[-1].get("keep_alive") == keep_alive


async def test_an_ollama_that_embeds_is_asked_for_an_embedding(getter):
    pages = {"/api/generate": says("{}", status=400), "/api/embed": says("{}")}
    async with FakeEngine(pages) as fake:
        bird = Bird(getter, fake, "ollama")
        sung = await bird.sing()
        await bird.sing()
    assert sung.seconds == 0.0
    assert fake.asked == ["POST /api/generate", "POST /api/embed", "POST /api/embed"]


@asynccontextmanager
async def singing(collector: EngineCollector):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(collector.run_canary(breath=0.01))
        yield
        task.cancel()
    await collector.close()


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110 - what a fake was asked is a list
            await asyncio.sleep(0.01)


def collector_of(*engines: FakeEngine, clock: ManualClock, **canary: float) -> EngineCollector:
    return EngineCollector(
        [EngineEndpoint(name=str(n), engine="vllm", url=e.url) for n, e in enumerate(engines)],
        discover=False,
        deadline=2.0,
        clock=clock,
        canary=Canary(enabled=True, **canary),
    )


async def test_a_canarys_answer_is_told_by_the_next_collection():
    clock = ManualClock()
    async with FakeEngine(fakes.vllm()) as fake:
        collector = collector_of(fake, clock=clock)
        async with singing(collector):
            first = await collector.collect()
            assert isinstance(first, Reading)
            await until(lambda: "POST /v1/completions" in fake.asked)
            clock.advance(10.0)
            second = await collector.collect()
            assert isinstance(second, Reading)
            while second.value[0].canary_seconds is None:
                second = await collector.collect()
    assert first.value[0].canary_seconds is None
    assert second.value[0].canary_seconds is not None
    assert second.value[0].health == "ok"


async def test_a_canary_that_hangs_delays_no_collection_and_no_engine_is_asked_twice_at_once():
    clock = ManualClock()
    pages = fakes.vllm() | {"/v1/completions": fakes.hangs}
    async with fake_engines(pages, pages) as engines:
        collector = collector_of(*engines, clock=clock, timeout_seconds=60)
        async with singing(collector):
            await collector.collect()
            await until(lambda: any("POST /v1/completions" in e.asked for e in engines))
            started = asyncio.get_running_loop().time()
            outcome = await collector.collect()
            assert asyncio.get_running_loop().time() - started < 1.5
    assert isinstance(outcome, Reading)
    assert [e.health for e in outcome.value] == ["ok", "ok"]
    # One at a time, on the whole node.
    assert sum(e.asked.count("POST /v1/completions") for e in engines) == 1


async def test_an_engine_that_is_not_ready_is_sent_no_canary():
    clock = ManualClock()
    pages = fakes.vllm() | {"/health": says(status=503)}
    async with fake_engines(pages, fakes.vllm()) as (starting, ready):
        collector = collector_of(starting, ready, clock=clock)
        async with singing(collector):
            await collector.collect()
            await until(lambda: "POST /v1/completions" in ready.asked)
    assert "POST /v1/completions" not in starting.asked


async def test_without_the_setting_nothing_is_sent():
    async with FakeEngine(fakes.vllm()) as fake:
        collector = EngineCollector(
            [EngineEndpoint(name="a", engine="vllm", url=fake.url)], discover=False, canary=Canary()
        )
        await collector.collect()
        await collector.run_canary()
        await collector.close()
    assert not any(question.startswith("POST") for question in fake.asked)
