"""On which GPUs an engine runs, and in which pod."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from citadel_k8s.domain.attribution import Attribution
from citadel_k8s.domain.owners import PodNames
from citadel_k8s.models.readings import Engine, Gpu, Process, Processes


def engines_on_gpus(
    engines: Iterable[Engine],
    gpus: Sequence[Gpu] | None,
    processes: Processes | None,
    attribution: Attribution,
) -> tuple[Engine, ...]:
    """Fill in GPUs, pod and container of engines.

    A process on a GPU is an engine's if it is the engine's own, a descendant of it, or in the
    same container: engines leave the GPU to workers.

    Parameters
    ----------
    engines : iterable of Engine
        Engines with what is known of their process.
    gpus : sequence of Gpu or None
        The GPUs; None where they could not be read.
    processes : Processes or None
        What is known of the processes on GPUs and of the engines'.
    attribution : Attribution
        Gives the names of pods.

    Returns
    -------
    tuple of Engine
        With ``gpus`` None where nobody can say, empty where the engine is on none.
    """
    known = {p.pid: p for p in processes.processes} if processes else {}
    names = PodNames(attribution.pods)
    return tuple(_placed(_named(e, known, names), gpus, known) for e in engines)


def _named(engine: Engine, known: Mapping[int, Process], names: PodNames) -> Engine:
    process = known.get(engine.pid) if engine.pid is not None else None
    uid = engine.pod_uid or (process.pod_uid if process else None)
    container = engine.container_id or (process.container_id if process else None)
    pod = names.pod(uid) if uid else names.pod_with(container)
    return replace(
        engine,
        pod_uid=uid or (pod.uid if pod else None),
        container_id=container,
        namespace=engine.namespace or (pod.namespace if pod else None),
        pod=engine.pod or (pod.name if pod else None),
        container=engine.container or names.container(container),
    )


def _placed(engine: Engine, gpus: Sequence[Gpu] | None, known: Mapping[int, Process]) -> Engine:
    if gpus is None or (engine.pid is None and engine.container_id is None):
        return engine
    found: list[int] = []
    sure = True
    for gpu in gpus:
        if gpu.processes is None or gpu.age_seconds is not None:
            sure = False
        verdicts = {_belongs(p.pid, engine, known) for p in gpu.processes or ()}
        if True in verdicts:
            found.append(gpu.index)
        elif None in verdicts:
            sure = False
    return replace(engine, gpus=tuple(found) if found or sure else None)


def _belongs(pid: int, engine: Engine, known: Mapping[int, Process]) -> bool | None:
    if pid == engine.pid:
        return True
    process = known.get(pid)
    if process is None:
        return None
    if engine.pid is not None and engine.pid in process.ancestors:
        return True
    if process.container_id is not None and process.container_id == engine.container_id:
        return True
    return False if process.known else None
