"""What is taken of an answer at most, so that no source makes the agent slow or large.

Each limit is a multiple of the largest node there is. What is beyond is not looked at, and the
message names the source that was cut.
"""

from dataclasses import replace
from typing import Final, TypeVar

from citadel_k8s.models.readings import (
    ContainerUsage,
    Engine,
    Gpu,
    Gpus,
    Outcome,
    Pods,
    Processes,
    Reading,
)

GPUS_MAX: Final = 64
"""GPUs of one source: four times the largest node on sale."""

GPU_PROCESSES_MAX: Final = 256
"""Processes on one GPU: MPS takes 48 clients, time-slicing rarely more than 32."""

ENGINES_MAX: Final = 128
"""Services of a node: a kubelet takes 110 pods by default."""

MODELS_MAX: Final = 1000
"""Models of one service: a store of every size of every public model."""

PODS_MAX: Final = 1024
"""Pods of a node, ended ones included: four times what large clusters allow."""

PROCESSES_MAX: Final = 4096
"""Processes, and listening ports, that are looked at: 16 GPUs full of them."""

CONTAINERS_MAX: Final = 512
"""Containers of a node, at four in each pod of the default limit: 150 kB of a message."""

T = TypeVar("T")


def gpus(outcome: Outcome[Gpus]) -> Outcome[Gpus]:
    """Give the answer with as many GPUs, and processes on each, as are taken."""
    if not isinstance(outcome, Reading):
        return outcome
    value = outcome.value
    if len(value.gpus) <= GPUS_MAX and not any(_crowded(gpu) for gpu in value.gpus):
        return outcome
    return Reading(replace(value, gpus=tuple(_uncrowded(g) for g in value.gpus[:GPUS_MAX])))


def engines(outcome: Outcome[tuple[Engine, ...]]) -> Outcome[tuple[Engine, ...]]:
    """Give the answer with as many services, and models of each, as are taken."""
    if not isinstance(outcome, Reading):
        return outcome
    value = outcome.value
    if len(value) <= ENGINES_MAX and not any(_stocked(engine) for engine in value):
        return outcome
    return Reading(tuple(_unstocked(engine) for engine in value[:ENGINES_MAX]))


def pods(outcome: Outcome[Pods]) -> Outcome[Pods]:
    """Give the answer with as many pods as are taken."""
    if not isinstance(outcome, Reading) or len(outcome.value.pods) <= PODS_MAX:
        return outcome
    return Reading(replace(outcome.value, pods=outcome.value.pods[:PODS_MAX]))


def processes(outcome: Outcome[Processes]) -> Outcome[Processes]:
    """Give the answer with as many processes and listeners as are taken."""
    if not isinstance(outcome, Reading):
        return outcome
    found, ports = outcome.value.processes, outcome.value.listeners
    if max(len(found), len(ports)) <= PROCESSES_MAX:
        return outcome
    return Reading(Processes(found[:PROCESSES_MAX], ports[:PROCESSES_MAX]))


def containers(
    outcome: Outcome[tuple[ContainerUsage, ...]],
) -> Outcome[tuple[ContainerUsage, ...]]:
    """Give the answer with as many containers as are taken."""
    if not isinstance(outcome, Reading) or len(outcome.value) <= CONTAINERS_MAX:
        return outcome
    return Reading(outcome.value[:CONTAINERS_MAX])


def _crowded(gpu: Gpu) -> bool:
    return any(len(part or ()) > GPU_PROCESSES_MAX for part in (gpu.processes, gpu.mig))


def _uncrowded(gpu: Gpu) -> Gpu:
    if not _crowded(gpu):
        return gpu
    return replace(gpu, processes=_first(gpu.processes), mig=_first(gpu.mig))


def _first(items: tuple[T, ...] | None) -> tuple[T, ...] | None:
    return None if items is None else items[:GPU_PROCESSES_MAX]


def _stocked(engine: Engine) -> bool:
    lists = (engine.models, engine.loaded_models, engine.adapters)
    return any(len(names or ()) > MODELS_MAX for names in lists)


def _unstocked(engine: Engine) -> Engine:
    if not _stocked(engine):
        return engine
    return replace(
        engine,
        models=_names(engine.models),
        loaded_models=_names(engine.loaded_models),
        adapters=_names(engine.adapters),
    )


def _names(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else names[:MODELS_MAX]
