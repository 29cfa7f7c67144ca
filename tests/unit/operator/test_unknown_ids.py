"""Ids that neither the cluster nor an object knows: taken on, remembered, or passed over."""

import pytest

from citadel_k8s.errors import WireError
from citadel_k8s.operator.registry import QUARANTINE_MAX
from tests.unit.operator.fakes import FakeKube, World


def world(policy: str) -> World:
    made = World()
    made.registry.unknown_nodes = policy
    return made


def refused(setting: World, node_id: str) -> str:
    with pytest.raises(WireError) as error:
        setting.beat(node_id)
    return error.value.reason


def test_an_id_that_nobody_knows_is_taken_on_where_that_is_the_policy():
    setting = world("adopt")
    setting.beat("stranger")
    assert setting.registry.checks.get("stranger") is not None


@pytest.mark.parametrize(("policy", "kept"), [("quarantine", ["stranger"]), ("ignore", [])])
def test_an_id_that_nobody_knows_makes_no_node_where_it_is_not_wanted(policy, kept):
    setting = world(policy)
    assert refused(setting, "stranger") == "UnknownNode"
    assert setting.registry.nodes == {}
    assert list(setting.registry.quarantined) == kept


def test_a_flood_of_made_up_ids_takes_no_memory():
    setting = world("quarantine")
    for number in range(10 * QUARANTINE_MAX):
        refused(setting, f"made-up-{number}")
    assert len(setting.registry.quarantined) == QUARANTINE_MAX
    assert setting.registry.nodes == {}


@pytest.mark.parametrize("policy", ["quarantine", "ignore"])
def test_an_object_made_by_hand_admits_its_node(policy):
    setting = world(policy)
    refused(setting, "gpu-1")
    setting.restore("gpu-1", state="Unknown")
    setting.beat("gpu-1")
    assert setting.state("gpu-1") == "Online"
    assert setting.registry.quarantined == {}


@pytest.mark.parametrize("policy", ["quarantine", "ignore"])
def test_a_node_of_the_cluster_is_known(policy):
    setting = world(policy)
    setting.registry.observe_kube_node(FakeKube().add_node("gpu-1", "uid"))
    setting.beat("gpu-1")
    assert setting.state("gpu-1") == "Online"
