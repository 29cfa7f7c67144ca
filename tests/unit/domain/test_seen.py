"""Which GPUs were reset, and what a GPU that is not well keeps; `test_report` shows it told."""

from dataclasses import replace

import pytest

from citadel_k8s.domain.seen import see, tell, were_reset
from citadel_k8s.models.readings import Failed, Gpu
from tests.unit.domain.richnode import gpu

LOST = Gpu(0, uuid="GPU-0", health="failed", reason="GpuLost")
HUNG = Gpu(0, health="failed", reason="Unresponsive")


def seen(*readings: tuple[Gpu, ...]):
    memory = ()
    for at, reading in enumerate(readings):
        memory = see(memory, reading, float(at))
    return memory


@pytest.mark.parametrize("reason", ["GpuLost", "ResetRequired"])
def test_a_gpu_that_was_lost_and_answers_again_was_reset(reason: str):
    before = seen((gpu(0), gpu(1)), (replace(LOST, reason=reason), gpu(1)))
    after = see(before, (gpu(0), gpu(1)), 3.0)
    assert were_reset(before, after) == ("GPU-0",)


def test_a_gpu_that_was_missing_and_is_listed_again_was_reset():
    before = seen((gpu(0), gpu(1)), (gpu(1),))
    assert were_reset(before, see(before, (gpu(0), gpu(1)), 3.0)) == ("GPU-0",)


def test_a_gpu_that_only_hung_was_not():
    before = seen((gpu(0),), (HUNG,))
    assert were_reset(before, see(before, (gpu(0),), 3.0)) == ()


def test_counters_that_begin_anew_are_a_reset_and_those_that_go_on_are_none():
    before = seen((gpu(0, energy_joules=500.0), gpu(1, energy_joules=500.0)))
    readings = (gpu(0, energy_joules=1.0), gpu(1, energy_joules=501.0))
    assert were_reset(before, see(before, readings, 3.0)) == ("GPU-0",)
    assert were_reset(before, see(before, (gpu(0, energy_joules=None),), 3.0)) == ()


def test_the_first_reading_is_no_reset():
    assert were_reset((), seen((gpu(0),))) == ()
    assert were_reset(seen((LOST,)), seen((LOST,))) == ()


def test_a_hung_gpu_keeps_all_that_it_measured_and_a_lost_one_only_who_it_is():
    hung, lost = seen((gpu(0),), (HUNG,)), seen((gpu(0),), (LOST,))
    (one,) = tell(hung, None)
    assert (one.since, one.gpu.ecc, one.gpu.nvlinks) == (0.0, gpu(0).ecc, gpu(0).nvlinks)
    (two,) = tell(lost, None)
    assert two.since is None
    assert (two.gpu.name, two.gpu.pci_bus_id) == (gpu(0).name, gpu(0).pci_bus_id)
    assert (two.gpu.processes, two.gpu.power_watts, two.gpu.ecc) == (None, None, None)


def test_a_missing_gpu_keeps_its_maker():
    (one, _) = tell(seen((gpu(0, vendor="amd"), gpu(1)), (gpu(1),)), None)
    assert (one.gpu.vendor, one.gpu.reason) == ("amd", "GpuMissing")


def test_a_source_that_fails_makes_all_its_gpus_unknown_with_the_date_of_their_values():
    (one, two) = tell(seen((gpu(0), gpu(1)), (LOST, gpu(1))), Failed("Unresponsive", "hung"))
    assert {one.gpu.health, two.gpu.health} == {"unknown"}
    assert (one.since, two.since) == (0.0, 1.0)
    assert (two.gpu.reason, two.gpu.message) == ("Unresponsive", "hung")
