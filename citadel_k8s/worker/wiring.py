"""Makes the worker's parts and introduces them to each other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.clients.headscale import Headscale
from citadel_k8s.config.server import WorkerSettings
from citadel_k8s.domain.buckets import Sample
from citadel_k8s.domain.ingest import Word
from citadel_k8s.domain.life import Policy
from citadel_k8s.errors import ConfigError, StreamError
from citadel_k8s.stores.postgres.history import HistoryTable
from citadel_k8s.stores.postgres.ingests import Ingests
from citadel_k8s.stores.postgres.meshnodes import MeshNodes
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.statuses import Statuses
from citadel_k8s.stores.postgres.sweeps import Sweeps
from citadel_k8s.telemetry.log import get_logger
from citadel_k8s.telemetry.supervision import Part, Supervision
from citadel_k8s.worker.claiming import Claims
from citadel_k8s.worker.connections import Connections, OrgBook
from citadel_k8s.worker.history import History
from citadel_k8s.worker.housekeeping import Housekeeping, rounds
from citadel_k8s.worker.judging import Judge
from citadel_k8s.worker.looking import PROOF_MAX, Looker
from citadel_k8s.worker.mesh import Mesh
from citadel_k8s.worker.metrics import WorkerMetrics
from citadel_k8s.worker.reading import Reader
from citadel_k8s.worker.sweeping import Sweep
from citadel_k8s.worker.telling import Teller
from citadel_k8s.worker.tenancy import Tenancy
from citadel_k8s.worker.writing import Writer

_log = get_logger("worker")

STOP_SECONDS: Final = 4.0
"""Seconds to finish a batch when told to stop; a second less than a worker may take in all."""

FLUSH_SECONDS: Final = 0.5
"""Seconds to write down the figures of the last moments when told to stop."""

TURN_LATE: Final = 30.0
"""Seconds without a turn of the reader after which it counts as hung and the pod is to be
restarted: three times what one transaction may take."""


@dataclass(slots=True)
class Curves:
    """Hands messages to the history."""

    history: History

    def add(self, words: Sequence[Word]) -> None:
        """Take messages into account; cheap."""
        self.history.add(
            Sample(word.org_id, word.node_id, word.position.ms, word.pulse) for word in words
        )


@dataclass(slots=True)
class WorkerProbes:
    """What the probes look at."""

    reader: Reader
    looker: Looker
    troubles: Callable[[], Mapping[str, str | None]]
    clock: Clock

    def live(self) -> dict[str, Any]:
        """Say whether the reader turns; its servers are not its fault."""
        turned = self.reader.turned_at
        age = None if turned is None else self.clock.monotonic() - turned
        return {"ok": age is not None and age < TURN_LATE, "turnAgeSeconds": age}

    def ready(self) -> dict[str, Any]:
        """Say whether what comes is taken in."""
        age = self.looker.proof_age()
        missing = dict(self.troubles())
        if age is None or age > PROOF_MAX:
            missing["stream"] = self.looker.trouble or "not looked at yet"
        known = self.looker.known
        return {
            "ok": not any(missing.values()),
            "missing": {part: why for part, why in missing.items() if why},
            "proofAgeSeconds": age,
            "frontierMs": None if known is None else known.frontier_ms,
        }


def policy_of(settings: WorkerSettings) -> Policy:
    """Give how long silence is borne of nodes that name no interval."""
    return Policy(settings.interval_seconds, settings.missed_heartbeats, settings.skew_seconds)


def make_writer(
    settings: WorkerSettings,
    connections: Connections,
    clock: Clock,
    metrics: WorkerMetrics,
    history: Curves | None = None,
) -> Writer:
    """Give what takes entries in, with its own look at the stream."""
    database, policy = connections.database, policy_of(settings)
    looker = Looker(connections.group, Ingests(database), clock, metrics)
    tenancy = Tenancy(OrgBook(Orgs(database)), settings.org_id, clock)
    return Writer(
        judge=Judge(tenancy),
        statuses=Statuses(database, policy),
        letters=connections.letters,
        teller=Teller(connections.streams, metrics),
        looker=looker,
        metrics=metrics,
        clock=clock,
        interval=policy.interval,
        adopt=settings.adopt_nodes,
        history=history,
    )


class Worker:
    """All parts of one worker.

    Parameters
    ----------
    settings : WorkerSettings
        As loaded.
    connections : Connections
        Redis and PostgreSQL.
    clock : Clock or None
        The machine's own if None.
    """

    def __init__(
        self, settings: WorkerSettings, connections: Connections, clock: Clock | None = None
    ) -> None:
        self._clock = clock = clock or SystemClock()
        self.metrics = metrics = WorkerMetrics()
        database = connections.database
        self.history = History(HistoryTable(database), metrics=metrics)
        writer = make_writer(settings, connections, clock, metrics, Curves(self.history))
        self.looker = looker = writer.looker
        group = connections.group
        self.reader = reader = Reader(group, writer, clock, metrics, settings.batch)
        self.claims = Claims(
            group, reader, connections.letters, looker, metrics, clock, settings.trim
        )
        self.sweep = Sweep(Sweeps(database, policy_of(settings)), writer.teller, metrics, clock)
        self._group = group
        self._supervision = Supervision(clock, metrics, "worker")
        self._parts: list[Part] = [
            looker,
            self.claims,
            self.sweep,
            self.history,
            Housekeeping(rounds(database, clock, settings.retention), metrics=metrics),
            *_mesh(settings, connections, metrics),
        ]
        self.probes = WorkerProbes(reader, looker, self._troubles, clock)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then finish the batch, confirm it and leave."""
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(
                    self._supervision.keep(part, type(part).__name__), name=type(part).__name__
                )
                for part in (self.reader, *self._parts)
            ]
            await stop.wait()
            _log.info("stopping")
            self.reader.stopping.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self.reader.finished.wait()
            for task in running:
                task.cancel()
        await self._leave()

    async def _leave(self) -> None:
        with suppress(TimeoutError, StreamError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.history.flush()
                await self._group.leave()

    def _troubles(self) -> dict[str, str | None]:
        return {
            "entries": self.reader.trouble,
            "stream": self.looker.trouble,
            "parts": self._supervision.trouble,
        }


def _mesh(settings: WorkerSettings, connections: Connections, metrics: WorkerMetrics) -> list[Part]:
    """Give who asks the mesh for its machines, if it is to be asked."""
    mesh = settings.headscale
    if mesh.url is None:
        return []
    if mesh.api_key_file is None:
        raise ConfigError("the mesh's key is needed: set headscale.apiKeyFile")
    source = Headscale(mesh.url, mesh.api_key_file, ca_file=mesh.ca_file)
    store = MeshNodes(connections.database)
    return [
        Mesh(
            source,
            store,
            orgs=mesh.orgs,
            default_org=mesh.default_org,
            interval=mesh.interval_seconds,
            metrics=metrics,
        )
    ]
