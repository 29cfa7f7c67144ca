"""The stats block: the few figures that a live view draws.

Unlike in ``gpu[]`` of older senders, a present 0 is real here and an absent key is not known.
"""

from collections.abc import Iterable
from typing import Final

from citadel_k8s.domain import units
from citadel_k8s.domain.snapshot import Snapshot, gpus_now
from citadel_k8s.models.readings import Engine, Gpu
from citadel_k8s.models.wire import PulseGpu, PulseInference, Stats

STATS_VERSION: Final = 1
"""Version of the block; moves only on a breaking change. Source: the wire contract."""

STATS_SECONDS: Final = 30.0
"""Age up to which figures are told: three of their own intervals, which are 10 s at most. Source:
the wire contract."""

_ENGINES: Final = frozenset({"vllm", "sglang"})


def stats_of(snapshot: Snapshot, *, date: float, now: float) -> Stats | None:
    """Give the block; None where nothing in it would be fresh.

    Parameters
    ----------
    snapshot : Snapshot
        What is known.
    date, now : float
        The moment as seconds since the epoch, and on the clock of durations.
    """
    gpus, gpu_ages = _gpus(snapshot, now)
    inference = _inference(snapshot.engines.fresh(now, STATS_SECONDS) or ())
    ages = [*gpu_ages, *([snapshot.engines.age(now) or 0.0] if inference else [])]
    if not ages:
        return None
    # The date of the oldest figure: a reader must not take it for younger than it is.
    return Stats(
        v=STATS_VERSION,
        ts=int(date - max(ages)),
        gpus=gpus or None,
        inference=inference or None,
    )


def _gpus(snapshot: Snapshot, now: float) -> tuple[list[PulseGpu], list[float]]:
    """Give what is told of GPUs, and how old that is."""
    count = len(snapshot.seen)
    told = gpus_now(snapshot, now)
    parts = ((snapshot.gpus, told[:count]), (snapshot.drm, told[count:]))
    pulses: list[PulseGpu] = []
    ages: list[float] = []
    for known, gpus in parts:
        read = known.age(now)
        for gpu in gpus if read is not None else ():
            age = max(read or 0.0, gpu.age_seconds or 0.0)
            if age <= STATS_SECONDS and _measured(gpu):
                pulses.append(_pulse(gpu))
                ages.append(age)
    return pulses, ages


def _measured(gpu: Gpu) -> bool:
    figures = (gpu.utilization_ratio, gpu.memory_used_bytes, gpu.temperature_celsius)
    return any(figure is not None for figure in (*figures, gpu.power_watts))


def _pulse(gpu: Gpu) -> PulseGpu:
    return PulseGpu(
        i=gpu.index,
        util_pct=units.percent(gpu.utilization_ratio),
        mem_used_mb=units.mib(gpu.memory_used_bytes),
        mem_total_mb=units.mib(gpu.memory_total_bytes),
        temp_c=units.count(gpu.temperature_celsius),
        power_w=units.tenth(gpu.power_watts),
    )


def _inference(engines: Iterable[Engine]) -> list[PulseInference]:
    return [
        PulseInference(
            engine=engine.engine,
            port=engine.port,
            model=units.name(engine.models[0]) if engine.models else None,
            gen_tps=units.tenth(engine.generation_tokens_per_second),
            prompt_tps=units.tenth(engine.prompt_tokens_per_second),
            kv_cache_pct=units.percent(engine.kv_cache_ratio),
            running=units.plain(engine.requests_running),
            waiting=units.plain(engine.requests_waiting),
            ttft_ms_p50=units.milliseconds(engine.ttft_seconds_p50),
            e2e_ms_p50=units.milliseconds(engine.e2e_seconds_p50),
        )
        for engine in engines
        if engine.engine in _ENGINES and engine.port is not None and engine.health == "ok"
    ]
