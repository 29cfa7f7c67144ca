"""What is wrong with a node, by its own words."""

import pytest

from citadel_k8s.domain.facts import GpuFact, NodeFacts, ServiceFact, SourceFact, facts_from
from citadel_k8s.domain.verdicts import faults_of
from tests.unit.domain.samples import message, service


def facts(**status) -> NodeFacts:
    return facts_from(message(**status))


def test_a_healthy_node_has_no_fault():
    assert faults_of(facts()) == ()


def test_a_lost_gpu_is_definite():
    broken = [{"index": 0, "name": "H100", "health": "failed", "reason": "GpuLost"}]
    (fault,) = faults_of(facts(gpu=broken))
    assert (fault.reason, fault.definite) == ("GpuLost", True)


def test_a_gpu_that_gave_no_answer_once_is_soft():
    broken = [{"index": 0, "name": "H100", "health": "failed", "reason": "Unresponsive"}]
    (fault,) = faults_of(facts(gpu=broken))
    assert not fault.definite


def test_a_refused_connection_is_a_definite_fault():
    down = service(status="stopped", health="unhealthy", reason="ConnectionRefused")
    (fault,) = faults_of(facts(services=[down]))
    assert (fault.reason, fault.definite) == ("ServiceDown", True)


def test_a_service_that_could_be_started_is_no_fault():
    spare = service(status="stopped", health="unknown", resident=False)
    assert faults_of(facts(services=[spare])) == ()


def test_a_starting_service_is_no_fault():
    assert faults_of(facts(services=[service(health="starting")])) == ()


@pytest.mark.parametrize("health", ["unhealthy", "degraded"])
def test_an_unhealthy_service_is_a_soft_fault(health):
    (fault,) = faults_of(facts(services=[service(health=health)]))
    assert (fault.reason, fault.definite) == ("ServiceUnhealthy", False)


def test_a_full_disk_a_wrong_clock_and_a_failed_source_are_soft_faults():
    said = message(
        system={"disk_percent": 96.0},
        collectors=[{"name": "gpu", "state": "failed", "reason": "Unresponsive"}],
    )
    found = faults_of(facts_from(said, clock_offset=-42.0))
    assert {fault.reason for fault in found} == {"DiskFull", "ClockSkew", "CollectorFailed"}
    assert not any(fault.definite for fault in found)


def test_an_absent_source_is_no_fault():
    absent = [{"name": "gpu", "state": "absent", "reason": "NvmlLibraryNotFound"}]
    assert faults_of(facts(collectors=absent)) == ()


def test_definite_faults_come_first():
    said = message(
        gpu=[
            {"index": 0, "name": "H100", "health": "degraded", "reason": "Throttled"},
            {"index": 1, "name": "H100", "health": "failed", "reason": "GpuLost"},
        ]
    )
    assert [fault.reason for fault in faults_of(facts_from(said))] == ["GpuLost", "Throttled"]


def test_facts_of_some_gpus_are_not_the_nodes_own():
    said = facts(
        gpu=[{"index": 0, "name": "a", "utilization_percent": 90.0}, {"index": 1, "name": "a"}]
    )
    assert said.utilization is None
    assert said.gpus == (GpuFact(0, None, "unknown", None), GpuFact(1, None, "unknown", None))


def test_the_first_messages_word_for_ok_is_understood():
    (first,) = facts(services=[service(health="healthy")]).services or ()
    assert first.serving


def test_names_from_outside_are_cut_and_cleaned():
    (first,) = facts(services=[service(name="x\x00\n" + "y" * 500)]).services or ()
    assert isinstance(first, ServiceFact)
    assert len(first.name) == 96
    assert first.name.isprintable()


def test_sources_that_delivered_are_not_mentioned():
    listed = [{"name": "host", "state": "ok"}, {"name": "gpu", "state": "failed"}]
    assert facts(collectors=listed).sources == (SourceFact("gpu", "failed", "NotReported"),)


@pytest.mark.parametrize("value", [1e300, 1e19, -1.0])
def test_an_impossible_amount_is_not_known(value):
    said = facts(
        system={"memory_total_gb": value},
        services=[service(requests_running=value), service(requests_running=value)],
        gpu=[{"index": 0, "name": "x", "memory_total_mb": 2**62}],
    )
    assert (said.memory_total, said.running, said.vram_total) == (None, None, None)


def test_a_source_of_gpus_that_failed_explains_more_than_one_that_is_absent():
    absent = {"name": "nvml", "state": "absent", "reason": "NvmlLibraryNotFound"}
    other = {"name": "drm", "state": "absent", "reason": "NoDevice"}
    failed = {"name": "drm", "state": "failed", "reason": "Unresponsive"}
    assert facts().gpu_source is None
    assert facts(collectors=[absent]).gpu_source.reason == "NvmlLibraryNotFound"
    assert facts(collectors=[other]).gpu_source is None
    assert facts(collectors=[other, absent]).gpu_source.name == "nvml"
    assert facts(collectors=[absent, failed]).gpu_source.reason == "Unresponsive"
