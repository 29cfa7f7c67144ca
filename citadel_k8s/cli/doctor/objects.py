"""Objects of the API server, read without trust in their shape."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

Object = Mapping[str, Any]


def part(raw: Any, *path: str) -> dict[str, Any]:
    """Give the object at a path, an empty one if there is none."""
    found = value(raw, *path)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def parts(raw: Any, *path: str) -> list[dict[str, Any]]:
    """Give the objects of the list at a path."""
    found = value(raw, *path)
    items: list[Any] = found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def value(raw: Any, *path: str) -> Any:
    """Give what stands at a path, or None."""
    for key in path:
        if not isinstance(raw, Mapping):
            return None
        raw = cast("Mapping[str, Any]", raw).get(key)
    return raw


def text(raw: Any, *path: str) -> str | None:
    """Give the text at a path, or None."""
    found = value(raw, *path)
    return found if isinstance(found, str) and found else None


def count(raw: Any, *path: str) -> int | None:
    """Give the whole number at a path, or None."""
    found = value(raw, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def name(raw: Any) -> str:
    """Give the name of an object."""
    return text(raw, "metadata", "name") or "?"


def label(raw: Any, key: str) -> str | None:
    """Give a label of an object."""
    return text(raw, "metadata", "labels", key)


def condition(raw: Any, kind: str) -> dict[str, Any] | None:
    """Give a condition of an object's status."""
    return next((c for c in parts(raw, "status", "conditions") if c.get("type") == kind), None)


def moment(told: str | None) -> float | None:
    """Give the seconds since the epoch of an RFC 3339 date, None if it is none."""
    try:
        found = datetime.fromisoformat(told or "")
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None
