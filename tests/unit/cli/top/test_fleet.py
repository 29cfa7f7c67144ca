"""What top keeps of a fleet."""

from citadel_k8s.cli.top.fleet import Fleet
from citadel_k8s.clients.fleet import Change
from tests.unit.cli.top.fleets import row


def test_a_node_that_was_given_up_is_counted_nowhere_however_it_is_told():
    fleet = Fleet()
    fleet.replace([row("a"), row("b"), row("c", state="Decommissioned")])
    fleet.take(Change("gone", "a"), 0)
    fleet.take(Change("node", "a", row={"id": "a", "state": "Decommissioned"}), 0)
    fleet.take(Change("node", "b", row=row("b", state="Decommissioned")), 0)
    assert (fleet.nodes, fleet.rows, fleet.totals().gpus) == ({}, {}, 0)
