"""A fleet that tells what it was given."""

from collections.abc import AsyncGenerator
from typing import Any

from typing_extensions import override

from citadel_k8s.clients.fleet import (
    Asked,
    Change,
    Detail,
    FleetSource,
    Happening,
    LiveAnswer,
    NotFoundError,
    Row,
    Served,
    Subject,
)


class FakeFleet(FleetSource):
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.details: dict[str, Detail] = {}
        self.answers: dict[str, LiveAnswer] = {}
        self.served: list[Served] = []
        self.happened: list[Happening] = []
        self.changes: list[Change] = []
        self.error: Exception | None = None
        self.events_error: Exception | None = None
        self.asked: list[Any] = []
        self.closed = False

    @property
    @override
    def where(self) -> str:
        return "a fake fleet"

    @override
    async def nodes(self, asked: Asked | None = None) -> list[Row]:
        self._ask(asked)
        return self.rows

    @override
    async def node(self, name: str) -> Detail:
        self._ask(name)
        if name not in self.details:
            raise NotFoundError(name)
        return self.details[name]

    @override
    async def live(self, name: str) -> LiveAnswer:
        self._ask(name)
        return self.answers[name]

    @override
    async def models(self, named: str | None = None) -> list[Served]:
        self._ask(named)
        return self.served

    @override
    async def events(
        self, *, node: str | None = None, since: float | None = None, most: int = 500
    ) -> list[Happening]:
        self._ask((node, since, most))
        if self.events_error is not None:
            raise self.events_error
        return self.happened

    @override
    async def watch(self, what: Subject = "nodes") -> AsyncGenerator[Change]:
        self._ask(what)
        for change in self.changes:
            yield change

    @override
    async def close(self) -> None:
        self.closed = True

    def _ask(self, what: Any) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error
