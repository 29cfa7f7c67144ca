"""Events of a fake driver, told by a source in a process of its own and by a real child."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.aio.supervise import Supervisor
from citadel_k8s.collectors.base import decode_event, gpus_from
from citadel_k8s.collectors.remote import ChildCollector, argv_of
from citadel_k8s.models.readings import GpuEvent, Gpus, Reading
from tests.native.fake_nvml import DOUBLE_BIT_ECC, HANG, MIB, MIG_CHANGE, FakeNvml, library
from tests.native.nvml_reader import ROOT, NvmlReader


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NvmlReader]:
    reader = NvmlReader(FakeNvml(tmp_path_factory.mktemp("nvml"), count=8))
    yield reader
    reader.close()


@pytest.fixture
def reader(process: NvmlReader) -> Iterator[NvmlReader]:
    process.renew()
    process.watch()
    yield process
    assert process.driver.state.misuses == 0
    assert process.driver.state.sets_alive <= 1


@pytest.fixture
def driver(reader: NvmlReader) -> FakeNvml:
    return reader.driver


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it did not come to be"
        time.sleep(0.005)


def listening(reader: NvmlReader) -> list[dict]:
    gpus = reader.gpus()
    waits = reader.driver.state.waits
    wait_for(lambda: reader.driver.state.waits > waits)
    return gpus


def without_time(events: list[dict]) -> list[dict]:
    return [{key: value for key, value in event.items() if key != "at"} for event in events]


def test_an_xid_is_told_within_moments_with_its_gpu(reader: NvmlReader, driver: FakeNvml):
    gpus = listening(reader)
    delays = []
    for _ in range(20):
        begun = time.monotonic()  # noqa: TID251 - compared with the other process
        driver.xid(3, 48)
        (event,) = reader.wait_told()
        delays.append(event["at"] - begun)
        assert event["kind"] == "xid"
        assert (event["index"], event["uuid"], event["xid"]) == (3, gpus[3]["uuid"], 48)
    assert sorted(delays)[10] < 0.05, delays


def test_the_same_xid_twice_is_told_twice(reader: NvmlReader, driver: FakeNvml):
    listening(reader)
    driver.xid(1, 13)
    driver.xid(1, 13)
    told = reader.wait_told(2)
    assert [(event["kind"], event["xid"]) for event in told] == [("xid", 13)] * 2


def test_memory_errors_are_told_as_such(reader: NvmlReader, driver: FakeNvml):
    gpus = listening(reader)
    driver.event(2, DOUBLE_BIT_ECC, 7)
    assert without_time(reader.wait_told()) == [
        {"kind": "ecc", "index": 2, "uuid": gpus[2]["uuid"], "xid": None}
    ]


def test_an_xid_that_cannot_be_has_no_number(reader: NvmlReader, driver: FakeNvml):
    listening(reader)
    driver.xid(2, 2**63)
    assert reader.wait_told()[0]["xid"] is None


def test_after_an_event_all_is_read_at_once(reader: NvmlReader, driver: FakeNvml):
    listening(reader)
    driver.gpu(0).ecc[1] = 5
    assert reader.gpus()[0]["ecc"]["uncorrected_volatile"] == 0
    driver.event(0, DOUBLE_BIT_ECC)
    reader.wait_told()
    assert reader.gpus()[0]["ecc"]["uncorrected_volatile"] == 5


def test_a_change_of_slices_is_read_at_once(reader: NvmlReader, driver: FakeNvml):
    listening(reader)
    driver.slice(0, ["1g.10gb", "2g.20gb"])
    waits = driver.state.waits
    driver.event(0, MIG_CHANGE)
    wait_for(lambda: driver.state.waits > waits)
    assert len(reader.gpus()[0]["mig"]) == 2
    assert reader.told() == []


def test_a_gpu_without_events_keeps_nobody_elses(reader: NvmlReader, driver: FakeNvml):
    driver.gpu(0).event_types = 0
    driver.fail(1, 999, "nvmlDeviceRegisterEvents")
    assert {gpu["health"] for gpu in listening(reader)} == {"ok"}
    driver.xid(0, 1)
    driver.xid(1, 2)
    driver.xid(2, 3)
    assert [event["xid"] for event in reader.wait_told()] == [3]


def test_a_storm_is_told_whole_and_leaves_rests(reader: NvmlReader, driver: FakeNvml):
    listening(reader)
    for number in range(200):
        driver.xid(number % 8, number)
    told = reader.wait_told(200)
    assert [event["xid"] for event in told] == list(range(200))
    assert told[-1]["at"] - told[0]["at"] > 0.5


def test_a_lost_gpu_does_not_hide_the_events_of_the_other_seven(
    reader: NvmlReader, driver: FakeNvml
):
    listening(reader)
    driver.xid(3, 79)
    driver.lose(3)
    told = reader.wait_told(2)
    assert [(event["kind"], event["xid"]) for event in told] == [
        ("xid", 79),
        ("lost-events", None),
    ]
    assert listening(reader)[3]["reason"] == "GpuLost"
    driver.xid(5, 31)
    assert [(event["index"], event["xid"]) for event in reader.wait_told()] == [(5, 31)]
    driver.heal(3)
    assert listening(reader)[3]["health"] == "ok"
    driver.xid(3, 13)
    assert [(event["index"], event["xid"]) for event in reader.wait_told()] == [(3, 13)]


@pytest.mark.parametrize("code", [1, 15, 999])
def test_a_wait_that_fails_is_told_once_does_not_spin_and_heals(
    reader: NvmlReader, driver: FakeNvml, code: int
):
    listening(reader)
    driver.fail_wait(code)
    (event,) = reader.wait_told()
    assert event["kind"] == "lost-events"
    waits = driver.state.waits
    time.sleep(1.5)
    assert driver.state.waits - waits <= 2
    assert reader.told() == []
    reader.gpus()
    time.sleep(0.1)
    # A new set that fails as well is no news: a parent that reads at each event would spin.
    assert reader.told() == []
    driver.fail_wait(0)
    assert {gpu["health"] for gpu in listening(reader)} == {"ok"}
    driver.xid(0, 48)
    assert reader.wait_told()[0]["xid"] == 48


def test_events_are_heard_again_after_each_new_start(reader: NvmlReader, driver: FakeNvml):
    for round_ in range(3):
        listening(reader)
        driver.xid(0, 40 + round_)
        assert reader.wait_told()[0]["xid"] == 40 + round_
        driver.start_with(9, 999)
        driver.state.every = 1
        assert reader.collect()["kind"] == "failed"
        driver.state.every = 0
        assert [reader.collect()["kind"] for _ in range(2)] == ["absent", "failed"]


def test_a_thousand_starts_leave_nothing_behind(reader: NvmlReader, driver: FakeNvml):
    reader.measure(50, stop=True)
    before = reader.measure(1, stop=True)
    inits = driver.state.inits
    # In steps: each stop waits for the end of a wait, and a new XID is one.
    for _ in range(20):
        after = reader.measure(50, stop=True)
    assert driver.state.inits - inits == 1000
    assert after["descriptors"] == before["descriptors"]
    assert after["private_kib"] - before["private_kib"] < 256
    assert driver.state.sets_alive == 1


def test_starts_in_the_midst_of_events_use_nothing_that_is_gone(
    reader: NvmlReader, driver: FakeNvml
):
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(0.001):
            driver.xid(3, 13)

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        reader.measure(150, stop=True)
    finally:
        ended.set()
        teller.join()
    assert {event["kind"] for event in reader.told()} == {"xid"}


def test_each_tier_makes_no_more_calls_than_it_has_values(reader: NvmlReader, driver: FakeNvml):
    for index in range(8):
        driver.processes(index, [(1000 * index + n + 1, 100 * MIB) for n in range(8)])
        driver.link(index, 18)
    reader.gpus()
    calls = [len(reader.calls())]
    for _ in range(8):
        reader.measure(1)
        calls.append(len(reader.calls()))
    assert calls == [797, 121, 121, 121, 145, 121, 121, 121, 145]


def test_the_fake_driver_has_every_call_that_is_made():
    exported = library().read_bytes()
    used: set[str] = set()
    for path in (ROOT / "citadel_k8s" / "collectors").glob("nvml*.py"):
        used |= set(re.findall(r"nvml(?:Init|Shutdown|System|Device|Event)\w+", path.read_text()))
    kinds = ("nvmlEventType", "nvmlEventMig")
    calls = {name for name in used if not name.startswith(kinds) and not name.endswith("_t")}
    calls.remove("nvmlDeviceGetPcieThroughput")  # named to say why it is not made
    assert len(calls) > 40
    for name in calls:
        versions = [name, f"{name}_v2", f"{name}_v3", f"{name}WithFlags"]
        assert any(b"\0" + v.encode() + b"\0" in exported for v in versions), name


# With a real child


@pytest.fixture
async def child(tmp_path: Path):
    driver = FakeNvml(tmp_path, count=2)
    events: list[GpuEvent] = []
    arrived = asyncio.Event()

    def unasked(line: bytes) -> bool:
        event = decode_event(line)
        if event is not None:
            events.append(event)
            arrived.set()
        return event is not None

    supervisor = Supervisor(argv_of(("nvml",), Path("/")), env=driver.env(), unasked=unasked)
    clock = ManualClock()
    collector = ChildCollector("nvml", supervisor, gpus_from, clock=clock, patience=1.0)
    yield driver, collector, events, arrived
    await collector.close()


async def read(collector: ChildCollector[Gpus]) -> Gpus:
    outcome = await collector.collect()
    assert isinstance(outcome, Reading), outcome
    return outcome.value


async def test_an_xid_reaches_the_parent_within_moments(child):
    driver, collector, events, arrived = child
    await read(collector)
    await asyncio.to_thread(wait_for, lambda: driver.state.waits > 0)
    begun = asyncio.get_running_loop().time()
    driver.xid(1, 48)
    async with asyncio.timeout(5):
        await arrived.wait()
    assert asyncio.get_running_loop().time() - begun < 0.25
    uuid = "GPU-00000001-0000-0000-0000-000000000000"
    assert events == [GpuEvent("xid", 1, uuid, 48)]


async def test_a_gpu_that_hangs_when_its_events_are_asked_for_hides_no_others(child):
    driver, collector, events, arrived = child
    driver.hang(0, "nvmlDeviceRegisterEvents")
    gpus = (await read(collector)).gpus
    assert (gpus[0].health, gpus[0].reason) == ("failed", "Unresponsive")
    assert gpus[0].temperature_celsius == 40
    assert gpus[1].health == "ok"
    waits = driver.state.waits
    await asyncio.to_thread(wait_for, lambda: driver.state.waits > waits)
    driver.xid(1, 31)
    async with asyncio.timeout(5):
        await arrived.wait()
    assert events[-1].xid == 31


@pytest.mark.parametrize(
    "call",
    ["nvmlEventSetCreate", "nvmlSystemGetDriverVersion", "nvmlSystemGetCudaDriverVersion"],
)
async def test_a_call_that_hangs_on_no_gpu_and_is_not_needed_is_done_without(child, call: str):
    driver, collector, _, _ = child
    driver.fail_everywhere(HANG, call)
    assert [gpu.health for gpu in (await read(collector)).gpus] == ["ok", "ok"]
    assert collector.supervisor.started == 2
    assert [gpu.health for gpu in (await read(collector)).gpus] == ["ok", "ok"]
    assert collector.supervisor.started == 2


async def test_a_driver_that_does_not_stop_is_read_on(child):
    driver, collector, _, _ = child
    await read(collector)
    driver.state.shutdown = HANG
    driver.state.count = 1
    for _ in range(2):
        assert len((await read(collector)).gpus) == 1
        assert collector.supervisor.started == 2
    driver.state.count = 2
    assert len((await read(collector)).gpus) == 2
    assert collector.supervisor.started == 2


async def test_a_wait_for_events_that_hangs_costs_a_child_and_no_reading(child):
    driver, collector, _, _ = child
    await read(collector)
    await asyncio.to_thread(wait_for, lambda: driver.state.waits > 0)
    driver.fail_wait(HANG)
    # Nobody notices until NVML has to be stopped: here, since a GPU is gone.
    driver.state.count = 1
    assert len((await read(collector)).gpus) == 1
    assert collector.supervisor.started == 2
    assert len((await read(collector)).gpus) == 1
    assert collector.supervisor.started == 2
