"""Everything that the agent knows of its node, and what of it is worth telling at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from citadel_k8s.constants import HEARTBEAT_INTERVAL
from citadel_k8s.domain import intake
from citadel_k8s.domain.attribution import Attribution, attribute
from citadel_k8s.domain.engineplaces import engines_on_gpus
from citadel_k8s.domain.gpuhealth import judge, usual_links
from citadel_k8s.domain.known import NOTHING, Known, rounded_age, state_of
from citadel_k8s.domain.owners import PodNames
from citadel_k8s.domain.seen import SeenGpu, ToldGpu, see, tell, were_reset
from citadel_k8s.domain.xidlog import XidLog
from citadel_k8s.models.readings import (
    Absent,
    ContainerUsage,
    Engine,
    Failed,
    Gpu,
    GpuEvent,
    Gpus,
    Holder,
    Host,
    Outcome,
    Pods,
    Process,
    Processes,
    Reading,
)

KNOWN_INTERVALS: Final = 3
"""Heartbeat intervals for which pods and processes are believed after they were last read: a pod
may be gone, and its process' number somebody else's."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the agent knows, ready to be told.

    Attributes
    ----------
    host, gpus, drm, engines, pods, processes, containers
        The sources. ``gpus`` are those of NVIDIA's driver, ``drm`` those of other makers.
    seen, drm_seen
        Each GPU's memory.
    xids
        The errors that NVIDIA's driver told by itself.
    told
        All GPUs with their verdicts, NVIDIA's first, as of the last answer of any source.
    attribution, holders
        Who holds what; and by each GPU's index, which is missing where that is not known.
    owners, names
        The processes by number, and the pods and containers that they are in.
    services
        The engines with the GPUs that they use; None where it is not known which there are.
    interval
        Seconds between heartbeats.
    cut
        The sources of whose last answer not all was taken.
    """

    host: Known[Host] = NOTHING
    gpus: Known[Gpus] = NOTHING
    drm: Known[Gpus] = NOTHING
    engines: Known[tuple[Engine, ...]] = NOTHING
    pods: Known[Pods] = NOTHING
    processes: Known[Processes] = NOTHING
    containers: Known[tuple[ContainerUsage, ...]] = NOTHING
    seen: tuple[SeenGpu, ...] = ()
    drm_seen: tuple[SeenGpu, ...] = ()
    xids: XidLog = field(default_factory=XidLog)
    told: tuple[ToldGpu, ...] = ()
    attribution: Attribution | None = None
    holders: Mapping[int, tuple[Holder, ...]] = field(default_factory=dict[int, tuple[Holder, ...]])
    owners: Mapping[int, Process] = field(default_factory=dict[int, Process])
    names: PodNames = field(default_factory=lambda: PodNames(()))
    services: tuple[Engine, ...] | None = None
    interval: float = HEARTBEAT_INTERVAL
    cut: frozenset[str] = frozenset()

    def learn_host(self, outcome: Outcome[Host], *, at: float, duration: float) -> "Snapshot":
        """Give the snapshot after this answer about the host."""
        return replace(self, host=self.host.learn(outcome, at=at, duration=duration))

    def learn_gpus(self, outcome: Outcome[Gpus], *, at: float, duration: float) -> "Snapshot":
        """Give the snapshot after this answer about NVIDIA's GPUs."""
        taken = intake.gpus(outcome)
        known, seen, xids = self.gpus.learn(taken, at=at, duration=duration), self.seen, self.xids
        if isinstance(taken, Reading):
            seen = see(self.seen, taken.value.gpus, at)
            for key in were_reset(self.seen, seen, reloaded=self._reloaded(taken.value)):
                xids = xids.clear(key)
        after = replace(
            self, gpus=known, seen=seen, xids=xids, cut=self._cut("gpus", outcome, taken)
        )
        return after.judged(at).attributed(at)

    def learn_drm(self, outcome: Outcome[Gpus], *, at: float, duration: float) -> "Snapshot":
        """Give the snapshot after this answer about the GPUs of other makers."""
        taken = intake.gpus(outcome)
        known, seen = self.drm.learn(taken, at=at, duration=duration), self.drm_seen
        if isinstance(taken, Reading):
            seen = see(self.drm_seen, taken.value.gpus, at)
        after = replace(self, drm=known, drm_seen=seen, cut=self._cut("drm", outcome, taken))
        return after.judged(at).attributed(at)

    def learn_engines(
        self, outcome: Outcome[tuple[Engine, ...]], *, at: float, duration: float
    ) -> "Snapshot":
        """Give the snapshot after this answer about the services."""
        taken = intake.engines(outcome)
        known = self.engines.learn(taken, at=at, duration=duration)
        return replace(self, engines=known, cut=self._cut("engines", outcome, taken)).served(at)

    def learn_pods(self, outcome: Outcome[Pods], *, at: float, duration: float) -> "Snapshot":
        """Give the snapshot after this answer about the pods."""
        taken = intake.pods(outcome)
        known = self.pods.learn(taken, at=at, duration=duration)
        after = replace(self, pods=known, cut=self._cut("pods", outcome, taken))
        if known.good is None or known.good == self.pods.good:
            return after
        return replace(after, names=PodNames(known.good.pods)).attributed(at)

    def learn_processes(
        self, outcome: Outcome[Processes], *, at: float, duration: float
    ) -> "Snapshot":
        """Give the snapshot after this answer about the processes."""
        taken = intake.processes(outcome)
        known = self.processes.learn(taken, at=at, duration=duration)
        after = replace(self, processes=known, cut=self._cut("processes", outcome, taken))
        return after if known.good == self.processes.good else after.attributed(at)

    def learn_containers(
        self, outcome: Outcome[tuple[ContainerUsage, ...]], *, at: float, duration: float
    ) -> "Snapshot":
        """Give the snapshot after this answer about the containers."""
        taken = intake.containers(outcome)
        known = self.containers.learn(taken, at=at, duration=duration)
        return replace(self, containers=known, cut=self._cut("containers", outcome, taken))

    def learn_event(self, event: GpuEvent, *, at: float, date: float) -> "Snapshot":
        """Give the snapshot after what the driver told by itself at this date."""
        return self.learn_events((event,), at=at, date=date)

    def learn_events(self, events: Sequence[GpuEvent], *, at: float, date: float) -> "Snapshot":
        """Give the snapshot after several of them, judged once: a storm has thousands."""
        xids = self.xids
        for event in events:
            named = replace(event, uuid=event.uuid or self._uuid_of(event.index))
            xids = xids.learn(named, at=at, date=date)
        return replace(self, xids=xids).judged(at)

    def judged(self, at: float) -> "Snapshot":
        """Give the snapshot with the verdicts of this moment."""
        nvidia = tell(self.seen, self.gpus.outcome)
        others = tell(self.drm_seen, self.drm.outcome)
        start = max((one.gpu.index for one in nvidia), default=-1) + 1
        moved = (replace(one, gpu=replace(one.gpu, index=start + one.gpu.index)) for one in others)
        merged = (*nvidia, *moved)
        return replace(self, told=tuple(self._judge(one, merged, at) for one in merged))

    def attributed(self, at: float) -> "Snapshot":
        """Give the snapshot with everybody's GPUs as of this moment."""
        limit = KNOWN_INTERVALS * self.interval
        gpus, pods = gpus_now(self, at), self.pods.fresh(at, limit)
        processes = self.processes.fresh(at, limit)
        attribution = attribute(
            gpus, pods, processes, self.attribution, at, granted_at=self.pods.good_at
        )
        owners = {process.pid: process for process in processes.processes} if processes else {}
        return replace(
            self,
            attribution=attribution,
            holders=dict(attribution.holders),
            owners=owners,
        ).served(at)

    def served(self, at: float) -> "Snapshot":
        """Give the snapshot with the GPUs and pods of its services."""
        if self.engines.good is None:
            return self
        attribution = self.attribution or Attribution()
        gpus = gpus_now(self, at) if self.gpus_known else None
        processes = self.processes.fresh(at, KNOWN_INTERVALS * self.interval)
        services = engines_on_gpus(self.engines.good, gpus, processes, attribution)
        return replace(self, services=services)

    def known_containers(self, now: float) -> tuple[ContainerUsage, ...] | None:
        """Give the containers without the pods' sandboxes; None where nobody looked.

        What has no name in a pod whose containers have names is the sandbox, or is named by the
        next reading of the pods; without a recent one nobody can tell.
        """
        containers, limit = self.containers.good, KNOWN_INTERVALS * self.interval
        if containers is None or self.pods.fresh(now, limit) is None:
            return containers
        return tuple(one for one in containers if not self._is_sandbox(one))

    def _is_sandbox(self, one: ContainerUsage) -> bool:
        pod = self.names.pod(one.pod_uid)
        named = pod is not None and bool(pod.containers)
        return named and self.names.container(one.container_id) is None

    @property
    def gpus_known(self) -> bool:
        """Whether it is known which GPUs there are, none included."""
        nvidia, others = self.gpus.outcome, self.drm.outcome
        # That there is no GPU of one maker says nothing of those whose driver gives no answer.
        sure = isinstance(nvidia, Reading | Absent) and not isinstance(others, Failed)
        return bool(self.told) or sure

    @property
    def complete(self) -> bool:
        """Whether every source that no node lacks has answered at least once."""
        return None not in (self.host.outcome, self.gpus.outcome, self.engines.outcome)

    def _judge(self, one: ToldGpu, all_of_them: Sequence[ToldGpu], at: float) -> ToldGpu:
        counts = self.xids.counts(one.key)
        gpu = replace(one.gpu, xids=counts) if counts else one.gpu
        active = self.xids.active(one.key, at, self.interval) if counts else ()
        links = usual_links([other.gpu for other in all_of_them], gpu.name) if gpu.nvlinks else 0
        return replace(one, gpu=judge(gpu, one.history, active, now=at, links=links))

    def _cut(self, source: str, outcome: object, taken: object) -> frozenset[str]:
        return self.cut - {source} if taken is outcome else self.cut | {source}

    def _reloaded(self, now: Gpus) -> bool:
        before = None if self.gpus.good is None else self.gpus.good.driver
        return None not in {before, now.driver} and before != now.driver

    def _uuid_of(self, index: int | None) -> str | None:
        found = (s for s in self.seen if s.last.index == index)
        return next((uuid for s in found if (uuid := (s.good or s.last).uuid)), None)


class Change(IntEnum):
    """How urgent a change is: hard ones stand, soft ones are to be confirmed."""

    NONE = 0
    SOFT = 1
    HARD = 2


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is worth telling at once when it changes."""

    hard: tuple[object, ...]
    soft: tuple[object, ...]

    def change_to(self, after: "Fingerprint") -> Change:
        """Say how urgent the change from here to there is."""
        if self.hard != after.hard:
            return Change.HARD
        return Change.SOFT if self.soft != after.soft else Change.NONE


def fingerprint(snapshot: Snapshot) -> Fingerprint:
    """Give what of a snapshot is worth telling at once.

    Hard is what is certain the moment it is seen: a GPU's fault or recovery, an error that the
    driver tells, a service that came or went. Soft is what one slow answer can feign: a service's
    health and its models. Measures, processes and holders wait for the grid.
    """
    engines = () if snapshot.engines.good is None else snapshot.engines.good
    return Fingerprint(
        hard=(
            state_of(snapshot.gpus.outcome),
            state_of(snapshot.drm.outcome),
            tuple(_gpu_print(one.gpu) for one in snapshot.told),
            snapshot.xids.marks(),
            tuple(sorted((e.name, e.status) for e in engines)),
        ),
        soft=(
            state_of(snapshot.engines.outcome),
            tuple(sorted((e.name, e.health, e.reason or "", e.models or ()) for e in engines)),
        ),
    )


def gpus_now(snapshot: Snapshot, now: float) -> tuple[Gpu, ...]:
    """Give each GPU with its fresh values, or with the last good ones, their age and the reason."""
    return tuple(
        one.gpu if one.since is None else replace(one.gpu, age_seconds=rounded_age(one.since, now))
        for one in snapshot.told
    )


def _gpu_print(gpu: Gpu) -> tuple[object, ...]:
    # What an application did is told when it happens; that it is over can wait for the grid.
    lasting = (v.reason for v in gpu.verdicts if v.cause != "application" and v.severity != "info")
    return (gpu.index, gpu.uuid, gpu.health, gpu.reason, tuple(sorted(lasting)))
