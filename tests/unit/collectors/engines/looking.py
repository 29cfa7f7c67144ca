"""One configured engine, looked at again and again."""

from typing import Any, Self

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.config.agent import EngineEndpoint
from citadel_k8s.models.readings import Engine, Reading
from tests.fake_engines import FakeEngine


def endpoint(engine: FakeEngine, kind: str, **more: Any) -> EngineEndpoint:
    return EngineEndpoint(name="it", engine=kind, url=engine.url, **more)


class Looker:
    """Looks at one configured engine again and again, ten seconds apart."""

    def __init__(self, engine: FakeEngine, kind: str, **more: Any) -> None:
        self.clock = ManualClock()
        self.collector = EngineCollector(
            [endpoint(engine, kind, **more)], discover=False, deadline=2.0, clock=self.clock
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.collector.close()

    async def look(self) -> Engine:
        outcome = await self.collector.collect()
        self.clock.advance(10.0)
        assert isinstance(outcome, Reading)
        (engine,) = outcome.value
        return engine
