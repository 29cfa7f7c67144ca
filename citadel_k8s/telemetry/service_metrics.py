"""Series of services and their models. Names of gone ones leave no series."""

from collections.abc import Iterator
from typing import Final

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.units import MODEL_MAX
from citadel_k8s.models.readings import Engine
from citadel_k8s.telemetry.exposed import Exposed, family
from citadel_k8s.telemetry.exposition import Family

KEY: Final = ("service", "port", "namespace", "pod")

MODELS_MAX: Final = 256
"""Models of one service that get a series: a model store may list ten thousand."""

_GAUGES: Final = (
    ("requests_running", "Requests running.", "requests_running"),
    ("requests_waiting", "Requests waiting.", "requests_waiting"),
    ("kv_cache_ratio", "Used share of the key-value cache.", "kv_cache_ratio"),
    ("generation_tokens_per_second", "Tokens generated.", "generation_tokens_per_second"),
    ("prompt_tokens_per_second", "Tokens of prompts taken in.", "prompt_tokens_per_second"),
    ("time_to_first_token_median_seconds", "Median time to the first token.", "ttft_seconds_p50"),
    ("request_median_seconds", "Median time of a whole request.", "e2e_seconds_p50"),
    ("idle_seconds", "Time since the last request.", "idle_seconds"),
    ("canary_seconds", "Time that the last own request of one token took.", "canary_seconds"),
)


def service_metrics(now: Exposed) -> Iterator[Family]:
    """Give the services' series while their source is fresh."""
    services = now.snapshot.services
    if services is None or not now.fresh(now.snapshot.engines):
        return
    told = [(_key(one), one) for one in services]
    yield from family(
        "citadel_service_up",
        "Whether a service is ready: running is not enough.",
        [
            ((k[0], clip(e.type), *k[1:]), float(e.health == "ok" and e.status == "running"))
            for k, e in told
            if e.health != "unknown"
        ],
        ("service", "type", *KEY[1:]),
    )
    yield from family(
        "citadel_service_info",
        "What a service is.",
        [((*k, clip(e.engine or ""), clip(e.version or "")), 1) for k, e in told],
        (*KEY, "engine", "version"),
    )
    yield from family("citadel_service_models", "Models that a service offers.",
                      [(k, _count(e.models)) for k, e in told], KEY)  # fmt: skip
    yield from family("citadel_service_loaded_models", "Models that a service has in memory.",
                      [(k, _count(e.loaded_models)) for k, e in told], KEY)  # fmt: skip
    yield from family(
        "citadel_service_model_info",
        "A model that a service offers.",
        [
            ((*k, clip(model, MODEL_MAX)), 1)
            for k, e in told
            for model in sorted(set(e.models or ()))[:MODELS_MAX]
        ],
        (*KEY, "model"),
    )
    for name, text, attribute in _GAUGES:
        samples = [(k, getattr(e, attribute)) for k, e in told]
        yield from family(f"citadel_service_{name}", text, samples, KEY)


def _key(one: Engine) -> tuple[str, str, str, str]:
    return clip(one.name), str(one.port or ""), clip(one.namespace or ""), clip(one.pod or "")


def _count(names: tuple[str, ...] | None) -> int | None:
    return None if names is None else len(names)
