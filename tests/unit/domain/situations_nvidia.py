"""Whole GPUs, time slices, MPS and MIG, as NVIDIA's device plugin gives them."""

from citadel_k8s.models.readings import (
    Process,
)
from tests.unit.domain.situations import (
    EARLIER,
    G0,
    G1,
    M0,
    M1,
    MIGS,
    NOW,
    SHARED,
    A,
    B,
    case,
    given,
    gpu,
    held,
    named,
    on,
    runs,
    uid,
)

NVIDIA = [
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
        again=True,
        expected={
            0: (
                held("a", "mig", M0, idle=NOW - EARLIER),
                held("b", "mig", M1, idle=NOW - EARLIER),
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
        "a GPU by the number of its node, as GKE's plugin names it",
        [gpu(index=0, minor=1), gpu(on(10), index=1, minor=0)],
        names=A,
        allocations=(given("a", "nvidia0"),),
        processes=(runs(10, "a"),),
        expected={0: (), 1: (held("a", "exclusive", G1, 10),)},
    ),
    case(
        "a GPU that GKE's plugin shares in time",
        [gpu(on(10))],
        names=A + B,
        allocations=(given("a", "nvidia0/vgpu0"), given("b", "nvidia0/vgpu1")),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "time-sliced", G0, 10), held("b", "time-sliced", G0, idle=0.0))},
    ),
    case(
        "slices of GKE's plugin, one of them shared in time",
        [gpu(on(10, gpu_instance_id=7, compute_instance_id=0), mig_enabled=True, mig=MIGS)],
        names=A + B,
        allocations=(given("a", "nvidia0/gi7"), given("b", "nvidia0/gi8/vgpu2")),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "mig", M0, 10), held("b", "time-sliced", M1, idle=0.0))},
    ),
    case(
        "a slice of GKE's plugin that the driver does not list",
        [gpu(on(10, gpu_instance_id=3, compute_instance_id=0), mig_enabled=True)],
        names=A,
        allocations=(given("a", "nvidia0/gi3/vgpu2"),),
        processes=(runs(10, "a"),),
        expected={0: (held("a", "time-sliced", "nvidia0/gi3", 10),)},
    ),
]
