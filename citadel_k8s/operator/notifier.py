"""Tells people and Alertmanager of nodes that are not well.

Nothing here is on the path of a verdict: a change of a node's state sets a mark, and a task of
its own works out what fires. Each receiver has a task too, so that one that stalls holds up
nobody else.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.clients.alertmanager import Alertmanager
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.clients.slack import Slack
from citadel_k8s.clients.webhook import Webhook
from citadel_k8s.config.operator import Alerts
from citadel_k8s.domain.alertgroups import Groups
from citadel_k8s.domain.alertledger import REPEAT
from citadel_k8s.domain.alerts import Alert, Labels
from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.operator.board import Board
from citadel_k8s.operator.delivery import Delivery
from citadel_k8s.operator.feed import Feed
from citadel_k8s.operator.letters import Letters
from citadel_k8s.operator.messenger import Book, Messenger
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.stores.deadletters import DeadLetters
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.alerts")

TICK: Final = 1.0
"""Seconds between two looks at what fires."""


class Way(Protocol):
    """One way out."""

    async def run(self) -> None:
        """Tell for ever."""
        ...


class Client(Protocol):
    """What is to be closed in the end."""

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class Notifier:
    """All ways out; with none configured it does nothing but count what fires.

    Parameters
    ----------
    settings : Alerts
        Who is told.
    registry : Registry
        What is known of the nodes.
    leads : callable
        Whether this operator has read the stream to its end once and is the one that tells. Not
        whether the stream can be read just now: what fires goes on firing while Redis is away.
    book, store : Book, DeadLetters
        Where Redis keeps what was told, and what could not be.
    others : callable
        Gives the alerts about the fleet as a whole, such as a pipe that is down.
    tells : callable or None
        Whether this operator leads, if only in name: Alertmanager is told of the fleet's own alerts
        also by one that could not read the stream yet. `leads` if None.
    repeat : float
        Seconds between two tellings of an alert to Alertmanager.

    Raises
    ------
    ConfigError
        If a label of the settings cannot be one.
    """

    def __init__(
        self,
        settings: Alerts,
        registry: Registry,
        clock: Clock,
        metrics: NewsMetrics,
        leads: Callable[[], bool],
        *,
        book: Book,
        store: DeadLetters,
        others: Callable[[], Iterable[Alert]] = tuple,
        tells: Callable[[], bool] | None = None,
        repeat: float = REPEAT,
        tick: float = TICK,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._leads = leads
        self._tells = tells or leads
        self._book = book
        self._repeat = repeat
        self._tick = tick
        self._labels = Labels.parse(registry.org_id, settings.external_labels)
        self._board = Board(registry, clock, metrics, others)
        self._letters = Letters(store, clock, metrics)
        self._clients: list[Client] = []
        self._ways: Sequence[Way] = [*self._feeds(), *self._messengers()]
        self._trouble = RepeatLog(_log, "alerts_not_worked_out", clock=clock)

    def told(self, record: NodeRecord, _before: Liveness) -> None:
        """Take a change of a node's state or reason; never waits."""
        self._board.stir(record.node_id)

    async def run(self) -> None:
        """Work out what fires, and tell it, for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._letters.run(), name="dead letters")
                for way in self._ways:
                    group.create_task(way.run(), name=type(way).__name__)
                while True:
                    await self.refresh()
                    await asyncio.sleep(self._tick)
        finally:
            for client in self._clients:
                await client.close()

    async def refresh(self) -> None:
        """Work out what fires now; nothing does as long as it is somebody else's to tell."""
        if not self._tells():
            self._board.clear()
            return
        try:
            if self._leads():
                await self._board.refresh()
            else:
                self._board.refresh_early()
        except Exception as error:  # noqa: BLE001 - told below
            # What fires must not stop being told because of one node of which nothing can be made.
            self._trouble.failed(error=repr(error), exc_info=error)
        else:
            self._trouble.recovered()

    def _feeds(self) -> Iterable[Way]:
        if self._settings.alertmanager_url:
            client = Alertmanager(self._settings.alertmanager_url)
            self._clients.append(client)
            delivery = self._delivery(client.name, client.where, repeats=True)
            yield Feed(
                client,
                self._board,
                self._labels,
                delivery=delivery,
                clock=self._clock,
                leads=self._tells,
                repeat=self._repeat,
                tick=self._tick,
            )

    def _messengers(self) -> Iterable[Way]:
        if self._settings.webhook_url:
            labels = dict(self._labels.external)
            if self._labels.org:
                labels["org"] = self._labels.org
            secret = _secret(self._settings.secret_file)
            yield self._messenger(
                Webhook(self._settings.webhook_url, secret, labels, clock=self._clock)
            )
        if self._settings.slack_url_file:
            yield self._messenger(Slack(SecretFile(self._settings.slack_url_file)))

    def _messenger(self, client: Webhook | Slack) -> Messenger:
        self._clients.append(client)
        settings = self._settings
        return Messenger(
            client,
            self._board,
            Groups(settings.group_wait_seconds, settings.repeat_seconds),
            book=self._book,
            delivery=self._delivery(client.name, client.where),
            clock=self._clock,
            leads=self._leads,
            tick=self._tick,
        )

    def _delivery(self, name: str, where: str, *, repeats: bool = False) -> Delivery:
        return Delivery(name, where, self._clock, self._metrics, self._letters, repeats=repeats)


def _secret(path: Path | None) -> SecretFile | None:
    return SecretFile(path) if path else None
