"""What is read of raw objects, whatever people made of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.liveness import Policy
from citadel_k8s.errors import WireError
from citadel_k8s.operator.records import KubeNode, ObservedObject, policy_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def node(**parts) -> KubeNode:
    return KubeNode.parse({"metadata": {"name": "gpu-1", "uid": "u"}, **parts})


@pytest.mark.parametrize(
    ("word", "ready"), [("True", True), ("False", False), ("Unknown", False), (None, None)]
)
def test_a_node_is_ready_when_the_cluster_says_so(word, ready):
    others = {"type": "MemoryPressure", "status": "True"}
    conditions = [others] if word is None else [others, {"type": "Ready", "status": word}]
    assert node(status={"conditions": conditions}).ready is ready


def test_a_cordoned_node_takes_no_pods():
    assert node(spec={"unschedulable": True}).unschedulable
    assert not node(spec={}).unschedulable
    assert not node(spec={"unschedulable": "yes"}).unschedulable


def test_a_node_without_a_name_is_none():
    with pytest.raises(WireError, match="BadNodeId"):
        KubeNode.parse({})


@given(spec=JSON, status=JSON)
def test_whatever_people_put_into_an_object_it_can_be_read(spec, status):
    found = ObservedObject.parse({"metadata": {"name": "a"}, "spec": spec, "status": status})
    assert found.status() is not None
    assert policy_of(found, Policy()).timeout > 0
    assert found.maintenance in {True, False}


@given(spec=JSON, status=JSON)
def test_whatever_a_node_of_the_cluster_says_it_can_be_read(spec, status):
    assert node(spec=spec, status=status).ready in {True, False, None}


def test_what_people_want_is_read_from_the_spec():
    spec = {"nodeId": "a", "maintenance": True, "decommission": True, "config": {"b": 1}}
    found = ObservedObject.parse({"metadata": {"name": "a"}, "spec": spec})
    assert (found.maintenance, found.decommission) == (True, True)
    assert found.kept_spec == {"maintenance": True, "config": {"b": 1}}
    vague = ObservedObject.parse({"metadata": {"name": "a"}, "spec": {"maintenance": "yes"}})
    assert not vague.maintenance
