"""What is alerted of now: kept in line with the states that the registry has."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.alerts import Alert, AlertKey, alert_of
from citadel_k8s.operator.newsmetrics import ALERTS, NewsMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry

SLICE: Final = 500
"""Nodes looked at before others get their turn: half a millisecond."""

SCAN_INTERVAL: Final = 15.0
"""Seconds between two looks at all nodes: what no transition told, such as maintenance or an
object deleted, is seen within them. 10,000 nodes take some 10 ms."""


class Board:
    """The alerts that fire, at most one for each node.

    Parameters
    ----------
    others : callable
        Gives the alerts about the fleet as a whole.

    Attributes
    ----------
    firing : dict of AlertKey to Alert
        What fires; only read by others.
    version : int
        Changes with it.
    active : bool
        Whether it is known, and this operator's to tell.
    early : bool
        Whether nothing but the alerts about the fleet is known, and these are this operator's to
        tell: it leads, and has not read the stream yet.
    epoch : int
        Changes when all is forgotten; what fired before it is not over because of that.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        metrics: NewsMetrics,
        others: Callable[[], Iterable[Alert]] = tuple,
    ) -> None:
        self.firing: dict[AlertKey, Alert] = {}
        self.version = 0
        self.active = self.early = False
        self.epoch = 0
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._others = others
        self._by_node: dict[str, AlertKey] = {}
        self._fleet: set[AlertKey] = set()
        self._stirred: set[str] = set()
        self._scanned_at = 0.0

    def stir(self, node_id: str) -> None:
        """Have a node looked at anew with the next refresh."""
        self._stirred.add(node_id)

    def clear(self) -> None:
        """Forget everything: somebody else tells from now on."""
        if self.active or self.early:
            self.active = self.early = False
            self.version += 1
            self.epoch += 1
            self.firing.clear()
            self._by_node.clear()
            self._fleet.clear()
            self._count()

    async def refresh(self) -> None:
        """Bring it into line; lets others have their turn in between."""
        now = self._clock.monotonic()
        before = self.version
        if not self.active or now - self._scanned_at >= SCAN_INTERVAL:
            self._scanned_at = now
            self._stirred.clear()
            await self._scan()
        for node_id in self._stirred:
            self._look(node_id, self._registry.nodes.get(node_id))
        self._stirred.clear()
        self._look_at_fleet()
        self.active, self.early = True, False
        if self.version != before:
            self._count()

    def refresh_early(self) -> None:
        """Bring into line what is about the fleet: a closed way must not be well by a restart."""
        if self.active:
            self.clear()
        before = self.version
        self._look_at_fleet()
        self.early = True
        if self.version != before:
            self._count()

    async def _scan(self) -> None:
        for number, (node_id, record) in enumerate(list(self._registry.nodes.items()), 1):
            self._look(node_id, record)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        for node_id in self._by_node.keys() - self._registry.nodes.keys():
            self._set(node_id, None)

    def _look(self, node_id: str, record: NodeRecord | None) -> None:
        if record is None:
            self._set(node_id, None)
            return
        live = record.live
        passed = self._clock.monotonic() - live.since
        self._set(node_id, alert_of(node_id, live, self._clock.now() - max(0.0, passed)))

    def _set(self, node_id: str, alert: Alert | None) -> None:
        known = self._by_node.get(node_id)
        key = alert.key if alert else None
        if known is not None and known != key:
            del self._by_node[node_id]
            self.firing.pop(known, None)
            self.version += 1
        if alert is not None and key is not None:
            self._by_node[node_id] = key
            self._fire(key, alert)

    def _look_at_fleet(self) -> None:
        found = {alert.key: alert for alert in self._others()}
        for key in self._fleet - found.keys():
            self.firing.pop(key, None)
            self.version += 1
        for key, alert in found.items():
            self._fire(key, alert)
        self._fleet = set(found)

    def _fire(self, key: AlertKey, alert: Alert) -> None:
        known = self.firing.get(key)
        if known is None:
            self.version += 1
            self.firing[key] = alert
        elif known.message != alert.message:
            self.firing[key] = replace(alert, started=known.started)

    def _count(self) -> None:
        counted = Counter(key.name for key in self.firing)
        for name in {*ALERTS, *counted}:
            self._metrics.firing.labels(alert=name).set(counted[name])
