"""GPUs and engines that are not there, for demonstrations and for tests of a fleet.

They tell what real ones would: a node of a demo shows each column, each holder and each metric.
Which programs there are and how hard they work is `citadel_k8s.collectors.fakeload`'s business.
"""

from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.collectors.fakekinds import GpuKind, is_worn
from citadel_k8s.collectors.fakeload import FakeNode, Job, Wave
from citadel_k8s.models.readings import (
    EccErrors,
    Engine,
    Gpu,
    GpuProcess,
    Gpus,
    NvLink,
    Outcome,
    Pcie,
    Reading,
    RowRemap,
)

_MIB: Final = 1024**2
_MHZ: Final = 1_000_000

_LARGE: Final = (
    "meta-llama/Llama-3.3-70B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct",
    "mistralai/Mixtral-8x22B-Instruct-v0.1",
)
_SMALL: Final = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "mistralai/Mistral-7B-Instruct-v0.3",
)
_PULLED: Final = (("llama3.2:3b", "nomic-embed-text:latest"), ("qwen2.5:7b", "gemma2:9b"))

IDLE_POWER: Final = 0.12
"""Share of its power limit that a GPU takes with nothing to do: 80 of an H100's 700 W."""

LOAD_POWER: Final = 0.83
"""Share of its power limit that full load adds."""

OLLAMA_MIB: Final = 3450
"""Memory of the pretended Ollama with a model of 3 billion parameters, in MiB."""


class FakeGpus:
    """Pretended GPUs.

    Parameters
    ----------
    spec : str
        Such as ``h100x8``; with ``!`` behind it the last one is broken.
    node : str
        Name of the node; it decides uuids and load.
    clock : Clock
        Its date decides the load.
    """

    name = "fake-gpu"

    def __init__(self, spec: str, node: str, clock: Clock) -> None:
        self._node = FakeNode(spec, node)
        self._broken = self._node.count - 1 if is_worn(spec) else None
        self._waves = [Wave(f"{node}/{index}") for index in range(self._node.count)]
        self._clock = clock

    async def collect(self) -> Outcome[Gpus]:
        """Give the GPUs as they are now."""
        now = self._clock.now()
        gpus = tuple(self._gpu(index, now) for index in range(self._node.count))
        return Reading(Gpus(driver="575.57.08", gpus=gpus, cuda="12.9"))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _gpu(self, index: int, now: float) -> Gpu:
        kind, job = self._node.kind, self._node.job(index)
        busy = self._node.works(job, now)
        load = self._load(index, now) if busy else 0.0
        processes = _processes(kind, job, index, load) if job and busy else ()
        failed = index == self._broken
        used = sum((one.memory_used_bytes or 0) // _MIB for one in processes) + 4
        return Gpu(
            index=index,
            uuid=self._node.uuids[index],
            name=kind.name,
            pci_bus_id=f"00000000:{0x0A + 0x0C * index:02X}:00.0",
            memory_used_bytes=used * _MIB,
            memory_total_bytes=kind.memory_mib * _MIB,
            utilization_ratio=round(load, 2),
            memory_bus_ratio=round(0.6 * load, 2),
            temperature_celsius=round(34 + 44 * load),
            memory_temperature_celsius=round(40 + 46 * load) if kind.hot else None,
            power_watts=round(kind.power_watts * (IDLE_POWER + LOAD_POWER * load), 1),
            power_limit_watts=float(kind.power_watts),
            energy_joules=self._energy(index, job, now),
            clock_graphics_hertz=_clock(kind, load),
            clock_sm_hertz=_clock(kind, load),
            clock_memory_hertz=(kind.memory_clock_mhz if busy or kind.hot else 405) * _MHZ,
            throttle_reasons=() if busy else ("gpu-idle",),
            ecc_enabled=kind.ecc or None,
            ecc=EccErrors(0, 0, 0, 0) if kind.ecc else None,
            row_remap=RowRemap(0, 8 * failed, pending=False, failed=failed) if kind.ecc else None,
            pcie=_pcie(kind, load),
            nvlinks=_nvlinks(kind) if self._node.count > 1 else None,
            mig_enabled=False if kind.mig else None,
            processes=processes,
            health="ok",
            minor=index,
        )

    def _load(self, index: int, now: float) -> float:
        own, job = self._waves[index], self._node.job(index)
        if job is None:
            return 0.0
        # The GPUs of one program work in step, nearly.
        return 0.85 * self._node.wave(job).at(now) + 0.15 * own.at(now)

    def _energy(self, index: int, job: Job | None, now: float) -> float:
        """Give the joules since the driver was loaded; what power sums up to, where work lasts."""
        idle = Wave.elapsed(now) * IDLE_POWER
        if job is None or job.workers is None:
            return round(self._node.kind.power_watts * idle, 1)
        own, shared = self._waves[index].seconds(now), self._node.wave(job).seconds(now)
        busy = LOAD_POWER * (0.85 * shared + 0.15 * own)
        return round(self._node.kind.power_watts * (idle + busy), 1)


class FakeEngines:
    """Pretended engines that fit the pretended GPUs.

    Parameters
    ----------
    spec, node, clock
        As for `FakeGpus`.
    """

    name = "engines"

    def __init__(self, spec: str, node: str, clock: Clock) -> None:
        self._node = FakeNode(spec, node)
        self._clock = clock

    async def collect(self) -> Outcome[tuple[Engine, ...]]:
        """Give the engines as they are now."""
        now = self._clock.now()
        vllm, ollama = self._vllm(now), self._node.ollama
        return Reading((vllm,) if ollama is None else (vllm, self._ollama(ollama, now)))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _vllm(self, now: float) -> Engine:
        node, job = self._node, self._node.vllm
        load = node.wave(job).at(now)
        models = _LARGE if node.large else _SMALL
        served = (models[node.draw("served", len(models))],)
        running = round(load * (48 if node.large else 16))
        return Engine(
            name="vllm",
            type="llm",
            status="running",
            health="ok",
            engine="vllm",
            port=8000,
            models=served,
            requests_running=float(running),
            requests_waiting=float(max(0, round((load - 0.75) * 40))),
            address="127.0.0.1",
            version="0.11.0",
            loaded_models=served,
            adapters=(),
            kv_cache_ratio=round(0.9 * load * load, 3),
            generation_tokens_per_second=round(running * (46 - 22 * load), 1),
            prompt_tokens_per_second=round(running * 190 * load, 1),
            ttft_seconds_p50=round(0.06 + 0.4 * load**3, 3),
            e2e_seconds_p50=round(2.4 + 5 * load * load, 2),
            idle_seconds=0.0,
            pid=job.pid,
            pod_uid=job.pod_uid,
            container_id=job.container_id,
        )

    def _ollama(self, job: Job, now: float) -> Engine:
        pulled = _PULLED[self._node.draw("pulled", len(_PULLED))]
        return Engine(
            name="ollama",
            type="llm",
            status="running",
            health="ok",
            engine="ollama",
            port=11434,
            models=pulled,
            address="127.0.0.1",
            version="0.12.6",
            loaded_models=pulled[:1] if self._node.works(job, now) else (),
            pid=job.pid,
        )


def _processes(kind: GpuKind, job: Job, index: int, load: float) -> tuple[GpuProcess, ...]:
    # An engine takes most of the memory at its start and keeps it.
    mib = OLLAMA_MIB if job.name == "ollama" else int(kind.memory_mib * (0.86 + 0.002 * index))
    return (
        GpuProcess(
            pid=job.worker(index),
            memory_used_bytes=mib * _MIB,
            utilization_ratio=round(load, 2),
        ),
    )


def _clock(kind: GpuKind, load: float) -> int:
    return (kind.clock_mhz - round(120 * load) if load else 345) * _MHZ


def _pcie(kind: GpuKind, load: float) -> Pcie:
    # A GPU with nothing to do lets its link slow down, to save power.
    return Pcie(
        generation=kind.pcie if load else 1,
        generation_max=kind.pcie,
        width=16,
        width_max=16,
        replays=0,
    )


def _nvlinks(kind: GpuKind) -> tuple[NvLink, ...] | None:
    links = (NvLink(k, True, 0, 0, 0) for k in range(kind.links))  # noqa: FBT003
    return tuple(links) or None
