"""The matrix: situations of a node, and who holds what in each. A fact that is told and is not so
counts against precision, one that is so and is not told against recall."""

from collections.abc import Iterable

import pytest

from citadel_k8s.domain.attribution import attribute
from citadel_k8s.models.readings import Holder, Pods, Process, Processes
from tests.unit.domain.situations import CLAIM, G0, A, Scenario, given, gpu, on, runs
from tests.unit.domain.situations_nvidia import NVIDIA
from tests.unit.domain.situations_other import OTHER
from tests.unit.domain.situations_unsure import UNSURE

SCENARIOS = [*NVIDIA, *OTHER, *UNSURE]

Fact = tuple[int, Holder | None]


def facts(holders: Iterable[tuple[int, tuple[Holder, ...]]]) -> set[Fact]:
    """Give what is told: that a GPU is known, and each of its holders with all that it says."""
    return {(index, holder) for index, held in holders for holder in (None, *held)}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.says)
def test_who_holds_what_is_told_of(scenario: Scenario) -> None:
    assert dict(scenario.run().holders) == scenario.expected


def test_precision_and_recall_are_whole_over_all_situations() -> None:
    right = told = true = 0
    for scenario in SCENARIOS:
        found, expected = facts(scenario.run().holders), facts(scenario.expected.items())
        right, told, true = right + len(found & expected), told + len(found), true + len(expected)
    assert len(SCENARIOS) >= 24
    assert (right / told, right / true) == (1.0, 1.0)


def test_the_order_in_which_pods_and_processes_are_told_changes_no_fact() -> None:
    for scenario in SCENARIOS:
        pods = scenario.pods
        if pods is None or scenario.processes is None:
            continue
        turned = Scenario(
            scenario.says,
            tuple(reversed(scenario.gpus)),
            Pods(pods.pods[::-1], pods.allocations and pods.allocations[::-1]),
            scenario.processes[::-1],
            scenario.expected,
            scenario.before,
            scenario.again,
        )
        assert facts(turned.run().holders) == facts(scenario.expected.items()), scenario.says


def test_the_server_of_mps_is_told_as_such() -> None:
    found = attribute(
        [gpu(on(5))], None, Processes((Process(5, 1, name="nvidia-cuda-mps"),)), None, 0
    )
    owner = found.owner(5)
    assert owner is not None
    assert owner.where == "mps"
    assert found.of(0) == ()


def test_processes_are_told_with_their_pod_and_container() -> None:
    found = attribute(
        [gpu(on(10), on(11), on(12))],
        Pods(A, ()),
        Processes((runs(10, "a"), runs(11, None))),
        None,
        0,
    )
    by_pid = {o.pid: (o.where, o.namespace, o.pod, o.container) for o in found.processes}
    assert by_pid == {
        10: ("pod", "ns", "a", "main"),
        11: ("host", None, None, None),
        12: ("unknown", None, None, None),
    }
    assert found.owner(99) is None


def test_what_nobody_can_place_is_told_apart() -> None:
    lost = given("a", "gpu-17", G0, resource=CLAIM, claim="mine")
    found = attribute(
        [gpu()], Pods(A, (lost, given("a", "eth0", resource="x.io/nic"))), None, None, 0
    )
    assert [(a.pod, a.devices) for a in found.unplaced] == [("a", ("gpu-17",))]
