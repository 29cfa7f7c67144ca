"""Which GPUs were reset, and what a GPU that is not well keeps; `test_report` shows it told."""

from dataclasses import replace

import pytest

from citadel_k8s.domain.seen import MISSING_MAX, MISSING_SECONDS, see, tell, were_reset
from citadel_k8s.models.readings import Failed, Gpu, NvLink
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
    for none in (None, 0.0):
        assert were_reset(before, see(before, (gpu(0, energy_joules=none),), 3.0)) == ()


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


def test_a_link_that_goes_down_keeps_its_counts():
    up = NvLink(0, up=True, crc_errors=7, replay_errors=1)
    down = (NvLink(0, up=False), NvLink(1, up=False))
    one = gpu(0, nvlinks=(up, NvLink(1, up=True, crc_errors=2)))
    after = seen((one,), (gpu(0, nvlinks=down),), (gpu(0, nvlinks=down),))
    assert [k.crc_errors for k in after[0].last.nvlinks or ()] == [7, 2]
    assert not any(k.up for k in after[0].last.nvlinks or ())
    back = see(after, (gpu(0, nvlinks=(replace(up, crc_errors=0), down[1])),), 9.0)
    assert [k.crc_errors for k in back[0].last.nvlinks or ()] == [0, 2]


def uuids(memory) -> list[str | None]:
    return [one.gpu.uuid for one in tell(memory, None)]


def test_a_gpu_that_another_one_replaced_is_not_missing():
    new = gpu(0, uuid="GPU-new")
    after = seen((gpu(0), gpu(1)), (new, gpu(1)))
    assert uuids(after) == ["GPU-new", "GPU-1"]
    elsewhere = replace(new, pci_bus_id="00000000:7F:00.0")
    assert uuids(seen((gpu(0), gpu(1)), (elsewhere, gpu(1)))) == ["GPU-new", "GPU-1", "GPU-0"]


def test_a_gpu_that_is_missing_is_told_for_days_and_then_forgotten():
    before = seen((gpu(0), gpu(1)), (gpu(1),))
    kept = see(before, (gpu(1),), 1.0 + MISSING_SECONDS)
    assert uuids(kept) == ["GPU-0", "GPU-1"]
    assert uuids(see(kept, (gpu(1),), 2.0 + MISSING_SECONDS)) == ["GPU-1"]
    back = see(kept, (gpu(0), gpu(1)), 2.0 + MISSING_SECONDS)
    again = see(back, (gpu(1),), 3.0 + MISSING_SECONDS)
    assert uuids(see(again, (gpu(1),), 2 * MISSING_SECONDS)) == ["GPU-0", "GPU-1"]


def test_a_driver_that_names_its_gpus_anew_each_time_fills_no_memory():
    names = [gpu(0, uuid=f"GPU-{n}", pci_bus_id=None) for n in range(200)]
    after = seen(*((one,) for one in names))
    assert len(after) == 1 + MISSING_MAX
    assert {one.gpu.uuid for one in tell(after, None)} == {f"GPU-{n}" for n in range(183, 200)}
