"""What tells of nodes, with receivers and an API server in memory."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.domain.alertgroups import Groups, Message
from citadel_k8s.domain.alerts import Alert, Labels
from citadel_k8s.errors import KubeError, StreamError
from citadel_k8s.operator.board import Board
from citadel_k8s.operator.delivery import Delivery
from citadel_k8s.operator.feed import Feed
from citadel_k8s.operator.letters import Letters
from citadel_k8s.operator.messenger import Messenger
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.stores.fake import FakeStatusStream
from tests.unit.operator.fakes import World

START = 1_795_420_800.0


class Receiver:
    """Takes alerts or messages, or fails as it is told to."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.tries = 0
        self.fault: Exception | None = None

    async def send(self, item: Any) -> None:
        self.tries += 1
        if self.fault is not None:
            raise self.fault
        self.taken.append(item)


class Store:
    """Keeps dead letters."""

    def __init__(self) -> None:
        self.letters: list[dict[str, str]] = []
        self.down = False

    async def bury(self, letter: Any) -> None:
        if self.down:
            raise StreamError("away")
        self.letters.append(dict(letter))


class News:
    """A leader with one way to Alertmanager and one to people."""

    def __init__(self, book: FakeStatusStream | None = None) -> None:
        self.world = World()
        self.clock = self.world.clock
        self.exposed = CollectorRegistry()
        self.metrics = NewsMetrics(self.exposed)
        self.leading = True
        self.others: list[Alert] = []
        self.book = book or FakeStatusStream(self.clock)
        self.store = Store()
        self.letters = Letters(self.store, self.clock, self.metrics, jitter=lambda: 0.0)
        self.board = Board(self.world.registry, self.clock, self.metrics, self._others)
        self.alertmanager, self.people = Receiver(), Receiver()
        self.feed = Feed(
            self.alertmanager,
            self.board,
            Labels("acme"),
            delivery=self._delivery("alertmanager", repeats=True),
            clock=self.clock,
            leads=lambda: self.leading,
        )
        self.messenger = Messenger(
            self.people,
            self.board,
            Groups(10, 3600),
            book=self.book,
            delivery=self._delivery("webhook"),
            clock=self.clock,
            leads=lambda: self.leading,
        )

    def _others(self) -> Iterable[Alert]:
        return self.others

    def _delivery(self, name: str, *, repeats: bool = False) -> Delivery:
        return Delivery(
            name,
            f"http://{name}",
            self.clock,
            self.metrics,
            self.letters,
            repeats=repeats,
            jitter=lambda: 0.0,
        )

    def lose(self, *nodes: str) -> None:
        """Let nodes be heard and then fall silent for good."""
        first, *others = nodes
        self.world.beat(first)
        self.clock.advance(100)
        self.world.silence()
        known = self.world.registry.nodes
        for node in others:  # a thousand messages would take seconds to make
            known[node] = replace(known[first], node_id=node, name=node)

    def heal(self, *nodes: str) -> None:
        """Let nodes come back."""
        for node in nodes:
            self.world.beat(node, boot=f"new-{node}-{self.clock.now()}")

    async def tick(self, seconds: float = 1.0) -> None:
        """Let time pass, second by second, as `run` of the parts does."""
        for _ in range(max(1, round(seconds))):
            self.clock.advance(1.0)
            if self.leading:
                await self.board.refresh()
            else:
                self.board.clear()
            await self.feed.once()
            await self.messenger.once()

    @property
    def messages(self) -> list[Message]:
        return self.people.taken

    def value(self, name: str, **labels: str) -> float | None:
        return self.exposed.get_sample_value(f"citadel_operator_{name}", labels)


def refusal(*, final: bool = False, wait: float | None = None) -> DeliveryError:
    return DeliveryError("http://x: no", final=final, retry_after=wait)


class FakeEvents:
    """Events in memory, and Nodes."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.requests = 0
        self.fault: KubeError | None = None
        self.fleet: dict[str, Any] | None = {"metadata": {"name": "fabric", "uid": "uid-fabric"}}

    def _ask(self) -> None:
        self.requests += 1
        if self.fault is not None:
            raise self.fault

    async def create_event(self, involved: dict[str, Any], **fields: Any) -> dict[str, Any]:
        self._ask()
        name = f"{involved['metadata']['name']}.{self.requests}"
        self.events[name] = {"involved": involved, **fields}
        return {"metadata": {"name": name}}

    async def patch_event(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        self._ask()
        if name not in self.events:
            raise KubeError(404, "gone")
        self.events[name] |= patch
        return {}

    async def get_fabric_status(self, name: str) -> dict[str, Any] | None:
        self._ask()
        return self.fleet
