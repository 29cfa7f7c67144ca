"""What engines answer when asked what they serve, each family's form made into one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.probe import ProbeError

MODELS_MAX: Final = 256
"""Model names told of one engine: an Ollama library has tens."""

_OWNERS: Final = frozenset({"vllm", "sglang", "llamacpp", "lmdeploy", "infinity"})
"""Who a ``/v1/models`` says it is; others put the model's author there."""

_ANYBODY: Final = frozenset({"openai", "transformers"})
"""Families that are known by the form of the list alone."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What an engine serves; ``count`` is before the cut, ``proves`` the families that answer so.

    ``loaded`` is None where the list does not tell it. ``leaves`` is when the first of those
    loaded is put out of memory if nobody asks for it again, in seconds since the epoch.
    """

    models: tuple[str, ...] = ()
    count: int = 0
    loaded: tuple[str, ...] | None = None
    adapters: tuple[str, ...] | None = None
    running: float | None = None
    waiting: float | None = None
    leaves: float | None = None
    version: str | None = None
    proves: frozenset[str] = field(default=frozenset())


def openai_models(document: Any) -> Listing:
    """Read a ``/v1/models`` answer; a null list is empty.

    Raises
    ------
    ProbeError
        If there is no list, or it holds something else than models.
    """
    entries = _entries(document, "data")
    owners = frozenset(o for e in entries if isinstance(o := e.get("owned_by"), str))
    adapters = None
    if any("parent" in entry for entry in entries):
        adapters = _names([e for e in entries if e.get("parent")], "id")
    return Listing(
        models=_names(entries, "id"),
        count=len(entries),
        loaded=_loaded(entries),
        adapters=adapters,
        proves=_ANYBODY | (owners & _OWNERS),
    )


def ollama_models(document: Any) -> Listing:
    """Read an ``/api/tags`` or ``/api/ps`` answer, as `openai_models` does."""
    entries = _entries(document, "models")
    leaves = _date(entries[0].get("expires_at")) if entries else None
    return Listing(
        _names(entries, "name"), len(entries), leaves=leaves, proves=frozenset({"ollama"})
    )


def infinity_models(document: Any) -> Listing:
    """Read infinity's ``/models``, which tells its queues too."""
    entries = _entries(document, "data")
    stats = [entry["stats"] for entry in entries if isinstance(entry.get("stats"), dict)]
    known = openai_models(document)
    proves = known.proves | frozenset({"infinity"} if stats else ())
    return Listing(
        models=known.models,
        count=known.count,
        loaded=known.models,
        running=_sum(stats, "results_pending"),
        waiting=_sum(stats, "queue_absolute"),
        proves=proves,
    )


def huggingface_info(document: Any) -> Listing:
    """Read an ``/info`` answer of TGI or TEI: the one model, and the version.

    Raises
    ------
    ProbeError
        If it names no model.
    """
    fields = object_of(document)
    kind = "tei" if "model_type" in fields else "tgi"
    # TGI tells what it was started with; neither has a word for itself in all versions.
    known = kind == "tei" or "max_concurrent_requests" in fields or "router" in fields
    model = _names([fields], "model_id")
    return Listing(
        models=model,
        count=1,
        loaded=model,
        version=text_of(fields.get("version")),
        proves=frozenset({kind} if known else ()),
    )


def triton_index(document: Any) -> Listing:
    """Read Triton's repository index: every model, and those that are ready."""
    entries = _listed(document, "the index")
    return Listing(
        models=_names(entries, "name"),
        count=len(entries),
        loaded=_names([e for e in entries if e.get("state") == "READY"], "name"),
    )


def busy_slots(document: Any) -> float:
    """Give how many of llama.cpp's slots are at work, from its ``/slots``."""
    return float(sum(e.get("is_processing") is True for e in _listed(document, "slots")))


def version_of(document: Any) -> str | None:
    """Give the version of an answer that has it under that name; None if it has none."""
    return text_of(object_of(document).get("version"))


def build_of(document: Any) -> str | None:
    """Give llama.cpp's version, from its ``/props``."""
    return text_of(object_of(document).get("build_info"))


def text_of(value: Any) -> str | None:
    """Give a short text, None if it is none."""
    return clean(value, 64) if isinstance(value, str) and value else None


def object_of(document: Any) -> dict[str, Any]:
    """Give the JSON object that an answer has to be, or raise `ProbeError`."""
    if not isinstance(document, dict):
        raise ProbeError("Malformed", "the answer is not a JSON object")
    return document  # pyright: ignore[reportUnknownVariableType]


def _entries(document: Any, key: str) -> list[dict[str, Any]]:
    fields = object_of(document)
    if key not in fields:
        raise ProbeError("Malformed", f"the answer has no {key!r}")
    return _listed([] if fields[key] is None else fields[key], repr(key))


def _listed(entries: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):  # pyright: ignore[reportUnknownVariableType]
        raise ProbeError("Malformed", f"{what} is not a list of objects")
    return entries  # pyright: ignore[reportUnknownVariableType]


def _names(entries: Sequence[dict[str, Any]], key: str) -> tuple[str, ...]:
    names = [entry.get(key) for entry in entries]
    if not all(isinstance(name, str) and name for name in names):
        raise ProbeError("Malformed", f"an entry has no {key!r}")
    cleaned = (clean(str(name)) for name in names[:MODELS_MAX])
    return tuple(dict.fromkeys(name for name in cleaned if name))


def _loaded(entries: Sequence[dict[str, Any]]) -> tuple[str, ...] | None:
    # llama.cpp with several models tells of each whether it is in memory.
    states = [(e, e["status"].get("value")) for e in entries if isinstance(e.get("status"), dict)]
    if not states:
        return None
    return _names([entry for entry, state in states if state == "loaded"], "id")


def _date(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _sum(entries: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [e.get(key) for e in entries]
    numbers = [float(v) for v in values if isinstance(v, int) and abs(v) < 2**53]
    return sum(numbers) if numbers and len(numbers) == len(entries) else None
