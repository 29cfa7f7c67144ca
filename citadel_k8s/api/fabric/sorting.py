"""In which order nodes are listed. Total and stable: each row has a key of its own.

No order follows a figure that moves with each heartbeat: rows would swap for ever.
"""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.api.fabric.rows import Item
from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.domain.standing import rank

DEFAULT_SORT: Final = "state"
"""Order unless another is asked for: what needs attention comes first."""

Key = tuple[Any, ...]
"""What a row is sorted by: place, value, id."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order: what of a row counts, which kind that is, and whether the largest comes first."""

    name: str
    value: Callable[[Item], str | int | None]
    kind: type
    down: bool = False

    @property
    def kinds(self) -> tuple[type, ...]:
        """The kinds of the parts of a key."""
        return (int, self.kind, str)

    def key(self, item: Item) -> Key:
        """Give the key of a row: what is not known comes last, either way round."""
        value = self.value(item)
        known = value is not None
        return (int(known == self.down), self.kind() if value is None else value, item.node_id)

    def sorted(self, items: Sequence[Item]) -> list[Item]:
        """Give the rows in this order."""
        return sorted(items, key=self.key, reverse=self.down)

    def after(self, items: Sequence[Item], last: Key) -> Sequence[Item]:
        """Give the rows of a sorted list behind a key, whether the row of that is there or not."""
        if not self.down:
            return items[bisect.bisect_right(items, last, key=self.key) :]
        backwards = items[::-1]
        return items[len(items) - bisect.bisect_left(backwards, last, key=self.key) :]


def _attention(item: Item) -> str:
    return f"{rank(item.state)}{item.name.casefold()}"


_ORDERS: Final[dict[str, tuple[Callable[[Item], str | int | None], type]]] = {
    "name": (lambda item: item.name.casefold(), str),
    "id": (lambda item: item.node_id, str),
    "state": (_attention, str),
    "since": (lambda item: item.since_ms, int),
    "gpus": (lambda item: item.gpu_count, int),
    "vram": (lambda item: _whole(item.profile.get("vramBytes")), int),
    "memory": (lambda item: _whole(item.profile.get("memoryBytes")), int),
    "agent": (lambda item: item.profile.get("agent"), str),
    "models": (lambda item: len(item.models) if "models" in item.profile else None, int),
}


def order_of(text: str | None) -> Order:
    """Read ``name``, or ``-name`` for the largest first.

    Raises
    ------
    RefusalError
        400, if there is no such order.
    """
    wanted = text or DEFAULT_SORT
    name = wanted.removeprefix("-")
    found = _ORDERS.get(name)
    if found is None:
        raise bad_request(f"sort: {wanted[:40]!r} is none of {', '.join(_ORDERS)}")
    value, kind = found
    return Order(wanted, value, kind, down=wanted.startswith("-"))


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
