"""Whose object is taken away."""

from dataclasses import replace

import pytest

from citadel_k8s.domain.liveness import Policy, created
from citadel_k8s.domain.removal import WATCHED, Absence, removal
from citadel_k8s.models.fabricnode import NodeState

NEW = created(Policy(10, 3, 5), 0.0)
OFFLINE = replace(NEW, state=NodeState.OFFLINE)
DECOMMISSIONED = replace(NEW, state=NodeState.DECOMMISSIONED)
DAY = 86_400.0
LONG = Absence(proved=DAY, dated=4 * DAY, in_cluster=False)


def test_a_node_outside_the_cluster_is_given_up_in_the_end():
    assert removal(OFFLINE, LONG, 3 * DAY) == "OfflineTooLong"
    assert removal(OFFLINE, replace(LONG, dated=2 * DAY), 3 * DAY) is None


def test_a_node_of_the_cluster_keeps_its_object():
    assert removal(OFFLINE, replace(LONG, in_cluster=True), 3 * DAY) is None
    assert removal(DECOMMISSIONED, replace(LONG, in_cluster=True), 3 * DAY) is None


def test_without_a_date_nobody_is_given_up():
    assert removal(OFFLINE, replace(LONG, dated=None), 3 * DAY) is None


def test_dates_alone_give_nobody_up():
    assert removal(OFFLINE, replace(LONG, proved=WATCHED - 1), 3 * DAY) is None
    assert removal(OFFLINE, replace(LONG, proved=WATCHED + 1), 3 * DAY) == "OfflineTooLong"


@pytest.mark.parametrize("state", sorted(set(NodeState) - {"Offline", "Decommissioned"}))
def test_no_other_state_is_given_up(state):
    assert removal(replace(NEW, state=NodeState(state)), LONG, 0.0) is None


def test_a_decommissioned_node_goes_once_it_is_silent():
    assert removal(DECOMMISSIONED, Absence(34, None, in_cluster=False), DAY) is None
    assert removal(DECOMMISSIONED, Absence(36, None, in_cluster=False), DAY) == "Decommissioned"
