"""Each rule with its boundary, and what holds of all."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain import findings
from citadel_k8s.domain.gpuhealth import (
    BUSY_RATIO,
    HOLD_SECONDS,
    HOT_CELSIUS,
    HOT_MEMORY_CELSIUS,
    LINK_SECONDS,
    RISE_SECONDS,
    GpuHistory,
    judge,
    usual_links,
    watch,
)
from citadel_k8s.domain.xids import RULES
from citadel_k8s.models.readings import EccErrors, Gpu, NvLink, Pcie, RowRemap, XidCount
from tests.unit.domain.richnode import gpu

WELL = gpu(0, processes=None)


def judged(one: Gpu, *xids: int, history: GpuHistory | None = None, now: float = 0.0) -> Gpu:
    """Give what is said of a GPU that has been so for a while."""
    seen = watch(history or GpuHistory(), one, now - LINK_SECONDS)
    seen = watch(seen, one, now)
    return judge(one, seen, [XidCount(x, 1, 0.0) for x in xids], now=now)


def after(*readings: tuple[float, Gpu], now: float | None = None) -> Gpu:
    history = GpuHistory()
    for at, reading in readings:
        history = watch(history, reading, at)
    at, last = readings[-1]
    return judge(last, history, now=at if now is None else now)


def ecc(uncorrected: int | None) -> Gpu:
    return replace(WELL, ecc=EccErrors(0, uncorrected, 0, 0))


def reasons(one: Gpu) -> list[str]:
    return [verdict.reason for verdict in one.verdicts]


def test_a_gpu_that_tells_nothing_bad_is_left_as_it_is():
    assert judged(WELL) == WELL


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ecc": EccErrors(0, 1, 0, 1)}, "EccErrors"),
        ({"row_remap": RowRemap(0, 1, pending=True, failed=False)}, "RowRemapPending"),
        ({"throttle_reasons": ("hw-thermal-slowdown",)}, "HwThermalSlowdown"),
        ({"throttle_reasons": ("hw-slowdown", "hw-thermal-slowdown")}, "HwThermalSlowdown"),
        ({"throttle_reasons": ("hw-slowdown", "hw-power-brake-slowdown")}, "HwPowerBrake"),
        ({"throttle_reasons": ("hw_power_brake_slowdown",)}, "HwPowerBrake"),
        ({"throttle_reasons": ("hw-slowdown",)}, "HwSlowdown"),
        ({"temperature_celsius": HOT_CELSIUS}, "TemperatureHigh"),
        ({"memory_temperature_celsius": HOT_MEMORY_CELSIUS}, "MemoryTemperatureHigh"),
        ({"pcie": Pcie(5, 5, 8, 16)}, "PcieWidth"),
        ({"pcie": Pcie(1, 5, 16, 16), "utilization_ratio": BUSY_RATIO}, "PcieGeneration"),
    ],
)
def test_what_limits_a_gpu_degrades_it(change, reason: str):
    one = judged(replace(WELL, **change))
    assert (one.health, one.reason, reasons(one)) == ("degraded", reason, [reason])
    assert one.message == one.verdicts[0].message


@pytest.mark.parametrize(
    "change",
    [
        {"ecc": EccErrors(99, 0, 99, 7)},
        {"ecc": EccErrors(None, None, None, None)},
        {"row_remap": RowRemap(3, 1, pending=False, failed=False)},
        {"throttle_reasons": ("sw-power-cap", "gpu-idle", "sync-boost", "applications-clocks")},
        {"throttle_reasons": None},
        {"temperature_celsius": HOT_CELSIUS - 1},
        {"memory_temperature_celsius": HOT_MEMORY_CELSIUS - 1},
        {"temperature_celsius": None, "memory_temperature_celsius": None},
        {"pcie": Pcie(1, 5, 16, 16), "utilization_ratio": BUSY_RATIO - 0.01},
        {"pcie": Pcie(1, 5, 16, 16), "utilization_ratio": None},
        {"pcie": Pcie(1, 4, 4, 16), "utilization_ratio": 0.0},
        {"pcie": Pcie(0, 5, 0, 16)},
        {"pcie": Pcie(None, 5, None, 16)},
        {"pcie": None},
        {"nvlinks": tuple(NvLink(link, up=False) for link in range(12))},
        {"nvlinks": ()},
    ],
)
def test_what_limits_nothing_is_no_fault(change):
    assert judged(replace(WELL, **change)).health == "ok"


def test_memory_without_a_spare_row_fails_the_gpu():
    one = judged(replace(WELL, row_remap=RowRemap(0, 9, pending=True, failed=True)))
    assert (one.health, reasons(one)) == ("failed", ["RowRemapFailed"])


def test_the_driver_keeping_the_gpu_cool_is_told_and_no_fault():
    one = judged(replace(WELL, throttle_reasons=("sw-thermal-slowdown",)))
    assert (one.health, reasons(one)) == ("ok", ["SwThermalSlowdown"])


def test_memory_errors_that_rise_twice_within_ten_minutes_fail_the_gpu():
    one = after((0, ecc(0)), (10, ecc(1)), (20, ecc(1)))
    assert (one.health, reasons(one)) == ("degraded", ["EccErrors"])
    two = after((0, ecc(0)), (10, ecc(1)), (20, ecc(2)))
    assert (two.health, reasons(two)) == ("failed", ["EccErrorsGrowing"])


def test_rises_that_lie_far_apart_degrade_only():
    apart = after((0, ecc(0)), (10, ecc(1)), (10 + RISE_SECONDS + 1, ecc(2)))
    assert (apart.health, reasons(apart)) == ("degraded", ["EccErrors"])
    later = after((0, ecc(0)), (10, ecc(1)), (20, ecc(2)), now=RISE_SECONDS + 11)
    assert later.health == "degraded"


def test_errors_that_were_there_before_the_agent_are_no_rise():
    assert after((0, ecc(500)), (10, ecc(500))).health == "degraded"


def test_a_reset_ends_what_was_counted():
    assert after((0, ecc(0)), (10, ecc(1)), (20, ecc(2)), (30, ecc(0))).health == "ok"
    assert after((0, ecc(5)), (10, ecc(6)), (20, ecc(0)), (30, ecc(1))).health == "degraded"


def test_a_count_that_was_not_told_is_no_reset():
    one = after((0, ecc(0)), (10, ecc(1)), (20, replace(WELL, ecc=None)), (30, ecc(2)))
    assert one.health == "failed"


def test_a_symptom_that_flaps_is_one_fault():
    hot = replace(WELL, temperature_celsius=95)
    states = [
        after(*((at, hot if at % 20 == 0 else WELL) for at in range(0, end, 10))).health
        for end in range(30, 300, 10)
    ]
    assert set(states) == {"degraded"}


def test_a_symptom_is_held_for_a_while_and_then_over():
    hot = replace(WELL, temperature_celsius=95)
    assert after((-10, hot), (0, hot), (HOLD_SECONDS, WELL)).health == "degraded"
    assert after((-10, hot), (0, hot), (HOLD_SECONDS + 1, WELL)).health == "ok"


@pytest.mark.parametrize(
    "change",
    [
        {"temperature_celsius": 199},
        {"throttle_reasons": ("hw-slowdown",)},
        {"throttle_reasons": ("hw-slowdown", "hw-thermal-slowdown")},
        {"memory_temperature_celsius": 199},
        {"pcie": Pcie(1, 5, 16, 16)},
        {"pcie": Pcie(5, 5, 1, 16)},
    ],
)
def test_one_sample_is_no_fault(change):
    odd = replace(WELL, **change)
    assert after((0, WELL), (10, odd)).health == "ok"
    assert after((0, WELL), (10, odd), (10.1, odd)).health == "ok"
    assert after((0, WELL), (10, odd), (11 + HOLD_SECONDS, odd)).health == "ok"


def test_lanes_that_are_still_those_of_an_idle_gpu_beside_the_speed_of_a_busy_one_are_no_fault():
    idle = replace(WELL, pcie=Pcie(1, 4, 4, 16), utilization_ratio=0.0)
    begins = replace(WELL, pcie=Pcie(4, 4, 4, 16))
    assert after(*((at, begins if at % 60 else idle) for at in range(0, 600, 10))).health == "ok"


def test_lanes_that_are_missing_at_full_speed_are_told_with_their_number():
    narrow = replace(WELL, pcie=Pcie(4, 4, 8, 16))
    one = after(*((at, narrow) for at in range(0, 90, 10)))
    assert (one.health, one.reason, one.message) == ("degraded", "PcieWidth", "8 of 16 PCIe lanes")


def replayed(count: int | None) -> Gpu:
    return replace(WELL, pcie=Pcie(5, 5, 16, 16, count))


@pytest.mark.parametrize(
    ("readings", "health"),
    [
        ([(0, 100), (60, 108)], "ok"),
        ([(0, 100), (60, 109)], "degraded"),
        ([(0, 100), (10, 140)], "ok"),
        ([(0, 100), (10, 140), (60, 140)], "degraded"),
        ([(0, 100), (120, 116)], "ok"),
        ([(0, 100), (120, 117)], "degraded"),
        ([(0, 100), (60, 0), (120, 5)], "ok"),
        ([(0, 100), (60, None), (120, 117)], "degraded"),
    ],
)
def test_replays_count_by_their_rate(readings, health: str):
    one = after(*((at, replayed(count)) for at, count in readings))
    assert one.health == health


def links(up: int, of: int = 18) -> Gpu:
    return replace(WELL, nvlinks=tuple(NvLink(link, up=link < up) for link in range(of)))


def test_a_link_that_was_up_and_is_down_degrades():
    one = after((0, links(18)), (10, links(17)))
    assert (one.health, reasons(one)) == ("degraded", ["NvLinkDown"])
    assert one.message == "17 NVLinks are up, 18 are expected"


def test_links_that_never_were_up_are_not_built_in():
    assert after((0, links(12)), (10, links(12))).health == "ok"


def test_a_gpu_with_fewer_links_than_most_of_its_kind_is_degraded_from_the_start():
    fleet = [links(18)] * 7 + [links(17)]
    assert usual_links(fleet, WELL.name) == 18
    one = judge(links(17), GpuHistory(), links=18)
    assert one.reason == "NvLinkDown"


def test_a_sliced_gpu_has_its_links_off():
    assert after((0, links(18)), (10, replace(links(0), mig_enabled=True))).health == "ok"


def test_links_of_a_gpu_that_was_sliced_have_time_to_come_up():
    sliced = replace(links(0), mig_enabled=True)
    before = ((0, links(18)), (10, sliced))
    assert after(*before, (20, links(0)), (80, links(0))).health == "ok"
    assert after(*before, (20, links(0)), (10 + LINK_SECONDS + 1, links(0))).health == "degraded"


def test_bridged_pairs_among_others_set_no_standard():
    assert usual_links([links(4), links(4), links(0), links(0)], WELL.name) == 0
    assert usual_links([], WELL.name) == 0
    assert usual_links([replace(links(18), name="other")], WELL.name) == 0


def test_what_the_driver_tells_marks_by_its_rule():
    assert judged(WELL, 79).health == "failed"
    assert judged(WELL, 79).reason == "Xid79"
    assert judged(WELL, 48).health == "degraded"
    assert judged(WELL, 13).health == "ok"
    assert reasons(judged(WELL, 13)) == ["Xid13"]
    assert judged(WELL, 4711).health == "ok"


def test_the_gravest_verdict_comes_first_and_decides():
    one = judged(replace(WELL, temperature_celsius=95), 13, 79, 48)
    assert reasons(one) == ["Xid79", "Xid48", "TemperatureHigh", "Xid13"]
    assert (one.health, one.reason) == ("failed", "Xid79")


@pytest.mark.parametrize(
    "reason", ["GpuLost", "GpuMissing", "ResetRequired", "Unresponsive", "Odd"]
)
def test_a_gpu_whose_reading_failed_keeps_the_readings_reason_and_gets_a_remedy(reason: str):
    bad = Gpu(0, health="failed", reason=reason, message="said so")
    one = judged(bad, 48)
    assert (one.health, one.reason, one.message) == ("failed", reason, "said so")
    assert one.verdicts[0].reason == reason
    assert one.verdicts[0].remedy


def test_a_gpu_of_unknown_health_stays_so_unless_it_failed_for_certain():
    hung = replace(WELL, health="unknown", reason="Unresponsive", message="no answer")
    degraded = judged(replace(hung, temperature_celsius=95))
    assert (degraded.health, degraded.reason) == ("unknown", "Unresponsive")
    assert reasons(degraded) == ["TemperatureHigh"]
    assert judged(hung, 79).health == "failed"


def test_each_finding_has_its_words():
    for reason, (severity, cause, marks, remedy, message) in findings.RULES.items():
        assert severity in {"info", "warning", "fatal"}
        assert cause in {"driver", "hardware", "thermal", "power", "unknown"}
        assert marks in {"none", "degraded", "failed"}
        assert remedy.endswith(".")
        assert message
        assert reason.isalnum()


BY_APPLICATION = [xid for xid, rule in RULES.items() if rule.cause == "application"]
GPUS = st.builds(
    lambda health, celsius, uncorrected: replace(
        WELL,
        health=health,
        reason=None if health == "ok" else "Unresponsive",
        temperature_celsius=celsius,
        ecc=EccErrors(0, uncorrected, 0, 0),
    ),
    st.sampled_from(["ok", "unknown", "failed", "degraded"]),
    st.integers(20, 120) | st.none(),
    st.integers(0, 3) | st.none(),
)


@given(GPUS, st.lists(st.sampled_from(BY_APPLICATION)))
def test_what_applications_do_never_changes_a_gpus_health(one: Gpu, xids: list[int]):
    without, with_them = judged(one), judged(one, *xids)
    assert (with_them.health, with_them.reason) == (without.health, without.reason)


@given(GPUS, st.lists(st.integers(-3, 300)))
def test_a_verdict_never_makes_a_gpu_better(one: Gpu, xids: list[int]):
    gravity = ["ok", "unknown", "degraded", "failed"]
    assert gravity.index(judged(one, *xids).health) >= gravity.index(one.health)


@given(GPUS, st.lists(st.integers(-3, 300)))
def test_judging_twice_is_judging_once(one: Gpu, xids: list[int]):
    once = judged(replace(one, health="ok", reason=None), *xids)
    assert once.health in {"ok", "degraded", "failed"}
    assert judged(WELL, *xids) == judged(WELL, *xids)


def test_the_document_has_the_same_table():
    text = (Path(__file__).parents[3] / "docs" / "gpu-faults.md").read_text()
    for reason, (severity, cause, marks, remedy, _) in findings.RULES.items():
        assert f"| {reason} | {severity} | {cause} | {marks} | {remedy} |" in text
