"""A node on which everything comes and goes: pods, containers, processes and engines."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from bench._agent import GPUS, MIB, container_of, uid_of
from citadel_k8s.models.readings import (
    Allocation,
    ContainerUsage,
    Engine,
    GpuEvent,
    Gpus,
    Outcome,
    Pod,
    Pods,
    Process,
    Processes,
    Reading,
)
from citadel_k8s.models.wire import StatusMessage
from tests.unit.collectors import trees

PODS = 32
ENGINES = 4

CHURN = 5
"""Pods replaced in each cycle: a busy node replaces one or two a minute, not thirty."""

XIDS = (13, 31, 43, 45)
"""Errors that the driver tells, over and over."""

T = TypeVar("T")


class Nowhere:
    """A publisher that keeps nothing."""

    transport = "nowhere"

    def __init__(self) -> None:
        self.bytes = 0

    async def publish(self, message: StatusMessage) -> None:
        """Forget it."""

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Given(Generic[T]):
    """A collector that gives what it was told to."""

    name: str
    outcome: Outcome[T]

    async def collect(self) -> Outcome[T]:
        """Give it."""
        return self.outcome

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Node:
    """What is on the node now; ``root`` is its file system, ``nvml`` its driver."""

    nvml: Any
    root: Path
    born: int = 0
    alive: list[int] = field(default_factory=list[int])
    listed: dict[int, str] = field(default_factory=dict[int, str])

    def __post_init__(self) -> None:
        for _ in range(PODS):
            self._bear()

    def churn(self) -> None:
        """Let the oldest pods make room for new ones, with processes of new numbers."""
        self.alive = self.alive[CHURN:]
        for _ in range(CHURN):
            self._bear()

    def load(self) -> None:
        """Let the driver name the processes of now."""
        for index in range(GPUS):
            mine = [n for n in self.alive if n % GPUS == index]
            self.nvml.processes(index, [(_pid(n), 4096 * MIB) for n in mine])

    def contain(self) -> None:
        """Let the file system have the containers of now."""
        for number in set(self.listed) - set(self.alive):
            path = (self.root / "sys/fs/cgroup" / self.listed.pop(number).strip("/")).parent
            shutil.rmtree(path)
        for number in set(self.alive) - set(self.listed):
            path = trees.cgroup_path(uid_of(number), container_of(number))
            trees.container(self.root, path, cpu_usec=10**9, current=250 * MIB)
            self.listed[number] = path

    def pods(self) -> Pods:
        """Give the pods with the GPUs that they were given."""
        held = tuple(
            Allocation("ns", _name(n), "main", "nvidia.com/gpu", (self._uuid(n),))
            for n in self.alive
        )
        pods = tuple(
            Pod(uid_of(n), "ns", _name(n), ((container_of(n), "main"),), labels=(("app", "job"),))
            for n in self.alive
        )
        return Pods(pods, held, (("nvidia.com/gpu", tuple(map(self._uuid, range(GPUS)))),))

    def processes(self) -> Processes:
        """Give the processes, each in a container."""
        return Processes(
            tuple(
                Process(_pid(n), n, "python3", f"python3 job-{n}.py", (1,), uid_of(n),
                        container_of(n))
                for n in self.alive
            )
        )  # fmt: skip

    def containers(self) -> tuple[ContainerUsage, ...]:
        """Give what the containers use."""
        return tuple(
            ContainerUsage(uid_of(n), container_of(n), 10.0 + n, 0.5, 2.0, 200 * MIB, 512 * MIB, 0)
            for n in self.alive
        )

    def engines(self) -> tuple[Engine, ...]:
        """Give the engines, which run in the youngest pods."""
        return tuple(
            Engine(f"vllm-{n}", "llm", "running", "ok", "vllm", 8000 + n % 1000, (f"model-{n}",),
                   1.0, 0.0, pid=_pid(n), pod_uid=uid_of(n), pod=_name(n), namespace="ns")
            for n in self.alive[-ENGINES:]
        )  # fmt: skip

    def gpus(self, read: Gpus) -> Gpus:
        """Give GPUs that were read with the processes of now."""
        mine: list[list[int]] = [[] for _ in range(GPUS)]
        for number in self.alive:
            mine[number % GPUS].append(_pid(number))
        return replace(
            read,
            gpus=tuple(
                replace(
                    gpu,
                    processes=tuple(
                        replace(one, pid=pid)
                        for one, pid in zip(gpu.processes or (), mine[gpu.index], strict=False)
                    ),
                )
                for gpu in read.gpus
            ),
        )

    def event(self, cycle: int) -> GpuEvent:
        """Give an error that the driver tells."""
        index = cycle % GPUS
        return GpuEvent("xid", index, self._uuid(index), XIDS[cycle // GPUS % len(XIDS)])

    def _uuid(self, number: int) -> str:
        return str(self.nvml.gpu(number % GPUS).uuid.decode())

    def _bear(self) -> None:
        self.alive.append(self.born)
        self.born += 1


def _pid(number: int) -> int:
    # Numbers beyond what the kernel gives out, so that none is a real process.
    return 5_000_000 + number


def _name(number: int) -> str:
    return f"job-{number:08d}"


def reading(value: T) -> Reading[T]:
    """Give an answer."""
    return Reading(value)
