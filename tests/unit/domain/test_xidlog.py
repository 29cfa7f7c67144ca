import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.xidlog import (
    BURST_SECONDS,
    BURST_TOLD,
    GPUS_MAX,
    XIDS_MAX,
    XidLog,
    key_of,
)
from citadel_k8s.models.readings import GpuEvent, XidCount

INTERVAL = 30.0


def xid(number: int, gpu: str | None = "GPU-0", index: int | None = 0) -> GpuEvent:
    return GpuEvent("xid", index, gpu, number)


def log(*numbers: int, at: float = 100.0) -> XidLog:
    told = XidLog()
    for number in numbers:
        told = told.learn(xid(number), at=at, date=5000.0 + at)
    return told


def active(told: XidLog, now: float, key: str = "GPU-0") -> list[int]:
    return [one.xid for one in told.active(key, now, INTERVAL)]


def test_the_same_error_twice_counts_twice_with_the_last_date():
    told = log(31, at=100).learn(xid(31), at=110, date=5110)
    assert told.counts("GPU-0") == (XidCount(31, 2, 5110),)


def test_errors_are_kept_by_number_and_by_gpu():
    told = log(79, 31).learn(xid(31, "GPU-1", 1), at=1, date=2)
    assert [one.xid for one in told.counts("GPU-0")] == [31, 79]
    assert told.counts("GPU-1") == (XidCount(31, 1, 2),)
    assert told.counts("GPU-2") == ()


def test_a_gpu_without_a_uuid_is_known_by_its_index_and_an_error_of_none_has_no_key():
    told = XidLog().learn(xid(31, None, 3), at=1, date=1).learn(xid(31, None, None), at=1, date=1)
    assert (told.counts("#3")[0].count, told.counts("")[0].count) == (1, 1)
    assert (key_of("GPU-0", 3), key_of(None, 3), key_of(None, None)) == ("GPU-0", "#3", "")


@pytest.mark.parametrize("event", [GpuEvent("ecc", 0, "GPU-0"), GpuEvent("xid", 0, "GPU-0")])
def test_an_event_without_a_number_is_no_error(event: GpuEvent):
    assert XidLog().learn(event, at=1, date=1) == XidLog()


def test_events_that_the_driver_dropped_are_counted():
    assert XidLog().learn(GpuEvent("lost-events", None, None), at=1, date=1).lost == 1


def test_an_error_that_is_over_by_itself_weighs_for_two_heartbeats():
    told = log(31)
    assert active(told, 145) == [31]
    assert active(told, 145.1) == []
    assert active(told.learn(xid(31), at=170, date=1), 200) == [31]


def test_an_error_that_asks_for_a_reset_weighs_until_there_was_one():
    told = log(79, 31)
    assert active(told, 1e6) == [79]
    reset = told.clear("GPU-0")
    assert active(reset, 1e6) == []
    assert reset.counts("GPU-0") == told.counts("GPU-0")
    assert active(reset.learn(xid(79), at=1e6, date=1), 1e6 + 1) == [79]


def test_a_reset_of_a_gpu_without_errors_changes_nothing():
    told = log(79)
    assert told.clear("GPU-9") is told
    cleared = told.clear("GPU-0")
    assert cleared.clear("GPU-0") is cleared


def test_a_dying_gpu_keeps_the_numbers_that_it_told_last():
    told = XidLog()
    for number in range(XIDS_MAX + 5):
        told = told.learn(xid(1000 + number), at=number, date=number)
    kept = [one.xid for one in told.counts("GPU-0")]
    assert kept == list(range(1005, 1005 + XIDS_MAX))


def test_the_gpus_that_told_something_last_are_kept():
    told = XidLog()
    for number in range(GPUS_MAX + 3):
        told = told.learn(xid(31, f"GPU-{number}"), at=number, date=number)
    assert len(told.entries) == GPUS_MAX
    assert told.counts("GPU-2") == ()
    assert told.counts("GPU-3") != ()


def test_each_error_is_news_until_it_comes_in_a_burst():
    told, marks = XidLog(), set()
    for second in range(1000):
        told = told.learn(xid(31), at=second, date=second)
        marks.add(told.marks())
    assert BURST_TOLD < len(marks) < BURST_TOLD + 10
    assert told.counts("GPU-0")[0].count == 1000
    later = told.learn(xid(31), at=1000 + BURST_SECONDS + 1, date=1)
    assert later.marks() != told.marks()


@given(st.lists(st.tuples(st.integers(-5, 200), st.integers(0, 100)), max_size=300))
def test_no_stream_of_events_makes_the_log_large_and_no_count_is_lost(events):
    told = XidLog()
    for at, (number, gpu) in enumerate(events):
        told = told.learn(xid(number, f"GPU-{gpu}"), at=at, date=at)
    assert len(told.entries) <= GPUS_MAX
    assert all(len(entries) <= XIDS_MAX for entries in told.entries.values())
    if len({gpu for _, gpu in events}) <= GPUS_MAX:
        counted = sum(one.count for key in told.entries for one in told.counts(key))
        distinct = {gpu: len({n for n, g in events if g == gpu}) for _, gpu in events}
        if all(count <= XIDS_MAX for count in distinct.values()):
            assert counted == len(events)
