"""Which lines there are, and in which order."""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from citadel_k8s.cli.top.fleet import Fleet
from citadel_k8s.cli.top.gpus import Gpu, Node
from citadel_k8s.domain.fleetfilter import Filter
from citadel_k8s.domain.standing import rank
from citadel_k8s.errors import ConfigError

SORTS: Final = {
    "a": "attention",
    "n": "name",
    "u": "utilization",
    "m": "memory",
    "t": "temperature",
    "w": "power",
}
"""Keys that sort, and by what. The first two keep a node's GPUs together under its header."""

GROUPED: Final = frozenset({"attention", "name"})
"""Orders with headers."""


class Line(NamedTuple):
    """One line: a node's header where there is no GPU."""

    node: Node
    gpu: Gpu | None


def lines(fleet: Fleet, sort: str, words: str) -> list[Line]:
    """Give the lines that are asked for.

    Parameters
    ----------
    sort : str
        One of `SORTS`' values.
    words : str
        As in the search box of the page.

    Raises
    ------
    ConfigError
        If the words cannot be meant.
    """
    chosen = list(_chosen(fleet, words))
    if sort in GROUPED:
        return list(_grouped(sorted(chosen, key=_NODES[sort])))
    every = [Line(node, gpu) for node in chosen for gpu in node.gpus]
    # The sort is stable: GPUs that are equal stay in the order of names.
    every.sort(key=lambda line: (line.node.name, line.gpu.index if line.gpu else 0))
    every.sort(key=lambda line: _falling(_GPUS[sort](line)))
    return every


def problem(words: str) -> str | None:
    """Say why words cannot be meant; None if they can."""
    try:
        Filter(q=words)
    except ConfigError as error:
        return str(error)
    return None


def _chosen(fleet: Fleet, words: str) -> Iterable[Node]:
    wanted = Filter(q=words)
    return (fleet.nodes[one] for one, row in fleet.rows.items() if wanted.takes(row))


def _grouped(nodes: Iterable[Node]) -> Iterable[Line]:
    for node in nodes:
        yield Line(node, None)
        for gpu in node.gpus:
            yield Line(node, gpu)


def _falling(value: int | None) -> float:
    """Give a key that puts the largest first and what is unknown last."""
    return 1.0 if value is None else -float(value)


_NODES: Final[dict[str, Callable[[Node], Any]]] = {
    "attention": lambda node: (rank(node.state), node.name),
    "name": lambda node: node.name,
}
_GPUS: Final[dict[str, Callable[[Line], int | None]]] = {
    "utilization": lambda line: None if line.node.silent or not line.gpu else line.gpu.util,
    "memory": lambda line: None if line.node.silent or not line.gpu else line.gpu.memory,
    "temperature": lambda line: line.gpu.temperature if line.gpu else None,
    "power": lambda line: line.gpu.power if line.gpu else None,
}
