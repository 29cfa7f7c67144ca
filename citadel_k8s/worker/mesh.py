"""The mesh's machines become nodes, so that those that never reported are seen to be missing."""

import asyncio
from collections.abc import Mapping
from typing import Final, NoReturn, Protocol

from citadel_k8s.aio.periodic import Ticker
from citadel_k8s.domain.mesh import Machine, MeshPlan, assigned
from citadel_k8s.errors import DatabaseError, MeshError
from citadel_k8s.telemetry.log import get_logger
from citadel_k8s.worker.metrics import WorkerMetrics

_log = get_logger("worker")

START_SECONDS: Final = 5.0
"""Seconds before the first look: what reports by itself is known by then."""


class Machines(Protocol):
    """Lists the mesh's machines, and how many could not be read; raises `MeshError`."""

    async def machines(self) -> tuple[list[Machine], int]:
        """List them."""
        ...


class MeshStore(Protocol):
    """Stores what was seen; raises `DatabaseError`."""

    async def store(self, seen: list[tuple[str, Machine]]) -> MeshPlan | None:
        """Store it; None if another worker does."""
        ...


class Mesh:
    """Looks at the mesh now and then; what fails changes nothing and is told once.

    Parameters
    ----------
    source, store
        Where machines come from, and where they go.
    orgs : mapping of str to str
        Orgs by the mesh's users.
    default_org : str or None
        Org of everybody else's machines; None leaves those out.
    interval : float
        Seconds between two looks.
    """

    def __init__(
        self,
        source: Machines,
        store: MeshStore,
        *,
        orgs: Mapping[str, str],
        default_org: str | None,
        interval: float,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._metrics = metrics or WorkerMetrics()
        self._source, self._store = source, store
        self._orgs, self._default = dict(orgs), default_org
        self._interval = interval
        self.machines: int | None = None
        self.without_org = 0
        self.unreadable = 0
        self.failures = 0
        self._failing = False

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        ticker = Ticker(self._interval)
        await asyncio.sleep(START_SECONDS)
        while True:
            await self.look()
            await ticker.wait()

    async def look(self) -> None:
        """Look once."""
        try:
            machines, self.unreadable = await self._source.machines()
            known, self.without_org = assigned(machines, self._orgs, self._default)
            changed = await self._store.store(known)
        except (MeshError, DatabaseError) as error:
            self.failures += 1
            self._metrics.mesh_looks.labels("failed").inc()
            if not self._failing:
                _log.warning("the mesh cannot be looked at", error=str(error))
            self._failing = True
            return
        self.machines = len(machines)
        self._metrics.mesh_looks.labels("done").inc()
        self._metrics.mesh_machines.labels("known").set(len(known))
        self._metrics.mesh_machines.labels("without_org").set(self.without_org)
        self._metrics.mesh_machines.labels("unreadable").set(self.unreadable)
        if self._failing:
            _log.info("the mesh can be looked at again", machines=len(machines))
        self._failing = False
        if changed is not None and (changed.delete or changed.left):
            _log.info("machines left the mesh", gone=len(changed.delete), left=len(changed.left))
