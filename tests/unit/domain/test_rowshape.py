"""Rows of another shape: what is odd in them is not known, and the rest stays."""

from typing import Any

import pytest

from citadel_k8s.domain.fleetrows import ordered
from citadel_k8s.domain.nodecolumns import cells
from citadel_k8s.domain.rowshape import sound
from citadel_k8s.domain.standing import SORTS

ROW: dict[str, Any] = {
    "id": "a",
    "state": "Online",
    "reason": "r",
    "message": "m",
    "since": "2026-11-24T00:00:00Z",
    "lastHeartbeat": "2026-11-24T00:00:00Z",
    "age": 3.0,
    "labels": {"a": "b"},
    "profile": {
        "name": "n",
        "address": "100.64.0.1",
        "agent": "1.0",
        "gpus": [{"model": "H100", "count": 2}],
        "vramBytes": 5,
        "memoryBytes": 6,
        "models": ["m"],
        "services": 1,
        "transport": "http",
        "driver": "d",
    },
    "pulse": {
        "cpu": 0.1,
        "memory": 0.5,
        "disk": 0.1,
        "power": 9.0,
        "gpu": [[1, 2, 0], [None, None, None]],
        "running": 1.0,
        "waiting": 2.0,
    },
}
ODD: list[Any] = [1, 1e308, float("nan"), "x", [1], {"a": 1}, [[]], [None], True, 10**30, None]


def test_a_row_as_it_has_to_be_stays_as_it_is():
    assert sound(ROW) == ROW


def test_what_is_not_told_is_added_as_not_known():
    assert sound({"id": "a"}) == {"id": "a", "profile": {"name": "a"}, "pulse": {}}


def test_what_is_of_a_later_version_is_kept():
    assert sound({**ROW, "more": [1]})["more"] == [1]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("room", ["", "profile", "pulse"])
def test_a_fleet_is_shown_whatever_one_row_holds(room: str, odd: Any):
    for key in ROW[room] if room else ROW:
        row = sound({**ROW, room: {**ROW[room], key: odd}} if room else {**ROW, key: odd})
        assert all(isinstance(cell, str) for cell in cells(row, 1.8e9, wide=True))
        for sort in SORTS:
            assert len(ordered([row, ROW], sort)) == 2
