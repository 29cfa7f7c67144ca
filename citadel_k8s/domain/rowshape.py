"""Rows as they have to be: what an API of another version says in another shape is not known."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from citadel_k8s.domain.fleetrows import part

FIGURE_MAX: Final = 1e18
"""Largest figure that is believed: an exabyte; larger ones overflow where they are multiplied."""

_FIGURES: Final = 3

Check: TypeAlias = Callable[[Any], bool]


def sound(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row of `models.views.NodeSummary` without what is not of its shape."""
    known = _kept(row, _ROW)
    for key, shape in (("profile", _PROFILE), ("pulse", _PULSE)):
        known[key] = _kept(part(row, key), shape)
    known["profile"].setdefault("name", str(row.get("id") or ""))
    return known


def _kept(found: Mapping[str, Any], shape: Mapping[str, Check]) -> dict[str, Any]:
    """Leave out what is None or not of its shape; what has none here is left as it is."""
    return {
        key: value
        for key, value in found.items()
        if value is not None and (key not in shape or shape[key](value))
    }


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _figure(value: Any) -> bool:
    # NaN is between no two numbers.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -FIGURE_MAX <= value <= FIGURE_MAX


def _list_of(check: Check) -> Check:
    def checked(value: Any) -> bool:
        items: list[Any] | None = value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType]
        return items is not None and all(map(check, items))

    return checked


def _gpu(value: Any) -> bool:
    figures: list[Any] = value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
    return len(figures) == _FIGURES and all(one is None or _figure(one) for one in figures)


def _gpu_count(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    kind = cast("dict[str, Any]", value)
    return isinstance(kind.get("model"), str) and type(kind.get("count")) is int


def _labels(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, cast("dict[str, Any]", value).values()))


_ROW: Final[Mapping[str, Check]] = {
    "id": _text,
    "state": _text,
    "reason": _text,
    "message": _text,
    "since": _text,
    "lastHeartbeat": _text,
    "age": _figure,
    "labels": _labels,
}
_PROFILE: Final[Mapping[str, Check]] = {
    "name": _text,
    "address": _text,
    "agent": _text,
    "gpus": _list_of(_gpu_count),
    "vramBytes": _figure,
    "memoryBytes": _figure,
    "models": _list_of(_text),
    "services": _figure,
    "transport": _text,
    "driver": _text,
}
_PULSE: Final[Mapping[str, Check]] = {
    **dict.fromkeys(("cpu", "memory", "disk", "power", "running", "waiting"), _figure),
    "gpu": _list_of(_gpu),
}
