"""What a status message says of services and containers."""

from collections.abc import Iterable, Sequence
from typing import Final

from citadel_k8s.domain import units
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.naming import place_of
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.readings import ContainerUsage, Engine, Gpu
from citadel_k8s.models.wire import ContainerInfo, Footprint, ServiceInfo

IDLE_SECONDS: Final = 300.0
"""Seconds without a request after which a service is called idle. Source: the wire contract."""

UNKNOWN_PERCENT: Final = -1.0
"""A footprint's word for a share that is not known. Source: the wire contract."""


def service_infos(snapshot: Snapshot) -> list[ServiceInfo] | None:
    """Give all services; None where it is not known which there are."""
    if snapshot.services is None:
        return None
    return [_service(engine, snapshot) for engine in snapshot.services]


def container_infos(snapshot: Snapshot, now: float) -> list[ContainerInfo] | None:
    """Give all containers of this node's pods; None where nobody looked."""
    containers = snapshot.known_containers(now)
    if containers is None:
        return None
    return [_container(one, snapshot) for one in containers]


def _service(engine: Engine, snapshot: Snapshot) -> ServiceInfo:
    idle = units.count(units.figure(engine.idle_seconds))
    return ServiceInfo(
        name=units.name(engine.name) or "unknown",
        type=clip(engine.type),
        status=clip(engine.status),
        port=units.count(engine.port),
        health=clip(engine.health),
        models=models(engine.models),
        idle=None if idle is None else idle >= IDLE_SECONDS,
        idle_seconds=idle,
        footprint=_footprint(engine, snapshot),
        engine=units.name(engine.engine),
        reason=units.name(engine.reason),
        message=units.sentence(engine.message),
        requests_running=units.figure(engine.requests_running),
        requests_waiting=units.figure(engine.requests_waiting),
        engine_version=units.name(engine.version),
        loaded_models=models(engine.loaded_models),
        adapters=models(engine.adapters),
        kv_cache_percent=units.percent(engine.kv_cache_ratio),
        generation_tokens_per_second=units.tenth(engine.generation_tokens_per_second),
        prompt_tokens_per_second=units.tenth(engine.prompt_tokens_per_second),
        ttft_ms_p50=units.milliseconds(engine.ttft_seconds_p50),
        e2e_ms_p50=units.milliseconds(engine.e2e_seconds_p50),
        canary_ms=units.milliseconds(engine.canary_seconds),
        namespace=units.name(engine.namespace),
        pod=units.name(engine.pod),
        container=units.name(engine.container),
        gpus=None if engine.gpus is None else list(engine.gpus),
    )


def models(names: Iterable[str] | None) -> list[str] | None:
    """Give the names of models, clipped; None where they are not known."""
    return None if names is None else [clip(name, units.MODEL_MAX) for name in names]


def _footprint(engine: Engine, snapshot: Snapshot) -> Footprint | None:
    """Give what a service costs; None where neither its container nor its GPUs are known."""
    usage = _usage(engine, snapshot.containers.good or ())
    if usage is None and not engine.gpus:
        return None
    cores = units.percent(usage.cpu_cores) if usage else None
    gpus = [one.gpu for one in snapshot.told if one.gpu.index in (engine.gpus or ())]
    return Footprint(
        cpu_percent=UNKNOWN_PERCENT if cores is None else cores,
        ram_bytes=units.count(usage.working_set_bytes) if usage else None,
        vram_bytes=_vram(engine, snapshot),
        gpu_util_percent=_utilization(gpus),
        has_gpu=None if engine.gpus is None else bool(engine.gpus),
    )


def _usage(engine: Engine, containers: Sequence[ContainerUsage]) -> ContainerUsage | None:
    if engine.container_id is None:
        return None
    return next((one for one in containers if one.container_id == engine.container_id), None)


def _vram(engine: Engine, snapshot: Snapshot) -> int | None:
    where = (engine.namespace, engine.pod, engine.container)
    if engine.pod is None:
        return None
    sizes = [
        one.memory_used_bytes
        for index in engine.gpus or ()
        for one in snapshot.holders.get(index) or ()
        if (one.namespace, one.pod, one.container) == where
    ]
    known = [size for size in sizes if size is not None]
    # A sum over some of the GPUs would pass for the whole.
    return units.count(sum(known)) if known and len(known) == len(sizes) else None


def _utilization(gpus: Sequence[Gpu]) -> float:
    ratios = [units.figure(gpu.utilization_ratio) for gpu in gpus]
    known = [ratio for ratio in ratios if ratio is not None]
    if not known or len(known) < len(ratios):
        return UNKNOWN_PERCENT
    return round(sum(known) / len(known) * 100, 1)


def _container(one: ContainerUsage, snapshot: Snapshot) -> ContainerInfo:
    place = place_of(snapshot.names, one.pod_uid, one.container_id)
    return ContainerInfo(
        pod_uid=clip(one.pod_uid),
        container_id=clip(one.container_id),
        namespace=units.name(place.namespace),
        pod=units.name(place.pod),
        container=units.name(place.container),
        cpu_cores=units.thousandth(one.cpu_cores),
        cpu_limit_cores=units.thousandth(one.cpu_limit_cores),
        working_set_bytes=units.count(one.working_set_bytes),
        memory_limit_bytes=units.count(one.memory_limit_bytes),
        restarts=units.count(place.restarts),
    )
