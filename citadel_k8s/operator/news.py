"""All that tells of nodes, put together: Events, alerts, cordons."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry

from citadel_k8s.aio.clock import Clock
from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.domain.alerts import Alert, pipeline_alert
from citadel_k8s.errors import ConfigError, StreamError
from citadel_k8s.operator.cordon import Cordon, NodeApi
from citadel_k8s.operator.events import EventApi, Recorder
from citadel_k8s.operator.messenger import Book
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.notifier import Notifier
from citadel_k8s.operator.registry import Registry
from citadel_k8s.operator.roster import OnTransition
from citadel_k8s.stores.deadletters import RedisDeadLetters


class NewsApi(EventApi, NodeApi, Protocol):
    """What is asked of the API server; `clients.kube.KubeClient` has it."""


@dataclass(slots=True)
class News:
    """The parts; see `build`."""

    recorder: Recorder
    notifier: Notifier
    cordon: Cordon
    letters: RedisDeadLetters

    @property
    def listeners(self) -> Sequence[OnTransition]:
        """Who is to be told of each change of a node's state or reason."""
        return (self.recorder.told, self.notifier.told)

    async def run(self) -> None:
        """Tell for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self.recorder, self.notifier, self.cordon):
                    group.create_task(part.run(), name=type(part).__name__.lower())
        finally:
            with suppress(StreamError):
                await self.letters.close()


def build(
    settings: OperatorSettings,
    api: NewsApi,
    registry: Registry,
    book: Book,
    *,
    clock: Clock,
    metrics: CollectorRegistry,
    leads: Callable[[], bool],
    tells: Callable[[], bool] | None = None,
    pipeline: Callable[[], tuple[str, str] | None] = lambda: None,
) -> News:
    """Put the parts together.

    Parameters
    ----------
    api : NewsApi
        The API server, fenced.
    book : Book
        Where what was told outlives this operator: the status stream's server.
    metrics : CollectorRegistry
        Where the figures are shown.
    leads : callable
        Whether this operator has read the stream to its end once, and leads. Not whether the
        stream can be read just now: what fires goes on firing while Redis is away.
    tells : callable or None
        Whether this operator leads, if only in name: how the pipe fares is an Event and an alert
        also of one that could not read the stream yet. Of nodes it says nothing until it may;
        ``leads`` if None.
    pipeline : callable
        Gives reason and message while heartbeats cannot arrive; None if they can, or may.

    Raises
    ------
    ConfigError
        If a setting cannot be used.
    """
    if settings.redis_url is None:
        raise ConfigError("the operator needs redisUrl (--redis-url or CITADEL__REDIS_URL)")
    letters = RedisDeadLetters(settings.redis_url, **settings.redis_login)
    figures = NewsMetrics(metrics)
    recorder = Recorder(api, clock, figures, tells or leads)
    cordon = Cordon(settings.cordon, api, registry, clock, figures, recorder, leads)

    def others() -> Iterator[Alert]:
        if trouble := pipeline():
            yield pipeline_alert(*trouble, clock.now())
        yield from cordon.alerts()

    notifier = Notifier(
        settings.alerts,
        registry,
        clock,
        figures,
        leads,
        book=book,
        store=letters,
        others=others,
        tells=tells,
    )
    return News(recorder, notifier, cordon, letters)
