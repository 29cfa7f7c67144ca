"""From what was found of an engine to the reading that tells it."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from citadel_k8s.collectors.engines.answers import MODELS_MAX
from citadel_k8s.collectors.engines.asking import Facts
from citadel_k8s.collectors.engines.canary import Singing, verdict
from citadel_k8s.collectors.engines.checks import CHECKS
from citadel_k8s.collectors.engines.families import FAMILIES
from citadel_k8s.collectors.engines.targets import Target, with_process_of
from citadel_k8s.collectors.lines import clean
from citadel_k8s.models.readings import Engine


class _Known(Protocol):
    target: Target


K = TypeVar("K", bound=_Known)


def engine_of(name: str, kind: str, target: Target, facts: Facts, bird: Singing | None) -> Engine:
    """Give the reading; what is not known of the engine is None in it."""
    error, health = facts.error, facts.health
    if health == "ok" and (failed := verdict(bird)) is not None:
        error, health = failed, "degraded"
    listing, load, pod = facts.listing, facts.load, target.pod
    message = None if error is None else str(error)
    if listing is not None and listing.count > MODELS_MAX and message is None:
        message = f"{listing.count} models are served, {len(listing.models)} of them told"
    return Engine(
        name=clean(name, 64),
        type=target.type or type_of(kind),
        status=facts.status,
        health=health,
        engine=kind,
        port=target.url.port,
        address=target.url.host,
        models=None if listing is None else listing.models,
        loaded_models=None if listing is None else listing.loaded,
        adapters=None if listing is None else listing.adapters,
        requests_running=load.running,
        requests_waiting=load.waiting,
        kv_cache_ratio=load.kv_cache_ratio,
        generation_tokens_per_second=load.generation_rate,
        prompt_tokens_per_second=load.prompt_rate,
        ttft_seconds_p50=load.ttft_p50,
        e2e_seconds_p50=load.e2e_p50,
        idle_seconds=load.idle_seconds,
        version=facts.version,
        pid=target.pid,
        pod_uid=target.pod_uid,
        container_id=target.container_id,
        namespace=None if pod is None else pod.namespace,
        pod=None if pod is None else pod.name,
        container=None if pod is None else dict(pod.containers).get(target.container_id or ""),
        canary_seconds=None if bird is None else bird.seconds,
        reason=None if error is None else error.reason,
        message=message,
    )


def type_of(kind: str) -> str:
    """Give the wire's word for the type of a family; of what nobody knows it is ``other``."""
    if kind in FAMILIES:
        return FAMILIES[kind].type
    return CHECKS[kind][0] if kind in CHECKS else "other"


def missing(expected: Iterable[str], told: Sequence[Engine]) -> tuple[Engine, ...]:
    """Give what was expected by its name or family and is not among those told, as stopped."""
    here = {e.name for e in told} | {e.engine for e in told}
    return tuple(
        Engine(
            name=clean(name, 64),
            type=type_of(name),
            status="stopped",
            health="unknown",
            engine=name if name in FAMILIES or name in CHECKS else None,
            reason="NotFound",
            message="expected by the configuration, and not found on this node",
        )
        for name in dict.fromkeys(expected)
        if name not in here
    )


def without_twins(looks: Sequence[tuple[K, Facts]]) -> list[tuple[K, Facts]]:
    """Leave out a find that is a configured engine under another address.

    A process tells when it began, to the hundredth of a second; two that serve the same models
    and began at the same moment are one. What is known of the find's process is the other's.
    """
    configured = {
        mark: one
        for one, facts in looks
        if one.target.configured and (mark := _mark(facts)) is not None
    }
    kept: list[tuple[K, Facts]] = []
    for one, facts in looks:
        mark = None if one.target.configured else _mark(facts)
        twin = None if mark is None else configured.get(mark)
        if twin is None:
            kept.append((one, facts))
        else:
            twin.target = with_process_of(twin.target, one.target)
    return kept


def _mark(facts: Facts) -> tuple[float, tuple[str, ...]] | None:
    if facts.load.started is None or facts.listing is None:
        return None
    return facts.load.started, facts.listing.models
