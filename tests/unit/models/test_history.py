"""What senders of every age have put on the wire."""

import json
from typing import Any

import pytest

from citadel_k8s.models.codec import decode, parse_timestamp

SYSTEM = {
    "cpu_percent": 15.0,
    "memory_used_gb": 0.49,
    "memory_total_gb": 23.5,
    "memory_percent": 2.1,
    "disk_used_gb": 28.9,
    "disk_total_gb": 252.0,
    "disk_percent": 28.5,
}


def bare(**changes: Any) -> dict[str, Any]:
    status = {
        "version": "1.0",
        "timestamp": "2026-11-23T08:17:33.587941228Z",
        "node": {"name": "n1", "uptime_seconds": 0},
        "system": dict(SYSTEM),
        "vnc_port": 0,
    }
    return status | changes


def wrapped(status: dict[str, Any] | None = None, **changes: Any) -> str:
    message = {
        "version": "1.0",
        "timestamp": "2026-11-23T08:17:33Z",
        "nodeId": "n1",
        "status": status or bare(),
    }
    return json.dumps(message | changes)


def test_the_minimal_message_of_the_go_client_is_valid() -> None:
    message = decode(wrapped())

    assert message.node_id == "n1"
    assert message.status.node.uptime_seconds == 0
    assert message.status.gpu is None
    assert message.boot_id is None
    assert message.interval_seconds is None


def test_a_bare_status_is_wrapped_with_the_node_id_beside_it() -> None:
    message = decode(json.dumps(bare()), node_id="n7")

    assert message.node_id == "n7"
    assert message.timestamp == message.status.timestamp
    assert message.status.node.name == "n1"


def test_a_bare_status_with_no_id_beside_it_uses_its_own_name() -> None:
    assert decode(json.dumps(bare())).node_id == "n1"


def test_a_bare_status_may_lack_version_and_vnc_port() -> None:
    status = bare()
    del status["version"], status["vnc_port"]

    message = decode(json.dumps(status))

    assert message.version == "1.0"
    assert message.status.vnc_port == 0


def test_the_node_id_beside_an_envelope_does_not_override_it() -> None:
    assert decode(wrapped(), node_id="other").node_id == "n1"


@pytest.mark.parametrize("gpu", [None, []])
def test_no_gpu_may_be_written_as_null_or_as_an_empty_list(gpu: Any) -> None:
    assert not decode(wrapped(bare(gpu=gpu))).status.gpu


def test_an_idle_gpu_of_the_go_client_has_unknown_and_not_zero_values() -> None:
    gpu = decode(wrapped(bare(gpu=[{"index": 0, "name": "A100"}]))).status.gpu

    assert gpu is not None
    assert gpu[0].utilization_percent is None
    assert gpu[0].memory_used_mb is None


@pytest.mark.parametrize("health", ["ok", "healthy", "degraded", "starting", "never heard of"])
def test_any_word_for_health_is_taken_as_it_stands(health: str) -> None:
    service = {"name": "vllm", "type": "llm", "status": "running", "health": health}

    services = decode(wrapped(bare(services=[service]))).status.services

    assert services is not None
    assert services[0].health == health


@pytest.mark.parametrize("used", [450, 450.0])
def test_disk_sizes_may_be_integers_or_floats(used: float) -> None:
    message = decode(wrapped(bare(system=SYSTEM | {"disk_used_gb": used})))

    assert message.status.system.disk_used_gb == 450.0


@pytest.mark.parametrize("uptime", [3600, 3600.0])
def test_counts_may_be_written_as_floats(uptime: float) -> None:
    message = decode(wrapped(bare(node={"name": "n1", "uptime_seconds": uptime})))

    assert message.status.node.uptime_seconds == 3600
    assert isinstance(message.status.node.uptime_seconds, int)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T08:17:33Z", 1795421853.0),
        ("2026-11-23T08:17:33.587941228Z", 1795421853.587941),
        ("2026-11-23T01:17:33.5-07:00", 1795421853.5),
        ("2026-11-23T14:02:33+05:45", 1795421853.0),
    ],
)
def test_timestamps_have_any_fraction_and_any_offset(text: str, seconds: float) -> None:
    worker = {"consuming": True, "in_flight": 0, "last_poll_at": text}

    message = decode(wrapped(bare(worker=worker, timestamp=text), timestamp=text))

    assert message.timestamp == text
    assert parse_timestamp(message.timestamp) == pytest.approx(seconds, abs=1e-5)


def test_a_full_message_of_the_go_client_is_valid_and_loses_nothing() -> None:
    footprint = {
        "cpu_percent": -1,
        "ram_bytes": 12_884_901_888,
        "vram_bytes": 0,
        "gpu_util_percent": -1,
        "has_gpu": True,
        "net_bytes": 5,
    }
    status = bare(
        apps=[{"name": "code", "status": "not_found", "footprint": footprint}],
        capabilities={
            "gpus": [{"name": "A100", "vram_mb": 81920, "tag": "gpu:a100", "vram_tag": "v:80"}],
            "engines": ["vllm", {"name": "ollama"}],
            "tags": ["gpu"],
            "hypervisor": {"type": "proxmox", "vm_count": 3},
            "available_services": ["vllm"],
            "console": False,
        },
        desktop={"os": "linux", "session": {"has_desktop": False, "reason": "headless"}},
        desktop_capabilities={"vnc": False, "reason": "headless"},
        services=[
            {
                "name": "vllm",
                "type": "llm",
                "status": "stopped",
                "models": ["m"],
                "idle": True,
                "idle_seconds": 301,
                "last_request_at": "2026-11-23T01:17:33.123456789-07:00",
                "footprint": footprint,
                "pinned": True,
                "resident": False,
                "vram_estimate_mb": 4096,
            }
        ],
        worker={"consuming": False, "in_flight": 2, "pubsub_transport": "http"},
    )
    message = decode(
        wrapped(
            status,
            headscaleNodeId="758",
            deviceCode="d-1",
            permissions=dict.fromkeys(
                ["console", "desktop", "files", "services", "ssh", "shell", "has_passcode"], False
            ),
            stats={
                "v": 1,
                "ts": 1795421853,
                "gpus": [{"i": 0, "util_pct": 0, "power_w": 61.5}],
                "inference": [{"engine": "sglang", "port": 30000, "running": 0, "waiting": 0}],
            },
        )
    )

    assert message.headscale_node_id == "758"
    assert message.stats is not None
    assert message.stats.inference is not None
    assert message.stats.inference[0].running == 0
    assert message.model_dump(exclude_none=True)["status"]["services"] == status["services"]
