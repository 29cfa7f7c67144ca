"""A node with everything: what tests of reports and metrics look at."""

from dataclasses import replace

from citadel_k8s.domain.report import Moment, Speaker
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.readings import (
    Allocation,
    ContainerUsage,
    EccErrors,
    Engine,
    Gpu,
    GpuEvent,
    GpuProcess,
    Gpus,
    Host,
    MigInstance,
    NvLink,
    Pcie,
    Pod,
    Pods,
    Process,
    Processes,
    Reading,
    RowRemap,
)

GIB = 1024**3
MIB = 1024**2
DATE = 1_795_420_800.25
"""2026-11-23T08:00:00.25Z."""

SPEAKER = Speaker(
    node_id="gpu-1",
    node_name="gpu-1.example",
    boot_id="boot-1",
    interval_seconds=30.0,
    version="1.2.3",
    status_port=8080,
    tags=("Team Blue", "zone:a"),
    display_name="Rack 4, left",
    headscale_node_id="758",
    addresses=("10.0.0.7",),
    transport="redis",
)
HOST = Host(
    cpu_ratio=0.1234,
    cpu_count=96,
    load_1m=1.5,
    load_5m=2.25,
    load_15m=3.0,
    memory_used_bytes=4 * GIB,
    memory_total_bytes=16 * GIB,
    swap_used_bytes=0,
    swap_total_bytes=2 * GIB,
    disk_used_bytes=30 * GIB,
    disk_available_bytes=60 * GIB,
    disk_total_bytes=100 * GIB,
    kubelet_disk_used_bytes=10 * GIB,
    kubelet_disk_available_bytes=30 * GIB,
    kubelet_disk_total_bytes=41 * GIB,
    network_rx_bytes=123,
    network_tx_bytes=456,
    cpu_pressure_ratio=0.015,
    memory_pressure_ratio=0.0,
    io_pressure_ratio=0.5,
    uptime_seconds=86400.9,
    boot_id="kernel-boot",
    kernel="6.8.0",
    mesh_addresses=("fd7a:115c:a1e0::7", "100.64.0.7"),
)


def gpu(index: int, **more: object) -> Gpu:
    """Give a healthy GPU that tells everything."""
    base = Gpu(
        index=index,
        uuid=f"GPU-{index}",
        name="NVIDIA H100 80GB HBM3",
        pci_bus_id=f"00000000:{index:02X}:00.0",
        memory_used_bytes=65536 * MIB,
        memory_total_bytes=81559 * MIB,
        utilization_ratio=0.93,
        memory_bus_ratio=0.41,
        temperature_celsius=61,
        memory_temperature_celsius=70,
        power_watts=512.34,
        power_limit_watts=700.0,
        energy_joules=1234.56,
        clock_graphics_hertz=1_980_000_000,
        clock_sm_hertz=1_980_000_000,
        clock_memory_hertz=2_619_000_000,
        throttle_reasons=("sw-power-cap",),
        ecc_enabled=True,
        ecc=EccErrors(3, 0, 17, 0),
        row_remap=RowRemap(1, 0, pending=False, failed=False),
        pcie=Pcie(5, 5, 16, 16, 2, 1_000_000, 2_000_000),
        nvlinks=tuple(NvLink(link, up=True, crc_errors=0, replay_errors=1) for link in range(18)),
        mig_enabled=False,
        processes=(GpuProcess(1000 + index, "compute", 65000 * MIB),),
        minor=index,
        health="ok",
    )
    return replace(base, **more)


SLICED = gpu(
    1,
    mig_enabled=True,
    utilization_ratio=None,
    processes=(GpuProcess(1001, "compute", 9000 * MIB, None, 1, 0),),
    mig=(
        MigInstance("MIG-1a", "1g.10gb", 1, 0, 9000 * MIB, 9856 * MIB),
        MigInstance("MIG-1b", "1g.10gb", 2, 0, 0, 9856 * MIB),
    ),
)
GPUS = Gpus("575.57.08", (gpu(0), SLICED), "12.9")
PODS = Pods(
    pods=(
        Pod("uid-vllm", "llm", "vllm-0", (("c-vllm", "vllm"),), restarts=(("vllm", 2),)),
        Pod("uid-nb", "lab", "notebook", (("c-nb", "jupyter"),)),
    ),
    allocations=(
        Allocation("llm", "vllm-0", "vllm", "nvidia.com/gpu", ("GPU-0",)),
        Allocation("lab", "notebook", "jupyter", "nvidia.com/mig-1g.10gb", ("MIG-1b",)),
    ),
)
PROCESSES = Processes(
    (
        Process(1000, 5, "VLLM::EngineCor", "vllm serve", (1,), "uid-vllm", "c-vllm"),
        Process(1001, 6, "python", "python x.py"),
    )
)
CONTAINERS = (
    ContainerUsage("uid-vllm", "c-vllm", 100.5, 3.25, 8.0, 20 * GIB, 64 * GIB, 0),
    ContainerUsage("uid-lost", "c-0123456789abcdef", 1.0, 0.001, None, 5 * MIB, None, None),
)
VLLM = Engine(
    name="vllm",
    type="llm",
    status="running",
    health="ok",
    engine="vllm",
    port=8000,
    models=("llama-3.1-70b", "adapter-a"),
    requests_running=12.0,
    requests_waiting=0.0,
    version="0.11.2",
    adapters=("adapter-a",),
    kv_cache_ratio=0.4567,
    generation_tokens_per_second=1234.56,
    prompt_tokens_per_second=99.94,
    ttft_seconds_p50=0.1234,
    e2e_seconds_p50=2.5,
    idle_seconds=0.0,
    pid=1000,
    container_id="c-vllm",
    pod_uid="uid-vllm",
    canary_seconds=0.25,
)
OLLAMA = Engine(
    name="ollama",
    type="llm",
    status="running",
    health="ok",
    engine="ollama",
    port=11434,
    models=("qwen2.5:7b", "nomic-embed-text:latest"),
    loaded_models=(),
    idle_seconds=400.0,
)


def moment(at: float = 1000.0) -> Moment:
    """Give the moment of so many seconds on the clock of durations."""
    return Moment(date=DATE + at - 1000.0, monotonic=at, uptime=at)


def rich(at: float = 1000.0) -> Snapshot:
    """Give what an agent knows of this node when every source has answered at that moment."""
    snapshot = Snapshot().learn_host(Reading(HOST), at=at, duration=0.01)
    snapshot = snapshot.learn_gpus(Reading(GPUS), at=at, duration=0.2)
    snapshot = snapshot.learn_pods(Reading(PODS), at=at, duration=0.02)
    snapshot = snapshot.learn_processes(Reading(PROCESSES), at=at, duration=0.03)
    snapshot = snapshot.learn_containers(Reading(CONTAINERS), at=at, duration=0.04)
    snapshot = snapshot.learn_engines(Reading((VLLM, OLLAMA)), at=at, duration=0.5)
    event = GpuEvent("xid", 0, "GPU-0", 13)
    return snapshot.learn_event(event, at=at, date=DATE - 5)
