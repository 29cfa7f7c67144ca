"""The matrix: situations of a node, and who holds what in each. A fact that is told and is not so
counts against precision, one that is so and is not told against recall."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

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

    def run(self) -> Attribution:
        processes = None if self.processes is None else Processes(self.processes)
        return attribute(self.gpus, self.pods, processes, self.before, NOW)


def case(
    says: str,
    gpus: Iterable[Gpu],
    *,
    names: tuple[Pod, ...] = (),
    allocations: tuple[Allocation, ...] | None = (),
    processes: tuple[Process, ...] | None = (),
    expected: dict[int, tuple[Holder, ...]],
    before: Attribution | None = None,
) -> Scenario:
    pods = Pods(names, allocations)
    return Scenario(says, tuple(gpus), pods, processes, expected, before)


def idle_before() -> Attribution:
    return attribute([gpu()], Pods(named("a"), (given("a", G0),)), Processes(), None, EARLIER)


A, B = named("a"), named("b")
SHARED = "nvidia.com/gpu.shared"
CLAIM = "gpu.nvidia.com"

SCENARIOS = [
    case(
        "a pod that has a GPU for itself and uses it",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "exclusive", G0, 10),)},
    ),
    case(
        "two containers of one pod with a GPU each",
        [gpu(on(10)), gpu(on(11), index=1)],
        names=A,
        allocations=(given("a", G0), given("a", G1, container="side")),
        processes=(runs(10, "a"), runs(11, "a", container="side")),
        expected={
            0: (held("a", "exclusive", G0, 10),),
            1: (held("a", "exclusive", G1, 11, container="side"),),
        },
    ),
    case(
        "two containers of one pod that share a GPU by replicas",
        [gpu(on(10), on(11))],
        names=A,
        allocations=(given("a", f"{G0}::0"), given("a", f"{G0}::1", container="side")),
        processes=(runs(10, "a"), runs(11, "a", container="side")),
        expected={
            0: (
                held("a", "time-sliced", G0, 10),
                held("a", "time-sliced", G0, 11, container="side"),
            )
        },
    ),
    case(
        "a container that uses what another one of its pod was given",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a", container="side"),),
        expected={
            0: (
                held("a", "exclusive", G0, idle=0.0),
                held("a", "exclusive", G0, 10, container="side"),
            )
        },
    ),
    case(
        "a GPU in time slices, one of its pods at work and one not",
        [gpu(on(10))],
        names=A + B,
        allocations=(
            given("a", f"{G0}::0", resource=SHARED),
            given("b", f"{G0}::3", resource=SHARED),
        ),
        processes=(runs(10, "a"),),
        expected={
            0: (held("a", "time-sliced", G0, 10), held("b", "time-sliced", G0, idle=0.0)),
        },
    ),
    case(
        "two replicas of one GPU in one container, which are one use",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", f"{G0}::0", f"{G0}::1"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "time-sliced", G0, 10),)},
    ),
    case(
        "a GPU shared by MPS, whose server is nobody's use",
        [gpu(on(5), on(10, kind="mps"), on(11, kind="mps"))],
        names=A + B + named("mps-daemon"),
        allocations=(given("a", f"{G0}::0"), given("b", f"{G0}::1")),
        processes=(
            Process(5, 1, name="nvidia-cuda-mps", pod_uid=uid("mps-daemon")),
            runs(10, "a"),
            runs(11, "b"),
        ),
        expected={0: (held("a", "mps", G0, 10), held("b", "mps", G0, 11))},
    ),
    case(
        "a GPU shared by MPS that only the server is on, outside any pod",
        [gpu(on(5))],
        names=A,
        allocations=(given("a", f"{G0}::0"),),
        processes=(Process(5, 1, command="/usr/bin/nvidia-cuda-mps-server -f"),),
        expected={0: (held("a", "mps", G0, idle=0.0),)},
    ),
    case(
        "a MIG instance by its UUID",
        [gpu(on(10, gpu_instance_id=7, compute_instance_id=0), mig_enabled=True, mig=MIGS)],
        names=A + B,
        allocations=(
            given("a", M0, resource="nvidia.com/mig-1g.10gb"),
            given("b", M1, resource="nvidia.com/mig-1g.10gb"),
        ),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "mig", M0, 10), held("b", "mig", M1, idle=0.0))},
    ),
    case(
        "a MIG instance by the name that old drivers give it",
        [gpu(on(10, gpu_instance_id=7, compute_instance_id=0), mig_enabled=True, mig=MIGS)],
        names=A,
        allocations=(given("a", f"MIG-{G0}/7/0", resource="nvidia.com/mig-1g.10gb"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "mig", M0, 10),)},
    ),
    case(
        "a MIG instance by an old name that the driver does not list",
        [gpu(on(10, gpu_instance_id=1, compute_instance_id=0), mig_enabled=True)],
        names=A,
        allocations=(given("a", f"MIG-{G0}/1/0", resource="nvidia.com/mig-1g.10gb"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "mig", f"MIG-{G0}/1/0", 10),)},
    ),
    case(
        "two MIG instances in one container whose processes name their instance",
        [
            gpu(
                on(10, gpu_instance_id=7, compute_instance_id=0),
                on(11, gpu_instance_id=8, compute_instance_id=0),
                mig=MIGS,
            )
        ],
        names=A,
        allocations=(given("a", M0, M1, resource="nvidia.com/mig-1g.10gb"),),
        processes=(runs(10, "a"), runs(11, "a")),
        expected={0: (held("a", "mig", M0, 10), held("a", "mig", M1, 11))},
    ),
    case(
        "two MIG instances in one container and a process that names none",
        [gpu(on(10), mig=MIGS)],
        names=A,
        allocations=(given("a", M0, M1, resource="nvidia.com/mig-1g.10gb"),),
        processes=(runs(10, "a"),),
        expected={
            0: (
                held("a", "mig", M0, memory=None),
                held("a", "mig", M1, memory=None),
                held("a", "mig", G0, 10),
            )
        },
    ),
    case(
        "a pod in a MIG instance that another one was given",
        [gpu(on(10, gpu_instance_id=8, compute_instance_id=0), mig=MIGS)],
        names=A + B,
        allocations=(given("a", M0), given("b", M1)),
        processes=(runs(10, "a"),),
        expected={
            0: (
                held("a", "mig", M0, idle=0.0),
                held("b", "mig", M1, idle=0.0),
                held("a", "unallocated", M1, 10),
            )
        },
    ),
    case(
        "a MIG instance in time slices",
        [gpu(on(10, gpu_instance_id=7, compute_instance_id=0), mig=MIGS)],
        names=A,
        allocations=(given("a", f"{M0}::1", resource="nvidia.com/mig-1g.10gb.shared"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "time-sliced", M0, 10),)},
    ),
    case(
        "a whole GPU given although it is cut by MIG",
        [gpu(on(10, gpu_instance_id=7, compute_instance_id=0), mig_enabled=True, mig=MIGS)],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "exclusive", G0, 10),)},
    ),
    case(
        "a GPU of AMD, named by its address",
        [gpu(on(10), uuid="0xabc", vendor="amd", pci_bus_id="0000:0c:00.0")],
        names=A,
        allocations=(given("a", "0000:0c:00.0", resource="amd.com/gpu"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "exclusive", "0xabc", 10),)},
    ),
    case(
        "a GPU of Intel that two pods share, named by its card",
        [gpu(on(10), uuid=None, vendor="intel", minor=1)],
        names=A + B,
        allocations=(
            given("a", "card1-0", resource="gpu.intel.com/i915"),
            given("b", "card1-1", resource="gpu.intel.com/i915"),
            given("b", "card1-0", resource="gpu.intel.com/i915_monitoring"),
        ),
        processes=(runs(10, "a"),),
        expected={
            0: (held("a", "time-sliced", "0", 10), held("b", "time-sliced", "0", idle=0.0)),
        },
    ),
    case(
        "a claim for a GPU, named by the number of its node",
        [gpu(index=0, minor=1), gpu(on(10), index=1, minor=0)],
        names=A,
        allocations=(given("a", "gpu-0", resource=CLAIM, claim="mine"),),
        processes=(runs(10, "a"),),
        expected={0: (), 1: (held("a", "claim", G1, 10),)},
    ),
    case(
        "a claim named as the container runtime is told",
        [gpu(on(10))],
        names=A,
        allocations=(
            given(
                "a",
                "k8s.gpu.nvidia.com/claim=dab5ab50-d59a-42a6-af16-cfd4628c0f7a-gpu-0",
                resource=CLAIM,
                claim="mine",
            ),
        ),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "claim", G0, 10),)},
    ),
    case(
        "a claim for a part of a GPU",
        [gpu(on(10, gpu_instance_id=7, compute_instance_id=0), mig=MIGS)],
        names=A,
        allocations=(given("a", "gpu-0-mig-19-0-1", resource=CLAIM, claim="mine"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "claim", "gpu-0-mig-19-0-1", 10),)},
    ),
    case(
        "a claim that two pods share",
        [gpu(on(10), on(11))],
        names=A + B,
        allocations=(
            given("a", "gpu-0", resource=CLAIM, claim="ours"),
            given("b", "gpu-0", resource=CLAIM, claim="ours"),
        ),
        processes=(runs(10, "a"), runs(11, "b")),
        expected={0: (held("a", "claim", G0, 10), held("b", "claim", G0, 11))},
    ),
    case(
        "a claim with admin access beside the one of the user",
        [gpu(on(10))],
        names=A + named("monitor"),
        allocations=(
            given("a", "gpu-0", resource=CLAIM, claim="mine"),
            given("monitor", "gpu-0", resource=CLAIM, claim="all"),
        ),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "claim", G0, 10), held("monitor", "claim", G0, idle=0.0))},
    ),
    case(
        "a claim for a device that nobody can place, and its pod on a GPU",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", "gpu-17", resource=CLAIM, claim="mine"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "unknown", G0, 10),)},
    ),
    case(
        "a process outside any pod",
        [gpu(on(10))],
        processes=(runs(10, None),),
        expected={0: (held(None, "host", G0, 10),)},
    ),
    case(
        "a process outside any pod on a pod's GPU",
        [gpu(on(10), on(11))],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"), runs(11, None)),
        expected={0: (held("a", "exclusive", G0, 10), held(None, "host", G0, 11))},
    ),
    case(
        "a pod on a GPU that another pod was given",
        [gpu(on(10), on(11))],
        names=A + B,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"), runs(11, "b")),
        expected={0: (held("a", "exclusive", G0, 10), held("b", "unallocated", G0, 11))},
    ),
    case(
        "a pod on a second GPU beside the one that it was given",
        [gpu(on(10)), gpu(on(10), index=1)],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"),),
        expected={
            0: (held("a", "exclusive", G0, 10),),
            1: (held("a", "unallocated", G1, 10),),
        },
    ),
    case(
        "a GPU that was idle before and still is",
        [gpu()],
        names=A,
        allocations=(given("a", G0),),
        expected={0: (held("a", "exclusive", G0, idle=NOW - EARLIER),)},
        before=idle_before(),
    ),
    case(
        "a GPU that is idle at first sight",
        [gpu()],
        names=A,
        allocations=(given("a", G0),),
        expected={0: (held("a", "exclusive", G0, idle=0.0),)},
    ),
    case(
        "a GPU that was idle and is at work again",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "exclusive", G0, 10),)},
        before=idle_before(),
    ),
    case(
        "a GPU whose processes the driver hides, which is not idle",
        [gpu(processes=None)],
        names=A,
        allocations=(given("a", G0),),
        expected={0: (held("a", "exclusive", G0, memory=None),)},
        before=idle_before(),
    ),
    case(
        "a GPU whose values are of an earlier reading, which nobody can call idle",
        [gpu(age_seconds=60.0)],
        names=A,
        allocations=(given("a", G0),),
        expected={0: (held("a", "exclusive", G0, memory=None),)},
        before=idle_before(),
    ),
    case(
        "a number that was a pod's process and is now another one's",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, None, started=2),),
        expected={
            0: (held("a", "exclusive", G0, idle=0.0), held(None, "host", G0, 10)),
        },
        before=attribute(
            [gpu(on(10))],
            Pods(A, (given("a", G0),)),
            Processes((runs(10, "a", started=1),)),
            None,
            EARLIER,
        ),
    ),
    case(
        "a process whose cgroup could not be read",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", G0),),
        processes=(Process(10, 1, known=False),),
        expected={
            0: (held("a", "exclusive", G0, memory=None), held(None, "unknown", G0, 10)),
        },
    ),
    case(
        "a process that was gone before anybody looked",
        [gpu(on(10))],
        processes=(),
        expected={0: (held(None, "unknown", G0, 10),)},
    ),
    case(
        "processes that could not be looked at",
        [gpu(on(10), on(11))],
        names=A,
        allocations=(given("a", G0),),
        processes=None,
        expected={
            0: (held("a", "exclusive", G0, memory=None), held(None, "unknown", G0, 10, 11)),
        },
    ),
    case(
        "an unknown process in one MIG instance, which leaves the other idle",
        [gpu(on(10, gpu_instance_id=7, compute_instance_id=0), mig=MIGS)],
        names=A + B,
        allocations=(given("a", M0), given("b", M1)),
        processes=(Process(10, 1, known=False),),
        expected={
            0: (
                held("a", "mig", M0, memory=None),
                held("b", "mig", M1, idle=0.0),
                held(None, "unknown", M0, 10),
            )
        },
    ),
    case(
        "a pod that has run to its end, listed beside the one that has its GPU now",
        [gpu(on(10))],
        names=A + B,
        allocations=(given("b", G0), given("a", G0)),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "exclusive", G0, 10),)},
    ),
    case(
        "two pods listed for one GPU that neither uses",
        [gpu()],
        names=A + B,
        allocations=(given("b", G0), given("a", G0)),
        expected={
            0: (held("b", "unknown", G0, memory=None), held("a", "unknown", G0, memory=None)),
        },
    ),
    case(
        "a pod of which only the UID is known, on a GPU given to a pod of unknown UID",
        [gpu(on(10))],
        allocations=(given("a", G0),),
        processes=(runs(10, "a"),),
        expected={
            0: (
                held("a", "exclusive", G0, memory=None, by_uid=None),
                held(None, "unknown", G0, 10, by_uid=uid("a")),
            )
        },
    ),
    case(
        "a pod of which only the UID is known, on a GPU that nobody was given",
        [gpu(on(10))],
        processes=(runs(10, "a"),),
        expected={0: (held(None, "unallocated", G0, 10, by_uid=uid("a")),)},
    ),
    case(
        "a static pod, whose UID is a hash and has other separators in its cgroup",
        [gpu(on(10))],
        names=(Pod("0a1B-2c", "kube-system", "dcgm", (("c1", "dcgm"),)),),
        allocations=(given("dcgm", G0, namespace="kube-system", container="dcgm"),),
        processes=(Process(10, 1, pod_uid="0a1b_2c", container_id="containerd://c1"),),
        expected={
            0: (Holder(G0, "exclusive", "kube-system", "dcgm", "0a1b_2c", "dcgm", (10,), GIB),)
        },
    ),
    case(
        "a kubelet that does not answer: use by pods is told, by what right is not",
        [gpu(on(10), on(11))],
        names=A,
        allocations=None,
        processes=(runs(10, "a"), runs(11, None)),
        expected={0: (held("a", "process", G0, 10), held(None, "host", G0, 11))},
    ),
    case(
        "a kubelet that does not answer, and processes that are hidden: nothing is told",
        [gpu(processes=None)],
        allocations=None,
        processes=None,
        expected={},
    ),
    Scenario(
        "no Kubernetes at all",
        (gpu(on(10)), gpu(index=1)),
        None,
        (runs(10, None),),
        {0: (held(None, "host", G0, 10),), 1: ()},
    ),
    case(
        "one pod on two GPUs",
        [gpu(on(10)), gpu(on(10), on(11), index=1)],
        names=A,
        allocations=(given("a", G0, G1),),
        processes=(runs(10, "a"), runs(11, "a")),
        expected={
            0: (held("a", "exclusive", G0, 10),),
            1: (held("a", "exclusive", G1, 10, 11),),
        },
    ),
    case(
        "two pods of the same name in different namespaces",
        [gpu(on(10)), gpu(on(11), index=1)],
        names=A + named("a", namespace="other"),
        allocations=(given("a", G0), given("a", G1, namespace="other")),
        processes=(runs(10, "a"), runs(11, "a", namespace="other")),
        expected={
            0: (held("a", "exclusive", G0, 10),),
            1: (held("a", "exclusive", G1, 11, namespace="other"),),
        },
    ),
    case(
        "a GPU that nobody was given and nobody uses",
        [gpu()],
        names=A,
        expected={0: ()},
    ),
    case(
        "memory that is known of all but one of a pod's processes",
        [gpu(on(10), on(11, None))],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"), runs(11, "a")),
        expected={0: (held("a", "exclusive", G0, 10, 11, memory=None),)},
    ),
    case(
        "memory split between two pods of a shared GPU",
        [gpu(on(10, 3), on(11, 4), on(12, 5))],
        names=A + B,
        allocations=(given("a", f"{G0}::0"), given("b", f"{G0}::1")),
        processes=(runs(10, "a"), runs(11, "b"), runs(12, "b")),
        expected={
            0: (
                held("a", "time-sliced", G0, 10, memory=3),
                held("b", "time-sliced", G0, 11, 12, memory=9),
            )
        },
    ),
    case(
        "a process listed as computing and as drawing, counted once",
        [gpu(on(10), on(10, kind="graphics"))],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "exclusive", G0, 10),)},
    ),
    case(
        "a GPU that has another index since the machine booted anew",
        [gpu(index=0, uuid=G1), gpu(on(10), index=1, uuid=G0)],
        names=A,
        allocations=(given("a", G0),),
        processes=(runs(10, "a"),),
        expected={0: (), 1: (held("a", "exclusive", G0, 10),)},
    ),
    case(
        "a device named by its index",
        [gpu(), gpu(on(10), index=1)],
        names=A,
        allocations=(given("a", "1"),),
        processes=(runs(10, "a"),),
        expected={0: (), 1: (held("a", "exclusive", G1, 10),)},
    ),
    case(
        "devices that are no GPUs, with numbers for names",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", "0", resource="intel.com/sriov"), given("a", "0", resource="cpu")),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "unallocated", G0, 10),)},
    ),
    case(
        "a replica in the manner of another maker's plugin",
        [gpu(on(10))],
        names=A,
        allocations=(given("a", f"{G0}-3", resource="nvidia.com/gpu"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "time-sliced", G0, 10),)},
    ),
    case(
        "a GPU that was given and is lost",
        [gpu(index=1)],
        names=A,
        allocations=(given("a", G0),),
        expected={1: ()},
    ),
    case(
        "a pod before and after it was made anew under its name",
        [gpu(on(10))],
        names=(*A, Pod("uid-new", "ns", "a")),
        allocations=(given("a", G0),),
        processes=(Process(10, 1, pod_uid="uid-new"),),
        expected={0: (held("a", "exclusive", G0, 10, by_uid="uid-new"),)},
    ),
]

Fact = tuple[int, Holder | None]


def facts(holders: Iterable[tuple[int, tuple[Holder, ...]]]) -> set[Fact]:
    """Give what is told: that a GPU is known, and each of its holders with all that it says."""
    return {(index, holder) for index, held in holders for holder in (None, *held)}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.says)
def test_who_holds_what_is_told_of(scenario: Scenario) -> None:
    assert dict(scenario.run().holders) == scenario.expected


def test_precision_and_recall_are_whole_over_all_situations() -> None:
    right = told = true = 0
    for scenario in SCENARIOS:
        found, expected = facts(scenario.run().holders), facts(scenario.expected.items())
        right, told, true = right + len(found & expected), told + len(found), true + len(expected)
    assert len(SCENARIOS) >= 24
    assert (right / told, right / true) == (1.0, 1.0)


def test_the_order_in_which_pods_and_processes_are_told_changes_no_fact() -> None:
    for scenario in SCENARIOS:
        pods = scenario.pods
        if pods is None or scenario.processes is None:
            continue
        turned = Scenario(
            scenario.says,
            tuple(reversed(scenario.gpus)),
            Pods(pods.pods[::-1], pods.allocations and pods.allocations[::-1]),
            scenario.processes[::-1],
            scenario.expected,
            scenario.before,
        )
        assert facts(turned.run().holders) == facts(scenario.expected.items()), scenario.says


def test_the_server_of_mps_is_told_as_such() -> None:
    found = attribute(
        [gpu(on(5))], None, Processes((Process(5, 1, name="nvidia-cuda-mps"),)), None, 0
    )
    owner = found.owner(5)
    assert owner is not None
    assert owner.where == "mps"
    assert found.of(0) == ()


def test_processes_are_told_with_their_pod_and_container() -> None:
    found = attribute(
        [gpu(on(10), on(11), on(12))],
        Pods(A, ()),
        Processes((runs(10, "a"), runs(11, None))),
        None,
        0,
    )
    by_pid = {o.pid: (o.where, o.namespace, o.pod, o.container) for o in found.processes}
    assert by_pid == {
        10: ("pod", "ns", "a", "main"),
        11: ("host", None, None, None),
        12: ("unknown", None, None, None),
    }
    assert found.owner(99) is None


def test_what_nobody_can_place_is_told_apart() -> None:
    lost = given("a", "gpu-17", G0, resource=CLAIM, claim="mine")
    found = attribute(
        [gpu()], Pods(A, (lost, given("a", "eth0", resource="x.io/nic"))), None, None, 0
    )
    assert [(a.pod, a.devices) for a in found.unplaced] == [("a", ("gpu-17",))]


Step = Callable[[Attribution | None, float], Attribution]


def idle_after(*steps: Step) -> float | None:
    before: Attribution | None = None
    for number, step in enumerate(steps):
        before = step(before, number * 100.0)
    assert before is not None
    (holder,) = before.of(0) or ()
    return holder.idle_seconds


def quiet(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu()], Pods(A, (given("a", G0),)), Processes(), before, now)


def busy(before: Attribution | None, now: float) -> Attribution:
    look = Processes((runs(10, "a"),))
    return attribute([gpu(on(10))], Pods(A, (given("a", G0),)), look, before, now)


def kubelet_away(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu()], Pods(A, None), Processes(), before, now)


def hidden(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu(processes=None)], Pods(A, (given("a", G0),)), None, before, now)


def away_and_busy(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu(on(10))], Pods(A, None), Processes((runs(10, "a"),)), before, now)


def moved(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu(index=3, uuid=G0)], Pods(A, (given("a", G0),)), None, before, now)


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        ([quiet], 0.0),
        ([quiet, quiet, quiet], 200.0),
        ([busy, quiet], 0.0),
        ([quiet, busy, quiet, quiet], 100.0),
        ([quiet, kubelet_away, quiet], 200.0),
        ([quiet, away_and_busy, quiet], 0.0),
        ([quiet, hidden, quiet], 0.0),
    ],
    ids=[
        "begins at first sight",
        "grows",
        "begins when the last process is gone",
        "begins anew after use",
        "outlives a kubelet that restarts",
        "ends with a use that was seen while the kubelet was away",
        "begins anew where nobody could look",
    ],
)
def test_the_time_that_a_gpu_is_idle(steps: list[Step], seconds: float) -> None:
    assert idle_after(*steps) == seconds


def test_idle_time_goes_with_the_gpu_where_its_index_changes() -> None:
    (holder,) = moved(quiet(None, 0.0), 100.0).of(3) or ()
    assert holder.idle_seconds == 100.0


def test_mps_is_remembered_while_no_client_runs() -> None:
    pods = Pods(A, (given("a", f"{G0}::0"),))
    before = attribute([gpu(on(10, kind="mps"))], pods, Processes((runs(10, "a"),)), None, 0.0)
    (holder,) = attribute([gpu()], pods, Processes(), before, 1.0).of(0) or ()
    assert holder.how == "mps"


def test_idle_memory_holds_only_what_is_given_now() -> None:
    before = quiet(None, 0.0)
    after = attribute([gpu()], Pods(A, ()), Processes(), before, 1.0)
    assert after.idle == ()


def test_a_thousand_pods_on_one_gpu_are_sorted_in_time() -> None:
    pods = [f"p{number}" for number in range(1000)]
    allocations = tuple(given(p, f"{G0}::{number}") for number, p in enumerate(pods))
    processes = Processes(tuple(runs(number, p) for number, p in enumerate(pods)))
    found = attribute(
        [gpu(*(on(number) for number in range(1000)))],
        Pods(named(*pods), allocations),
        processes,
        None,
        0.0,
    )
    assert len(found.of(0) or ()) == 1000
