from pathlib import Path

import pytest

from citadel_k8s.collectors.sockettables import (
    COST_PER_LOOK,
    EAGER_LOOKS,
    KEPT_LOOKS_MAX,
    SocketTables,
)
from tests.unit.collectors import trees

NOTHING: frozenset[int] = frozenset()
MARKS = [(42, 100)]


class Meter:
    """CPU time that each reading of tables costs as much of as is set."""

    def __init__(self, cost: float) -> None:
        self.cost = cost
        self.readings = 0
        self._calls = 0

    def __call__(self) -> float:
        self._calls += 1
        self.readings = self._calls // 2
        return self.readings * self.cost


@pytest.fixture
def root(tmp_path: Path) -> Path:
    listening(tmp_path, 8000)
    trees.join(tmp_path, 42, "pod")
    return tmp_path


def listening(root: Path, *ports: int) -> None:
    trees.network(root, "pod", tcp=[("0.0.0.0", port, port) for port in ports])


def look(tables: SocketTables, networks=(1,), marks=None, awaited=NOTHING) -> list[int]:
    tables.begin()
    found = [tables.of(network, 42, marks or MARKS, awaited) for network in networks]
    tables.end()
    return [port for rows in found for _, port, _ in rows]


def test_cheap_tables_are_read_at_every_look(root: Path):
    meter = Meter(COST_PER_LOOK / 10)
    tables = SocketTables(str(root / "proc"), meter)
    assert look(tables) == [8000]
    listening(root, 9000)
    assert look(tables) == [9000]
    assert meter.readings == 2


def test_dear_tables_cost_no_more_than_is_allowed_for(root: Path):
    meter = Meter(COST_PER_LOOK * 2)
    tables = SocketTables(str(root / "proc"), meter)
    networks = range(4)
    assert look(tables, networks) == [8000] * 4
    for _ in range(90):
        assert look(tables, networks) == [8000] * 4
    assert (meter.readings - 4) * meter.cost <= 90 * COST_PER_LOOK


def test_no_table_is_kept_for_ever(root: Path):
    meter = Meter(COST_PER_LOOK * 1000)
    tables = SocketTables(str(root / "proc"), meter)
    look(tables)
    listening(root, 9000)
    assert [9000] in [look(tables) for _ in range(KEPT_LOOKS_MAX)]


def test_other_processes_are_reason_to_look_again(root: Path):
    tables = SocketTables(str(root / "proc"), Meter(1))
    look(tables)
    listening(root, 9000)
    assert look(tables, marks=[(42, 100), (43, 200)]) == [9000]


def test_a_server_that_does_not_listen_yet_is_waited_for_but_not_for_ever(root: Path):
    meter = Meter(1)
    tables = SocketTables(str(root / "proc"), meter)
    for _ in range(10):
        assert look(tables, awaited=frozenset({9000})) == [8000]
    assert meter.readings == 10
    listening(root, 8000, 9000)
    assert look(tables, awaited=frozenset({9000})) == [8000, 9000]
    before = meter.readings
    look(tables, awaited=frozenset({9000}))
    assert meter.readings <= before + 1
    for _ in range(2 * EAGER_LOOKS):
        look(tables, awaited=frozenset({7}))
    before = meter.readings
    for _ in range(KEPT_LOOKS_MAX):
        look(tables, awaited=frozenset({7}))
    assert meter.readings == before + 1


def test_tables_that_cannot_be_read_are_tried_again_at_the_next_look(root: Path):
    tables = SocketTables(str(root / "proc"), Meter(1))
    for name in ("tcp", "tcp6"):
        (root / "proc/42/net" / name).rename(root / name)
    assert look(tables) == []
    for name in ("tcp", "tcp6"):
        (root / name).rename(root / "proc/42/net" / name)
    assert look(tables) == [8000]


def test_nothing_is_remembered_of_namespaces_that_are_gone(root: Path):
    tables = SocketTables(str(root / "proc"), Meter(1))
    look(tables, range(50))
    look(tables, [1])
    assert set(tables._kept) == {1}
