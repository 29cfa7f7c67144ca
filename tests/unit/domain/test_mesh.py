import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from citadel_k8s.domain.mesh import (
    MACHINES_MAX,
    Machine,
    StoredNode,
    assigned,
    machines_of,
    plan,
)
from citadel_k8s.errors import MeshError
from citadel_k8s.models.base import NodeId

NEW: dict[str, Any] = {
    "nodes": [
        {
            "id": "758",
            "machineKey": "mkey:aa",
            "nodeKey": "nodekey:bb",
            "ipAddresses": ["100.64.0.7", "fd7a:115c:a1e0::7"],
            "name": "GPU-Box",
            "user": {"id": "3", "name": "team-a", "createdAt": "2026-01-01T00:00:00Z"},
            "lastSeen": "2026-11-23T08:00:00.123456789Z",
            "expiry": None,
            "createdAt": "2026-01-01T00:00:00Z",
            "registerMethod": "REGISTER_METHOD_AUTH_KEY",
            "forcedTags": [],
            "validTags": ["tag:gpu"],
            "givenName": "gpu-box",
            "online": True,
        },
        {"id": "759", "name": "idle", "user": {"email": "bob@example.com"}},
    ]
}
OLD: dict[str, Any] = {
    "machines": [
        {
            "id": "12",
            "ipAddresses": ["100.64.0.2"],
            "name": "old-box",
            "namespace": {"id": "1", "name": "team-b", "createdAt": "2022-01-01T00:00:00Z"},
            "lastSeen": "2026-11-23T08:00:00Z",
            "givenName": "old-box-renamed",
        }
    ]
}


def test_machines_of_headscale_since_0_23_are_read() -> None:
    machines, unreadable = machines_of(NEW)
    assert unreadable == 0
    assert machines[0] == Machine(
        headscale_id="758",
        name="gpu-box",
        addresses=("100.64.0.7", "fd7a:115c:a1e0::7"),
        owner="team-a",
        online=True,
        seen_at=pytest.approx(1795420800.123, abs=0.01),
    )
    assert machines[1] == Machine("759", "idle", (), "bob@example.com", online=False, seen_at=None)


def test_machines_of_headscale_before_0_23_are_read() -> None:
    machines, unreadable = machines_of(OLD)
    assert unreadable == 0
    assert (machines[0].name, machines[0].owner) == ("old-box-renamed", "team-b")


def test_an_empty_mesh_leaves_its_list_out() -> None:
    assert machines_of({}) == ([], 0)


@pytest.mark.parametrize(
    "document",
    [None, [], "nodes", {"error": "no"}, {"nodes": {}}, {"nodes": [1] * (MACHINES_MAX + 1)}],
)
def test_an_answer_that_is_no_list_of_machines_is_refused(document: Any) -> None:
    with pytest.raises(MeshError):
        machines_of(document)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        {},
        {"id": "x", "name": "a"},
        {"id": "1"},
        {"id": "1", "name": 7},
        {"id": "-1", "name": "a"},
        {"id": "1" * 20, "name": "a"},
    ],
)
def test_an_entry_that_cannot_be_read_is_counted_and_the_others_stay(entry: Any) -> None:
    machines, unreadable = machines_of({"nodes": [entry, {"id": "1", "name": "fine"}]})
    assert [machine.name for machine in machines] == ["fine"]
    assert unreadable == 1


def test_addresses_that_are_none_are_left_out() -> None:
    entry = {"id": "1", "name": "a", "ipAddresses": ["100.64.0.1", "evil.example", 7, None]}
    assert machines_of({"nodes": [entry]})[0][0].addresses == ("100.64.0.1",)


def machine(number: int, name: str = "box", owner: str = "team") -> Machine:
    return Machine(str(number), name, ("100.64.0.1",), owner, online=True, seen_at=None)


def test_owners_are_mapped_to_orgs_and_the_rest_is_counted() -> None:
    machines = [machine(1, owner="a"), machine(2, owner="b")]
    assert assigned(machines, {"a": "acme"}, None) == ([("acme", machines[0])], 1)
    assert assigned(machines, {"a": "acme"}, "rest")[0][1] == ("rest", machines[1])


def node(
    node_id: str, number: str | None, source: str = "mesh", *, reported: bool = False
) -> StoredNode:
    return StoredNode("acme", node_id, number, source, reported=reported)


def test_a_machine_that_is_new_becomes_a_node() -> None:
    changes = plan([], [("acme", machine(1, "gpu-1"))])
    assert [(n.org_id, n.node_id) for n in changes.write] == [("acme", "gpu-1")]
    assert not changes.delete
    assert not changes.left


def test_a_node_that_reported_under_its_name_gets_its_machine() -> None:
    changes = plan([node("gpu-1", None, "report", reported=True)], [("acme", machine(1, "gpu-1"))])
    assert [n.node_id for n in changes.write] == ["gpu-1"]


def test_a_machine_that_speaks_under_another_id_has_one_row() -> None:
    stored = [node("gpu-1", "1"), node("GPU1.local", "1", "report", reported=True)]
    changes = plan(stored, [("acme", machine(1, "gpu-1"))])
    assert [n.node_id for n in changes.write] == ["GPU1.local"]
    assert [n.node_id for n in changes.delete] == ["gpu-1"]


def test_two_machines_of_one_name_are_told_apart() -> None:
    changes = plan([], [("acme", machine(1, "box")), ("acme", machine(2, "box"))])
    assert [n.node_id for n in changes.write] == ["box", "box-2"]


def test_one_name_in_two_orgs_is_two_nodes() -> None:
    changes = plan([], [("acme", machine(1, "box")), ("zeta", machine(2, "box"))])
    assert [(n.org_id, n.node_id) for n in changes.write] == [("acme", "box"), ("zeta", "box")]


def test_a_machine_that_left_goes_unless_its_node_ever_spoke() -> None:
    stored = [node("a", "1"), node("b", "2", "report", reported=True), node("c", None, "report")]
    changes = plan(stored, [])
    assert [n.node_id for n in changes.delete] == ["a"]
    assert [n.node_id for n in changes.left] == ["b"]


NAMES = st.text(st.sampled_from(string.ascii_letters + string.digits + ".-_ /ü"), max_size=90)
SEEN = st.lists(
    st.tuples(st.sampled_from(["acme", "zeta"]), st.integers(1, 6), NAMES),
    max_size=8,
    unique_by=lambda item: (item[0], item[1]),
)


@given(SEEN, SEEN)
def test_ids_are_valid_and_unique_and_a_second_look_changes_none(
    first: list[tuple[str, int, str]], second: list[tuple[str, int, str]]
) -> None:
    stored: dict[tuple[str, str], StoredNode] = {}
    for looks in (first, second, second):
        seen = [(org, machine(number, name)) for org, number, name in looks]
        changes = plan(stored.values(), seen)
        keys = [(n.org_id, n.node_id) for n in changes.write]
        assert len(set(keys)) == len(keys) == len(looks)
        for _, node_id in keys:
            TypeAdapter(NodeId).validate_python(node_id)
        before = set(stored)
        for gone in changes.delete:
            del stored[gone.org_id, gone.node_id]
        for written in changes.write:
            stored[written.org_id, written.node_id] = StoredNode(
                written.org_id,
                written.node_id,
                written.machine.headscale_id,
                "mesh",
                reported=False,
            )
    assert set(stored) == before
