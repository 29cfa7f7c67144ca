"""What kind of engine answers at a port: a few cheap questions, asked once and remembered."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from citadel_k8s.collectors.engines.answers import (
    huggingface_info,
    infinity_models,
    object_of,
    openai_models,
)
from citadel_k8s.collectors.engines.exposition import Exposition
from citadel_k8s.collectors.engines.families import FAMILIES
from citadel_k8s.collectors.probe import Getter, ProbeError

_FINAL: Final = frozenset({"Timeout", "ConnectionRefused", "ConnectFailed", "BadAnswer"})
"""Reasons for which no other question would be answered either."""

FIRST_PAUSE: Final = 10.0
"""Seconds after which a server that is no known engine is asked again: it may have been starting
up, and one cycle is soon enough."""

LONGEST_PAUSE: Final = 900.0
"""Seconds to which the pause doubles: a web server is left in peace, and what takes its port
later is found within a quarter of an hour even where no process can be seen."""

_METRIC_KINDS: Final = ("vllm", "sglang", "llamacpp", "lmdeploy", "tgi", "tei", "triton")


async def identify(get: Getter, hints: Collection[str] = ()) -> str | None:
    """Give the family of what answers; None if it is none that is known.

    Parameters
    ----------
    get : Getter
        Asks the endpoint.
    hints : collection of str
        Families that are likely here; they decide which question comes first.
    """
    questions = sorted(_QUESTIONS, key=lambda q: not (q[1] & set(hints)))
    for question, _ in questions:
        try:
            kind = await question(get)
        except ProbeError as error:
            if error.server == FAMILIES["llamacpp"].server:
                return "llamacpp"
            if error.reason in _FINAL:
                return None
            continue
        if kind is not None:
            return kind
    return None


async def _by_models(get: Getter) -> str | None:
    return _one(await get.read("v1/models", _owners))


async def _by_metrics(get: Getter) -> str | None:
    told = Exposition(await get("metrics"))
    for kind in _METRIC_KINDS:
        series = FAMILIES[kind].series
        if series is not None and any(mark in told for mark in series.mark):
            return kind
    return None


async def _by_greeting(get: Getter) -> str | None:
    return "ollama" if (await get("")).startswith(b"Ollama is running") else None


async def _by_info(get: Getter) -> str | None:
    return _one(await get.read("info", lambda document: huggingface_info(document).proves))


async def _by_triton(get: Getter) -> str | None:
    return "triton" if await get.read("v2", _is_triton) else None


async def _by_infinity(get: Getter) -> str | None:
    return _one(await get.read("models", lambda document: infinity_models(document).proves))


_QUESTIONS: Final[tuple[tuple[Callable[[Getter], Awaitable[str | None]], frozenset[str]], ...]] = (
    (_by_models, frozenset({"vllm", "sglang", "llamacpp", "lmdeploy"})),
    (_by_metrics, frozenset()),
    (_by_greeting, frozenset({"ollama"})),
    (_by_info, frozenset({"tgi", "tei"})),
    (_by_triton, frozenset({"triton"})),
    (_by_infinity, frozenset({"infinity"})),
)


def _owners(document: Any) -> frozenset[str]:
    return openai_models(document).proves


def _one(proves: frozenset[str]) -> str | None:
    return min(proves - {"openai", "transformers"}, default=None)


def _is_triton(document: Any) -> bool:
    return object_of(document).get("name") == "triton"
