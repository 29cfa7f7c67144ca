"""What situations of a node are made of: GPUs, what was given, what runs, who holds."""

from collections.abc import Iterable
from dataclasses import dataclass

from citadel_k8s.domain.attribution import Attribution, attribute
from citadel_k8s.models.readings import (
    Allocation,
    Gpu,
    GpuProcess,
    Holder,
    MigInstance,
    Pod,
    Pods,
    Process,
    Processes,
)

GIB = 2**30
NOW = 1_000.0
EARLIER = 400.0


def uuid(number: int, kind: str = "GPU") -> str:
    return f"{kind}-{number:08x}-0000-4000-8000-000000000000"


G0, G1 = uuid(0), uuid(1)
M0, M1 = uuid(0, "MIG"), uuid(1, "MIG")
MIGS = (
    MigInstance(M0, "1g.10gb", gpu_instance_id=7, compute_instance_id=0),
    MigInstance(M1, "1g.10gb", gpu_instance_id=8, compute_instance_id=0),
)


def on(pid: int, memory: int | None = GIB, kind: str = "compute", **where: int) -> GpuProcess:
    return GpuProcess(pid, kind, memory, **where)


def gpu(*processes: GpuProcess, index: int = 0, **more: object) -> Gpu:
    values: dict[str, object] = {"uuid": uuid(index), "processes": processes} | more
    return Gpu(index, **values)  # type: ignore[arg-type]


def given(
    pod: str,
    *devices: str,
    resource: str = "nvidia.com/gpu",
    container: str = "main",
    namespace: str = "ns",
    claim: str | None = None,
) -> Allocation:
    return Allocation(namespace, pod, container, resource, devices, claim)


def uid(pod: str, namespace: str = "ns") -> str:
    return f"uid-{namespace}-{pod}"


def named(*pods: str, namespace: str = "ns") -> tuple[Pod, ...]:
    return tuple(
        Pod(uid(p, namespace), namespace, p, ((f"{p}-main", "main"), (f"{p}-side", "side")))
        for p in pods
    )


def runs(
    pid: int, pod: str | None, *, namespace: str = "ns", container: str = "main", started: int = 1
) -> Process:
    if pod is None:
        return Process(pid, started)
    return Process(
        pid, started, pod_uid=uid(pod, namespace), container_id=f"{pod}-{container}", name="python3"
    )


def held(
    pod: str | None = None,
    how: str = "exclusive",
    device: str = G0,
    *pids: int,
    memory: int | None = 0,
    idle: float | None = None,
    container: str | None = "main",
    namespace: str | None = "ns",
    by_uid: str | None = "",
) -> Holder:
    if pod is None:
        namespace, container = None, None
    known = (uid(pod, namespace) if pod and namespace else None) if by_uid == "" else by_uid
    size = len(pids) * GIB if memory == 0 and pids else memory
    return Holder(device, how, namespace, pod, known, container, pids, size, idle)


@dataclass(frozen=True)
class Scenario:
    says: str
    gpus: tuple[Gpu, ...]
    pods: Pods | None
    processes: tuple[Process, ...] | None
    expected: dict[int, tuple[Holder, ...]]
    before: Attribution | None = None
    again: bool = False
    """Whether it was the same at an earlier look."""

    def run(self) -> Attribution:
        processes = None if self.processes is None else Processes(self.processes)
        before = self.before
        if self.again:
            before = attribute(self.gpus, self.pods, processes, before, EARLIER)
        return attribute(self.gpus, self.pods, processes, before, NOW)


def case(
    says: str,
    gpus: Iterable[Gpu],
    *,
    names: tuple[Pod, ...] = (),
    allocations: tuple[Allocation, ...] | None = (),
    processes: tuple[Process, ...] | None = (),
    expected: dict[int, tuple[Holder, ...]],
    before: Attribution | None = None,
    again: bool = False,
) -> Scenario:
    pods = Pods(names, allocations)
    return Scenario(says, tuple(gpus), pods, processes, expected, before, again)


def idle_before() -> Attribution:
    return attribute([gpu()], Pods(named("a"), (given("a", G0),)), Processes(), None, EARLIER)


A, B = named("a"), named("b")
SHARED = "nvidia.com/gpu.shared"
CLAIM = "gpu.nvidia.com"
