"""Makes the operator's parts and introduces them to each other."""

import asyncio
from typing import Final

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.health import HealthClient
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.domain.liveness import Liveness, Policy
from citadel_k8s.errors import KubeError, StreamError
from citadel_k8s.operator.broadcast import Broadcast
from citadel_k8s.operator.canary import Canary
from citadel_k8s.operator.configpush import ConfigPush
from citadel_k8s.operator.edge import Watcher
from citadel_k8s.operator.evidence import Evidence
from citadel_k8s.operator.fabricstatus import FabricStatusWriter
from citadel_k8s.operator.handover import Handover
from citadel_k8s.operator.heap import Heap
from citadel_k8s.operator.housekeeping import Housekeeping
from citadel_k8s.operator.leader import Leadership, fenced
from citadel_k8s.operator.memory import Snapshot
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.news import build as build_news
from citadel_k8s.operator.pipe import Pipe
from citadel_k8s.operator.pipealert import PipeAlert
from citadel_k8s.operator.probing import AT_ONCE
from citadel_k8s.operator.projector import Projector
from citadel_k8s.operator.reader import Reader
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.operator.scheduler import Scheduler
from citadel_k8s.operator.server import Probes
from citadel_k8s.operator.start import Start
from citadel_k8s.operator.stores import Stores
from citadel_k8s.operator.sweep import Sweep, retry_delay
from citadel_k8s.telemetry.log import RepeatLog, get_logger
from citadel_k8s.telemetry.supervision import Supervision

_log = get_logger("operator")

LAST_SAVE: Final = 1.5
"""Seconds that the last snapshot may take when the operator ends; 10,000 nodes take 0.2."""

HINTS: Final = {
    401: "; the token or certificate in the kubeconfig is not taken",
    403: "; the account lacks rights: apply manifests/rbac.yaml",
    404: "; the definition is not installed: apply manifests/crds",
}
"""What to do when objects cannot be listed, by HTTP status."""


class Operator:
    """All parts of one operator.

    Parameters
    ----------
    settings : OperatorSettings
        As loaded.
    api : KubeClient
        The API server, for whoever asks; writes go through a fence.
    stores : Stores
        Redis.
    """

    def __init__(self, settings: OperatorSettings, api: KubeClient, stores: Stores) -> None:
        clock, selector = SystemClock(), settings.node_label_selector
        self.metrics = metrics = OperatorMetrics()
        self._clock, self._stores = clock, stores
        self._broadcast = Broadcast(self._ready)
        self.registry = registry = Registry(
            clock,
            Policy(*settings.heartbeat),
            settings.org_id,
            self._broadcast,
            expects_kube_nodes=selector is not None,
            unknown_nodes=settings.unknown_nodes,
        )
        self._broadcast.nodes = registry.nodes
        metrics.watch(registry.nodes)
        self.leadership = Leadership(api, settings.election, clock, metrics)
        self.reader = Reader(stores.stream, registry, clock, metrics)
        self._memory = Snapshot(stores.memory, registry, clock, metrics, self._ready)
        self._supervision = Supervision(clock, metrics)
        self._handover = Handover(
            self.leadership,
            self.reader.first_proof,
            self._memory.told,
            lambda told: self._broadcast.catch_up(registry.nodes, told),
        )
        self.leadership.on_lead = self._handover.begin
        self._see(settings, api, stores)
        self._write(settings, fenced(api, self.leadership))
        self._cannot_list: str | None = "not listed yet"
        self.probes = Probes(self.scheduler, self.reader, self.leadership, self._trouble, clock)

    def _see(self, settings: OperatorSettings, api: KubeClient, stores: Stores) -> None:
        """Make what finds out how nodes are, which every operator does."""
        clock, metrics, registry = self._clock, self.metrics, self.registry
        identity = self.leadership.identity
        self._canary = Canary(stores.canary, identity, clock, metrics)
        self._evidence = Evidence(
            registry,
            HealthClient(AT_ONCE),
            api,
            clock,
            metrics,
            probe_loopback=settings.probe_loopback,
        )
        self._pipe = Pipe(
            registry,
            Start(self.reader, self._memory),
            self._canary,
            self._evidence,
            clock=clock,
            metrics=metrics,
        )
        self.scheduler = Scheduler(registry, self._pipe, clock, metrics, self._pipe.judge)

    def _write(self, settings: OperatorSettings, api: KubeClient) -> None:
        """Make what tells how nodes are, which the leader alone does."""
        clock, metrics, registry = self._clock, self.metrics, self.registry
        stores, leads = self._stores, self.leadership.leads
        self._projector = Projector(api, registry, clock, metrics, leads=self._ready)
        self._sweep = Sweep(api, registry, clock, settings.node_label_selector, leads=self._ready)
        self._watcher = Watcher(
            registry, clock, self._restore, settings.node_label_selector, self._sweep.soon
        )
        self._news = news = build_news(
            settings, api, registry, stores.memory, clock=clock, metrics=metrics.registry,
            leads=self._ready, tells=leads, pipeline=PipeAlert(self._pipe.condition, clock),
        )  # fmt: skip
        # How the pipe fares is to be told also by an operator that cannot read it yet.
        self._fabric_status = FabricStatusWriter(
            api, registry, self._pipe.condition, clock, leads, self.leadership.identity,
            news.recorder.tell,
        )  # fmt: skip
        self._config_push = ConfigPush(stores.configs, registry, clock, metrics, leads=self._ready)
        self._housekeeping = Housekeeping(
            stores.memory, stores.groups, api, registry, clock, metrics, self._ready,
            lambda: self._pipe.proved_until, settings.decommission_hours, self._removed,
        )  # fmt: skip
        self._broadcast.listeners = (self._log, *news.listeners, self._memory.note)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self.leadership, self.scheduler, self._fabric_status, self._canary):
                self._supervision.start(group, part)
            group.create_task(self._work(), name="work")

    async def end(self) -> None:
        """Leave what is known, and the lead, to the next operator; after `run` has ended."""
        try:
            async with asyncio.timeout(LAST_SAVE):
                if self._ready():
                    await self._memory.save()
        except (StreamError, TimeoutError) as error:
            _log.info("last_snapshot_not_saved", error=str(error) or "no answer")
        await self.leadership.release()

    async def _work(self) -> None:
        """Restore, read to the head, then judge and write: in this order, or a restart lies."""
        await self._restore()
        async with asyncio.TaskGroup() as group:
            self._supervision.start(group, self._watcher)
            # Its Events, not its alerts, are also of an operator that cannot read the stream yet.
            self._supervision.start(group, self._news)
            await self._memory.load()
            group.create_task(Heap(self.reader.first_proof).run(), name="Heap")
            for part in (
                self.reader, self._evidence, self._handover, self._memory,
                self._projector, self._sweep, self._config_push, self._housekeeping,
            ):  # fmt: skip
                self._supervision.start(group, part)

    async def _restore(self) -> None:
        trouble = RepeatLog(_log, "cannot_list_objects")
        while True:
            try:
                await self._sweep.once()
            except KubeError as error:
                self._cannot_list = f"{error}{HINTS.get(error.status, '')}"
                trouble.failed(error=self._cannot_list)
                await asyncio.sleep(retry_delay(error))
            else:
                self._cannot_list = None
                trouble.recovered()
                _log.info("restored", objects=sum(1 for _ in self.registry.objects()))
                return

    def _ready(self) -> bool:
        return self._handover.ready()

    def _trouble(self) -> dict[str, str | None]:
        return {
            "stream": self._memory.trouble,
            "objects": self._cannot_list
            or self._watcher.trouble
            or self._projector.trouble
            or self._sweep.trouble,
            "lease": self.leadership.trouble,
            "parts": self._supervision.trouble,
        }

    def _removed(self, record: NodeRecord, reason: str) -> None:
        self._news.recorder.tell("Removed", f"{record.name}: {reason}", record=record)

    def _log(self, record: NodeRecord, before: Liveness) -> None:
        live = record.live
        self.metrics.moved(live.state, live.reason)
        _log.info(
            "transition",
            node=record.node_id,
            before=before.state,
            state=live.state,
            reason=live.reason,
            message=live.message,
        )
