"""Pages put together are the whole list, whatever happens to others meanwhile."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.api.fabric.cursor import decode_cursor, encode_cursor
from citadel_k8s.api.fabric.rows import Item, Judge, words_of
from citadel_k8s.api.fabric.sorting import Order, order_of
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.domain.life import Policy
from tests.unit.api.live.rows import INGESTED, row, spoken

SORTS = ["state", "-state", "name", "-name", "since", "-since", "gpus", "-gpus", "agent", "models"]
JUDGE = Judge(INGESTED, Policy())

NODES = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "B", "b", "ä", "", "z" * 50]),
        "verdict": st.sampled_from(["Online", "Degraded", None]),
        "stream_ms": st.sampled_from([995_000, 940_000, 1_000]),
        "state_since_ms": st.sampled_from([0, 5, 9]),
        "gpus": st.sampled_from([None, 0, 8]),
        "agent": st.sampled_from([None, "0.1", "0.2"]),
    }
)


def item(node_id: str, given: dict[str, Any]) -> Item:
    if given["verdict"] is None:
        made = row(node_id, name=given["name"])
    else:
        profile = {"name": given["name"], "agent": given["agent"]}
        if given["gpus"] is not None:
            profile["gpus"] = [{"model": "x", "count": given["gpus"]}]
        made = spoken(
            node_id, profile=json.dumps(profile), verdict=given["verdict"],
            state=given["verdict"], stream_ms=given["stream_ms"],
            state_since_ms=given["state_since_ms"],
        )  # fmt: skip
    words = words_of(made, "acme")
    return Item(made, words, JUDGE.judge(made, words))


def page(items: list[Item], order: Order, cursor: str | None, limit: int) -> list[Item]:
    last = decode_cursor(cursor, "q", order.kinds) if cursor else None
    chosen = order.sorted(items)
    return list(chosen if last is None else order.after(chosen, last))[:limit]


@given(st.lists(NODES, max_size=25), st.sampled_from(SORTS), st.integers(1, 7))
def test_pages_put_together_are_the_whole_list(
    nodes: list[dict[str, Any]], sort: str, limit: int
) -> None:
    order = order_of(sort)
    items = [item(f"n{number}", given) for number, given in enumerate(nodes)]
    found, cursor = [], None
    while shown := page(items, order, cursor, limit):
        found += shown
        cursor = encode_cursor("q", order.key(shown[-1]))

    assert found == order.sorted(items)


@given(st.data(), st.lists(NODES, min_size=1, max_size=20), st.sampled_from(SORTS))
def test_what_does_not_change_is_there_once_whatever_else_changes(
    data: st.DataObject, nodes: list[dict[str, Any]], sort: str
) -> None:
    order = order_of(sort)
    there = {f"n{number}": given for number, given in enumerate(nodes)}
    touched: set[str] = set()
    found: list[str] = []
    cursor = None
    for number in range(60):
        items = [item(node_id, given) for node_id, given in there.items()]
        shown = page(items, order, cursor, 3)
        if not shown:
            break
        found += [one.node_id for one in shown]
        cursor = encode_cursor("q", order.key(shown[-1]))
        changed = data.draw(st.sampled_from(sorted(there)))
        touched.add(changed)
        what = data.draw(st.sampled_from(["gone", "other", "new"]))
        if what == "gone" and len(there) > 1:
            del there[changed]
        elif what == "other":
            there[changed] = data.draw(NODES)
        elif what == "new" and number < 5:
            there[f"new{number}"] = data.draw(NODES)
            touched.add(f"new{number}")

    still = {f"n{number}" for number in range(len(nodes))} - touched
    assert {node_id: found.count(node_id) for node_id in still} == dict.fromkeys(still, 1)


def test_what_is_not_known_comes_last_either_way() -> None:
    known = {"name": "a", "verdict": "Online", "stream_ms": 995_000, "state_since_ms": 0,
             "gpus": 8, "agent": None}  # fmt: skip
    items = [item("n1", known | {"gpus": None}), item("n2", known), item("n3", known | {"gpus": 0})]

    for sort in ("gpus", "-gpus"):
        assert [one.node_id for one in order_of(sort).sorted(items)][-1] == "n1"


@pytest.mark.parametrize("text", ["cpu", "--name", "-", "name,state", "NAME", " name"])
def test_there_are_only_these_orders(text: str) -> None:
    with pytest.raises(RefusalError):
        order_of(text)
