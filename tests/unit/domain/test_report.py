import json
from dataclasses import replace

import pytest

from citadel_k8s.domain.report import Moment, Speaker, status_message
from citadel_k8s.domain.snapshot import Change, Snapshot, fingerprint, gpus_now
from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.readings import Absent, Engine, Failed, Gpu, Gpus, Host, Reading
from citadel_k8s.models.wire import Goodbye

GIB = 1024**3
MIB = 1024**2
SPEAKER = Speaker("n1", "node-one", "boot-1", 30.0, "1.2.3", status_port=8080)
HOST = Host(
    cpu_ratio=0.1234,
    memory_used_bytes=4 * GIB,
    memory_total_bytes=16 * GIB,
    disk_used_bytes=30 * GIB,
    disk_available_bytes=60 * GIB,
    disk_total_bytes=100 * GIB,
    uptime_seconds=100.9,
    boot_id="kernel-boot",
)
GPU = Gpu(
    index=0,
    uuid="GPU-0",
    name="H100",
    memory_used_bytes=1500 * MIB,
    memory_total_bytes=81559 * MIB,
    utilization_ratio=0.0,
    temperature_celsius=0,
    power_watts=70.04,
    power_limit_watts=700.0,
    health="ok",
)
VLLM = Engine("vllm", "llm", "running", "ok", "vllm", 8000, ("m1",), 3.0, 0.0)


def moment(at: float = 1000.0) -> Moment:
    return Moment(date=1_795_420_800.0 + at, monotonic=at, uptime=at)


def gpus(*items: Gpu) -> Reading[Gpus]:
    return Reading(Gpus("575", items))


def host_only() -> Snapshot:
    return Snapshot(host=Snapshot().host.learn(Reading(HOST), at=1000, duration=0.1))


def full(*items: Gpu, at: float = 1000.0) -> Snapshot:
    snapshot = host_only().learn_gpus(gpus(*(items or (GPU,))), at=at, duration=0.1)
    return snapshot.learn_engines(Reading((VLLM,)), at=at, duration=0.1)


def wire(snapshot: Snapshot, at: float = 1000.0, **more) -> dict:
    return json.loads(encode(status_message(SPEAKER, snapshot, moment(at), **more)))


def test_a_full_snapshot_becomes_the_message_of_the_contract_in_its_units():
    message = wire(full(), seq=7)
    assert message["version"] == "1.0"
    assert message["nodeId"] == "n1"
    assert message["timestamp"] == "2026-11-23T08:16:40Z"
    assert (message["bootId"], message["seq"], message["intervalSeconds"]) == ("boot-1", 7, 30.0)
    assert message["hostBootId"] == "kernel-boot"
    assert message["agent"] == {"version": "1.2.3"}
    assert message["statusPort"] == 8080
    status = message["status"]
    assert status["node"] == {"name": "node-one", "uptime_seconds": 1000}
    assert status["system"] == {
        "cpu_percent": 12.3,
        "memory_used_gb": 4.0,
        "memory_total_gb": 16.0,
        "memory_percent": 25.0,
        "disk_used_gb": 30.0,
        "disk_total_gb": 100.0,
        "disk_percent": 33.3,
        "host_uptime_seconds": 100,
    }
    assert status["gpu"] == [
        {
            "index": 0,
            "name": "H100",
            "memory_used_mb": 1500,
            "memory_total_mb": 81559,
            "temperature_celsius": 0,
            "utilization_percent": 0.0,
            "driver": "575",
            "uuid": "GPU-0",
            "power_watts": 70.0,
            "power_limit_watts": 700.0,
            "vendor": "nvidia",
            "health": "ok",
        }
    ]
    assert status["services"] == [
        {
            "name": "vllm",
            "type": "llm",
            "status": "running",
            "port": 8000,
            "health": "ok",
            "models": ["m1"],
            "engine": "vllm",
            "requests_running": 3.0,
            "requests_waiting": 0.0,
        }
    ]
    assert status["vnc_port"] == 0
    assert [c["state"] for c in status["collectors"]] == ["ok", "ok", "ok"]


def test_what_is_not_known_is_left_out_and_never_zero():
    status = wire(Snapshot())["status"]
    assert status["system"] == {}
    assert "gpu" not in status
    assert "services" not in status
    assert {c["name"]: c["state"] for c in status["collectors"]} == {
        "host": "unknown",
        "nvml": "unknown",
        "engines": "unknown",
    }


def test_an_empty_list_is_told_where_it_is_known_that_there_is_nothing():
    snapshot = Snapshot().learn_gpus(Absent("NvmlLibraryNotFound", "x"), at=1, duration=0)
    snapshot = snapshot.learn_engines(Reading(()), at=1, duration=0)
    status = wire(snapshot)["status"]
    assert (status["gpu"], status["services"]) == ([], [])
    assert status["collectors"][1] == {
        "name": "nvml",
        "state": "absent",
        "reason": "NvmlLibraryNotFound",
        "message": "x",
    }


def test_models_that_are_unknown_are_left_out_and_none_are_an_empty_list():
    locked = replace(VLLM, models=None, reason="Unauthorized", message="401")
    empty = replace(VLLM, models=())
    snapshot = Snapshot().learn_engines(Reading((locked, empty)), at=1, duration=0)
    told = wire(snapshot)["status"]["services"]
    assert "models" not in told[0]
    assert told[0]["reason"] == "Unauthorized"
    assert told[1]["models"] == []


def test_a_gpu_that_never_told_its_name_has_one_that_says_so():
    snapshot = full(Gpu(0, health="failed", reason="Unresponsive"))
    assert wire(snapshot)["status"]["gpu"] == [
        {
            "index": 0,
            "name": "unknown",
            "driver": "575",
            "vendor": "nvidia",
            "verdicts": [
                {
                    "reason": "Unresponsive",
                    "severity": "fatal",
                    "cause": "driver",
                    "remedy": (
                        "Look for a hung driver in the kernel's log; restart the node if it stays."
                    ),
                    "message": "the driver gives no answer about this GPU",
                }
            ],
            "health": "failed",
            "reason": "Unresponsive",
        }
    ]


def test_a_hung_gpu_keeps_its_last_good_values_with_their_age_and_the_others_are_fresh():
    other = replace(GPU, index=1, uuid="GPU-1")
    snapshot = full(GPU, other)
    hung = Gpu(0, health="failed", reason="Unresponsive", message="no answer for 3 s")
    snapshot = snapshot.learn_gpus(gpus(hung, other), at=1030, duration=3)
    one, two = wire(snapshot, at=1042)["status"]["gpu"]
    assert (one["health"], one["reason"], one["age_seconds"]) == ("failed", "Unresponsive", 42.0)
    assert (one["uuid"], one["memory_used_mb"], one["power_watts"]) == ("GPU-0", 1500, 70.0)
    assert two["health"] == "ok"
    assert "age_seconds" not in two


@pytest.mark.parametrize("reason", ["GpuLost", "ResetRequired"])
def test_a_lost_gpu_keeps_who_it_is_and_not_what_it_measured(reason: str):
    snapshot = full().learn_gpus(gpus(Gpu(0, health="failed", reason=reason)), at=1030, duration=0)
    (lost,) = wire(snapshot, at=1042)["status"]["gpu"]
    assert (lost["uuid"], lost["name"], lost["memory_total_mb"]) == ("GPU-0", "H100", 81559)
    assert not {"memory_used_mb", "utilization_percent", "temperature_celsius"} & lost.keys()


def test_a_gpu_that_the_driver_no_longer_lists_is_told_as_missing():
    other = replace(GPU, index=1, uuid="GPU-1")
    snapshot = full(GPU, other).learn_gpus(gpus(replace(other, index=0)), at=1030, duration=0)
    told = {g.uuid: (g.health, g.reason) for g in gpus_now(snapshot, 1030)}
    assert told == {"GPU-1": ("ok", None), "GPU-0": ("failed", "GpuMissing")}
    back = snapshot.learn_gpus(gpus(GPU, other), at=1060, duration=0)
    assert {g.uuid: g.health for g in gpus_now(back, 1060)} == {"GPU-0": "ok", "GPU-1": "ok"}


def test_a_gpu_that_recovers_tells_fresh_values_at_once():
    snapshot = full().learn_gpus(
        gpus(Gpu(0, health="failed", reason="Unresponsive")), at=1030, duration=0
    )
    snapshot = snapshot.learn_gpus(gpus(GPU), at=1060, duration=0)
    (gpu,) = gpus_now(snapshot, 1061)
    assert gpu == GPU


@pytest.mark.parametrize(
    "outcome", [Failed("Unresponsive", "no answer"), Absent("DriverNotLoaded", "gone")]
)
def test_a_source_that_fails_leaves_its_gpus_told_with_age_and_of_unknown_health(outcome):
    snapshot = full().learn_gpus(outcome, at=1030, duration=3)
    message = wire(snapshot, at=1100)["status"]
    (gpu,) = message["gpu"]
    assert (gpu["health"], gpu["reason"], gpu["age_seconds"]) == ("unknown", outcome.reason, 100.0)
    assert gpu["memory_used_mb"] == 1500
    assert message["collectors"][1]["age_seconds"] == 100.0
    assert message["collectors"][1]["reason"] == outcome.reason


def test_a_host_that_cannot_be_read_keeps_its_last_figures_and_the_failure_is_told():
    snapshot = host_only()
    host = snapshot.host.learn(Failed("CollectorDied", "killed"), at=1030, duration=0)
    status = wire(replace(snapshot, host=host), at=1031)["status"]
    assert status["system"]["memory_total_gb"] == 16.0
    assert status["collectors"][0] == {
        "name": "host",
        "state": "failed",
        "reason": "CollectorDied",
        "message": "killed",
        "age_seconds": 31.0,
    }


def test_the_last_word_carries_its_reason():
    message = wire(full(), seq=9, goodbye=Goodbye(reason="terminating"))
    assert message["goodbye"] == {"reason": "terminating"}


def test_every_message_is_one_that_our_own_reader_takes():
    for snapshot in (Snapshot(), host_only(), full()):
        message = status_message(SPEAKER, snapshot, moment(), seq=1)
        assert decode(encode(message)) == message


def test_a_snapshot_is_complete_when_every_source_has_answered_in_some_way():
    snapshot = Snapshot()
    assert not snapshot.complete
    snapshot = full()
    assert snapshot.complete
    failed = snapshot.host.learn(Failed("a", "b"), at=1, duration=0)
    assert replace(snapshot, host=failed).complete


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (VLLM, Change.NONE),
        (replace(VLLM, requests_running=99.0), Change.NONE),
        (replace(VLLM, models=("m1", "m2")), Change.SOFT),
        (replace(VLLM, models=None), Change.SOFT),
        (replace(VLLM, health="unhealthy", reason="Timeout"), Change.SOFT),
        (replace(VLLM, status="stopped", health="unhealthy"), Change.HARD),
        (replace(VLLM, name="other"), Change.HARD),
    ],
)
def test_changes_of_services_are_told_by_how_certain_they_are(engine: Engine, expected: Change):
    before = full()
    after = before.learn_engines(Reading((engine,)), at=1010, duration=0)
    assert fingerprint(before).change_to(fingerprint(after)) is expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (gpus(replace(GPU, utilization_ratio=0.9, temperature_celsius=80)), Change.NONE),
        (gpus(Gpu(0, health="failed", reason="GpuLost")), Change.HARD),
        (gpus(), Change.HARD),
        (gpus(GPU, replace(GPU, index=1, uuid="GPU-1")), Change.HARD),
        (Failed("Unresponsive", "x"), Change.HARD),
    ],
)
def test_faults_and_recoveries_of_gpus_are_certain(outcome, expected: Change):
    before = full()
    after = before.learn_gpus(outcome, at=1010, duration=0)
    assert fingerprint(before).change_to(fingerprint(after)) is expected
    assert fingerprint(after).change_to(fingerprint(before)) is expected


def test_time_alone_changes_nothing():
    hung = full().learn_gpus(gpus(Gpu(0, health="failed", reason="Unresponsive")), at=1, duration=0)
    later = hung.learn_gpus(gpus(Gpu(0, health="failed", reason="Unresponsive")), at=9, duration=0)
    assert fingerprint(hung).change_to(fingerprint(later)) is Change.NONE


def test_numbers_beyond_what_a_driver_should_say_do_not_break_the_message():
    odd = replace(GPU, memory_total_bytes=2**64 - 1, memory_used_bytes=0, power_watts=4294967.295)
    (gpu,) = wire(full(odd))["status"]["gpu"]
    assert gpu["memory_used_mb"] == 0
