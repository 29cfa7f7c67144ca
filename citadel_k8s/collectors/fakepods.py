"""Pods and processes that fit pretended GPUs: who holds which, and who holds one for nothing."""

from collections.abc import Iterator
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.collectors.fakeload import FakeNode, Job, number
from citadel_k8s.models.readings import (
    Allocation,
    ContainerUsage,
    Outcome,
    Pod,
    Pods,
    Process,
    Processes,
    Reading,
)

RESOURCE: Final = "nvidia.com/gpu"
"""Under which the pretended kubelet gives GPUs."""

_GIB: Final = 1024**3


class FakePods:
    """Pretended pods, and the GPUs that were given to them.

    Parameters
    ----------
    spec, node : str
        As for `citadel_k8s.collectors.fake.FakeGpus`.
    """

    name = "pods"

    def __init__(self, spec: str, node: str) -> None:
        fake = FakeNode(spec, node)
        jobs = [job for job in fake.jobs if job.pod_uid is not None]
        self._pods = Pods(
            pods=tuple(_pod(job) for job in jobs),
            allocations=tuple(_allocation(job, fake) for job in jobs),
            allocatable=((RESOURCE, fake.uuids),),
        )

    async def collect(self) -> Outcome[Pods]:
        """Give the pods; they are always the same."""
        return Reading(self._pods)

    async def close(self) -> None:
        """Nothing to let go of."""


class FakeProcesses:
    """Pretended processes: those on the pretended GPUs, and the programs that started them.

    Parameters
    ----------
    spec, node : str
        As for `citadel_k8s.collectors.fake.FakeGpus`.
    """

    name = "processes"

    def __init__(self, spec: str, node: str) -> None:
        jobs = FakeNode(spec, node).jobs
        self._processes = Processes(tuple(one for job in jobs for one in _processes(job)))

    async def collect(self) -> Outcome[Processes]:
        """Give the processes; they are always the same."""
        return Reading(self._processes)

    async def close(self) -> None:
        """Nothing to let go of."""


class FakeContainers:
    """What pretended containers use of the host.

    Parameters
    ----------
    spec, node, clock
        As for `citadel_k8s.collectors.fake.FakeGpus`.
    """

    name = "containers"

    def __init__(self, spec: str, node: str, clock: Clock) -> None:
        self._node = FakeNode(spec, node)
        self._clock = clock

    async def collect(self) -> Outcome[tuple[ContainerUsage, ...]]:
        """Give what each container uses now."""
        now = self._clock.now()
        return Reading(tuple(self._usages(now)))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _usages(self, now: float) -> Iterator[ContainerUsage]:
        for job in self._node.jobs:
            if job.pod_uid is None or job.container_id is None:
                continue
            wave, cores = self._node.wave(job), 1.2 * len(job.gpus) if job.workers else 0.02
            yield ContainerUsage(
                pod_uid=job.pod_uid,
                container_id=job.container_id,
                cpu_seconds=round(wave.seconds(now) * cores, 3),
                cpu_cores=round(wave.at(now) * cores, 3),
                cpu_limit_cores=float(4 * len(job.gpus)),
                working_set_bytes=int((6.5 * len(job.gpus) if job.workers else 0.4) * _GIB),
                memory_limit_bytes=32 * len(job.gpus) * _GIB,
                oom_kills=0,
            )


def _pod(job: Job) -> Pod:
    return Pod(
        uid=job.pod_uid or "",
        namespace=job.namespace or "",
        name=job.pod or "",
        containers=((job.container_id or "", job.name),),
        labels=(("app.kubernetes.io/name", job.name),),
        restarts=((job.name, job.restarts),),
    )


def _allocation(job: Job, node: FakeNode) -> Allocation:
    return Allocation(
        namespace=job.namespace or "",
        pod=job.pod or "",
        container=job.name,
        resource=RESOURCE,
        devices=tuple(node.uuids[index] for index in job.gpus),
    )


def _processes(job: Job) -> Iterator[Process]:
    started = 4000 + number(job.command) % 90_000
    place = (job.pod_uid, job.container_id)
    yield Process(job.pid, started, job.name, job.command, (), *place)
    for rank, index in enumerate(job.gpus if job.workers else ()):
        name = f"{job.workers}{rank}" if job.workers == "VLLM::Worker_TP" else job.workers
        yield Process(job.worker(index), started + 900, name, name, (job.pid,), *place)
