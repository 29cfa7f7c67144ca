"""The message of a node with everything, byte for byte."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from citadel_k8s.domain.report import status_message
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.readings import Absent, Engine, Gpu, Gpus, Host, Reading
from citadel_k8s.models.wire import ConfigInfo, Goodbye
from tests.unit.domain.richnode import GPUS, HOST, OLLAMA, SPEAKER, VLLM, gpu, moment, rich

GOLDEN = Path(__file__).parent / "golden"
CONFIG = ConfigInfo(revision="7", applied_at="2026-11-23T07:00:00Z")


def wire(snapshot: Snapshot, at: float = 1002.0, **more) -> dict:
    return json.loads(encode(status_message(SPEAKER, snapshot, moment(at), **more)))


def test_a_node_with_everything_says_just_this():
    told = encode(status_message(SPEAKER, rich(), moment(1002.0), seq=7, config=CONFIG))
    kept = (GOLDEN / "message.json").read_text()
    assert told.decode() == json.dumps(json.loads(kept), separators=(",", ":"), ensure_ascii=False)


def test_a_node_of_which_nothing_is_known_says_just_this():
    bare = replace(
        SPEAKER, tags=(), display_name=None, headscale_node_id=None, addresses=(), transport=None
    )
    told = encode(status_message(bare, Snapshot(), moment(1002.0)))
    kept = (GOLDEN / "bare.json").read_text()
    assert told.decode() == json.dumps(json.loads(kept), separators=(",", ":"), ensure_ascii=False)


def test_the_message_is_read_back_as_it_was():
    message = status_message(SPEAKER, rich(), moment(), seq=1, goodbye=Goodbye(reason="x"))
    assert decode(encode(message)) == message


def keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for part in value.values() for key in keys(part)}
    return {key for part in value for key in keys(part)} if isinstance(value, list) else set()


def test_no_key_is_null_and_the_envelope_alone_is_in_camel_case():
    message = wire(rich(), seq=1)
    assert "null" not in json.dumps(message)
    envelope = set(message) - {"status", "stats", "permissions"}
    assert envelope == {
        "version", "timestamp", "nodeId", "headscaleNodeId", "bootId", "hostBootId", "seq",
        "intervalSeconds", "agent", "addresses", "statusPort",
    }  # fmt: skip
    inner = keys(message["status"]) | keys(message["stats"]) | keys(message["permissions"])
    assert all(re.fullmatch(r"[a-z0-9_]+", key) for key in inner)


def test_dates_have_the_forms_of_the_contract():
    message = wire(rich())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", message["timestamp"])
    fine = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
    assert re.fullmatch(fine, message["status"]["timestamp"])
    assert re.fullmatch(fine, message["status"]["gpu"][0]["xids"][0]["last_at"])


@pytest.mark.parametrize(
    ("size", "told"), [(0, 0.0), (1, 0.0), (6 * 1024**3 // 1000, 0.01), (1536 * 1024**2, 1.5)]
)
def test_memory_is_told_in_gib_to_a_hundredth(size: int, told: float):
    host = Snapshot().learn_host(Reading(Host(memory_used_bytes=size)), at=1000, duration=0)
    assert wire(host)["status"]["system"]["memory_used_gb"] == told


def test_a_zero_of_a_gpu_is_real_and_present():
    idle = gpu(0, utilization_ratio=0.0, memory_used_bytes=0, temperature_celsius=0, power_watts=0)
    snapshot = Snapshot().learn_gpus(Reading(Gpus("575", (idle,))), at=1000, duration=0)
    (told,) = wire(snapshot)["status"]["gpu"]
    named = ("utilization_percent", "memory_used_mb", "temperature_celsius", "power_watts")
    assert [told[key] for key in named] == [0, 0, 0, 0]


def test_what_a_gpu_does_not_tell_is_absent():
    bare = Snapshot().learn_gpus(Reading(Gpus(None, (Gpu(0, health="ok"),))), at=1000, duration=0)
    assert wire(bare)["status"]["gpu"] == [
        {"index": 0, "name": "unknown", "vendor": "nvidia", "health": "ok"}
    ]


@pytest.mark.parametrize(
    ("configured", "found", "told"),
    [
        (None, None, None),
        (None, (), None),
        (None, ("fd7a:115c:a1e0::7", "100.64.0.7"), "100.64.0.7"),
        (None, ("fd7a:115c:a1e0::7",), "fd7a:115c:a1e0::7"),
        ("100.64.9.9", ("100.64.0.7",), "100.64.9.9"),
        (None, ("no address", "100.64.0.7"), "100.64.0.7"),
    ],
)
def test_the_address_on_the_mesh_is_told_twice_or_not_at_all(configured, found, told):
    host = Snapshot().learn_host(Reading(replace(HOST, mesh_addresses=found)), at=1000, duration=0)
    speaker = replace(SPEAKER, mesh_address=configured, addresses=())
    message = json.loads(encode(status_message(speaker, host, moment())))
    node = message["status"]["node"]
    assert (node.get("network_ip"), node.get("tailscale_ip")) == (told, told)
    assert (message.get("addresses") or [None])[0] == told


def test_a_processes_holder_is_named_only_where_it_is_known():
    (one, two) = wire(rich())["status"]["gpu"]
    assert one["processes"][0]["pod"] == "vllm-0"
    assert "pod" not in two["processes"][0]
    nameless = Snapshot().learn_gpus(Reading(GPUS), at=1000, duration=0)
    assert "name" not in wire(nameless)["status"]["gpu"][0]["processes"][0]


def test_holders_whose_processes_are_hidden_have_no_count_of_them():
    hidden = Gpus("575", (gpu(0, processes=None),))
    (told,) = wire(rich().learn_gpus(Reading(hidden), at=1000, duration=0))["status"]["gpu"][:1]
    assert "processes" not in told
    assert told["holders"][0]["pod"] == "vllm-0"
    assert "processes" not in told["holders"][0]


def test_gpus_of_other_makers_follow_nvidias_with_their_own_driver():
    card = Gpu(0, name="AMD Instinct MI300X", vendor="amd", health="ok")
    both = rich().learn_drm(Reading(Gpus("6.8.0", (card,))), at=1000, duration=0)
    told = wire(both)["status"]
    assert [(g["index"], g["vendor"], g["driver"]) for g in told["gpu"]] == [
        (0, "nvidia", "575.57.08"),
        (1, "nvidia", "575.57.08"),
        (2, "amd", "6.8.0"),
    ]
    assert "drm" in [one["name"] for one in told["collectors"]]
    alone = Snapshot().learn_gpus(Absent("NvmlLibraryNotFound", "x"), at=1000, duration=0)
    alone = alone.learn_drm(Reading(Gpus("6.8.0", (card,))), at=1000, duration=0)
    assert [(g["index"], g["health"]) for g in wire(alone)["status"]["gpu"]] == [(0, "ok")]


def footprint(engine: Engine, snapshot: Snapshot | None = None) -> dict | None:
    known = (snapshot or rich()).learn_engines(Reading((engine,)), at=1000, duration=0)
    return wire(known)["status"]["services"][0].get("footprint")


def test_a_services_footprint_is_that_of_its_container_and_gpus():
    assert footprint(VLLM) == {
        "cpu_percent": 325.0,
        "ram_bytes": 20 * 1024**3,
        "vram_bytes": 65000 * 1024**2,
        "gpu_util_percent": 93.0,
        "has_gpu": True,
    }
    assert footprint(OLLAMA) is None


def test_what_is_not_known_of_a_footprint_is_absent_or_minus_one():
    elsewhere = replace(VLLM, pid=None, container_id="c-0123456789abcdef", pod_uid=None)
    told = footprint(elsewhere)
    assert told is not None
    assert told["gpu_util_percent"] == -1
    assert told["cpu_percent"] == 0.1
    assert "vram_bytes" not in told


def test_idle_comes_with_its_seconds_or_not_at_all():
    told = wire(rich())["status"]["services"]
    assert [(s["idle"], s["idle_seconds"]) for s in told] == [(False, 0), (True, 400)]
    silent = replace(VLLM, idle_seconds=None)
    snapshot = Snapshot().learn_engines(Reading((silent,)), at=1000, duration=0)
    (one,) = wire(snapshot)["status"]["services"]
    assert not {"idle", "idle_seconds"} & one.keys()


def test_a_node_that_consumes_no_jobs_and_has_no_apps_says_nothing_of_them():
    message = wire(rich())
    assert not {"worker", "apps", "desktop", "desktop_capabilities"} & message["status"].keys()
    assert "deviceCode" not in message
    assert message["status"]["vnc_port"] == 0
    assert message["agent"]["transport"] == "redis"


def test_containers_are_absent_where_nobody_looked():
    assert "containers" not in wire(Snapshot())["status"]
    empty = Snapshot().learn_containers(Reading(()), at=1000, duration=0)
    assert wire(empty)["status"]["containers"] == []
