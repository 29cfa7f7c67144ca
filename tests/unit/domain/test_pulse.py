"""A message taken apart: what moves, what a node is, and what changes seldom."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.deltas import event_delta, node_delta
from citadel_k8s.domain.happenings import Happening
from citadel_k8s.domain.pulse import MODELS_MAX, compact, digest_of, profile_of, pulse_of
from citadel_k8s.local.simulate import SimulatedNode
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.lean import LeanMessage, decode_lean
from citadel_k8s.models.views import Delta, Profile, Pulse

NOW = 1_795_420_800.0


def said(status: dict[str, Any], **more: Any) -> LeanMessage:
    inner = {
        "timestamp": "2026-11-23T08:17:33Z", "node": {"name": "n1"}, "system": {}, **status,
    }  # fmt: skip
    envelope = {"timestamp": "2026-11-23T08:17:33Z", "nodeId": "n1", "status": inner, **more}
    return decode_lean(json.dumps(envelope).encode())


def test_what_is_not_known_is_not_told():
    assert pulse_of(said({})) == {}
    assert profile_of(said({})) == {"name": "n1"}


def test_no_gpu_is_not_the_same_as_none_known():
    assert pulse_of(said({"gpu": []})) == {"gpu": []}
    assert profile_of(said({"gpu": [], "services": []})) == {
        "name": "n1", "gpus": [], "models": [], "services": 0,
    }  # fmt: skip


def test_a_zero_that_was_left_out_is_taken_from_the_stats_where_it_is_real():
    gpu = {"index": 0, "name": "H100", "memory_used_mb": 10, "memory_total_mb": 100}
    assert pulse_of(said({"gpu": [gpu]}))["gpu"] == [[None, 10, None]]
    stats = {"v": 1, "ts": 1, "gpus": [{"i": 0, "util_pct": 0.0}]}
    assert pulse_of(said({"gpu": [gpu]}, stats=stats))["gpu"] == [[0, 10, None]]
    engine = {"engine": "vllm", "port": 8201, "running": 3, "waiting": 0}
    stats = {"v": 1, "ts": 1, "inference": [engine]}
    pulse = pulse_of(said({}, stats=stats))
    assert (pulse["running"], pulse["waiting"]) == (3, 0)


def test_a_sum_over_some_of_the_gpus_is_not_told_as_the_nodes_own():
    gpus = [{"index": 0, "name": "a", "power_watts": 100.0}, {"index": 1, "name": "a"}]
    assert "power" not in pulse_of(said({"gpu": gpus}))
    assert "vram_bytes" not in profile_of(said({"gpu": gpus}))


def test_only_what_can_be_asked_now_counts_as_a_model():
    services = [
        {"name": name, "type": "llm", "status": status, "health": health, "models": [name]}
        for name, status, health in (
            ("ok", "running", "ok"),
            ("first", "running", "healthy"),
            ("starting", "running", "starting"),
            ("off", "stopped", "ok"),
        )
    ]
    assert profile_of(said({"services": services}))["models"] == ["ok", "first"]
    many = {"name": "s", "type": "llm", "status": "running", "health": "ok"}
    many |= {"models": [f"m{n}" for n in range(1000)]}
    assert len(profile_of(said({"services": [many]}))["models"]) == MODELS_MAX


@pytest.mark.parametrize("nonsense", [1e300, -1.0, 1e9])
def test_figures_that_cannot_be_are_not_told(nonsense):
    system = {"cpu_percent": nonsense, "memory_total_gb": 1e300 if nonsense > 0 else -1.0}
    gpu = {"index": 0, "name": "a", "utilization_percent": nonsense, "power_watts": 1e300}
    message = said({"system": system, "gpu": [gpu]})
    assert pulse_of(message) == {"gpu": [[None, None, None]]}
    assert "memory_bytes" not in profile_of(message)


def test_the_digest_moves_with_what_changes_seldom_and_with_nothing_else():
    node = SimulatedNode("sim-1", 1, changing=True, interval=30.0)

    def digest(now: float) -> bytes:
        message = decode_lean(node.payload(now))
        return digest_of(message, compact(profile_of(message)))

    assert digest(NOW) == digest(NOW + 100)
    service = {"name": "v", "type": "llm", "status": "running", "health": "ok"}
    states = [
        {},
        {"services": [service]},
        {"services": [service | {"health": "unhealthy"}]},
        {"services": [service | {"models": ["m"]}]},
        {"gpu": [{"index": 0, "name": "a", "uuid": "GPU-1"}]},
        {"gpu": [{"index": 0, "name": "a", "uuid": "GPU-1", "health": "failed"}]},
        {"collectors": [{"name": "nvml", "state": "failed"}]},
        {"config": {"revision": "r1"}},
    ]
    digests = {digest_of(m, compact(profile_of(m))) for m in map(said, states)}
    assert len(digests) == len(states)


@given(st.floats(0, 100), st.integers(0, 10**6))
def test_a_heartbeat_of_eight_gpus_is_told_in_three_hundred_bytes(load, requests):
    gpus = [
        {
            "index": n, "name": "H100", "utilization_percent": load, "memory_used_mb": 100,
            "memory_total_mb": 100, "power_watts": 700.0, "health": "failed",
        }
        for n in range(8)
    ]  # fmt: skip
    service = {"name": "v", "type": "llm", "status": "running", "requests_running": requests * 1.0}
    system = {"cpu_percent": load, "memory_percent": load, "disk_percent": load}
    message = said({"gpu": gpus, "system": system, "services": [service]})
    pulse = pulse_of(message)
    delta = node_delta(
        "gpu-node-00001", NodeState.DEGRADED, "GpuLost", seen_ms=int(NOW * 1000), pulse=pulse
    )
    assert len(delta) < 300
    Delta.model_validate_json(delta)


def test_the_pulse_of_the_largest_node_keeps_its_bound():
    gpu = {"name": "a", "utilization_percent": 100.0, "memory_used_mb": 1, "memory_total_mb": 1}
    gpus = [gpu | {"index": n, "power_watts": 9999.0, "health": "failed"} for n in range(64)]
    system = {"cpu_percent": 99.9, "memory_percent": 99.9, "disk_percent": 99.9}
    pulse = pulse_of(said({"gpu": gpus, "system": system}))
    Pulse.model_validate_json(compact(pulse))
    assert len(pulse["gpu"]) == 16
    assert len(compact(pulse)) <= 300


def test_a_delta_has_the_shape_that_the_api_describes():
    profile = profile_of(
        decode_lean(SimulatedNode("s", 1, changing=True, interval=30.0).payload(NOW))
    )
    Profile.model_validate(profile)
    text = node_delta("s", NodeState.ONLINE, "Heartbeat", profile=compact(profile))
    delta = Delta.model_validate_json(text)
    assert delta.reason is None
    assert delta.profile == Profile.model_validate(profile)
    happening = Happening(
        "acme", "s", int(NOW * 1000), "state", "k", "AgentSilent", 'no "word"', 1,
        NodeState.OFFLINE, NodeState.STALE,
    )  # fmt: skip
    event = Delta.model_validate_json(event_delta(7, happening)).event
    assert event is not None
    assert (event.id, event.state, event.before, event.message) == (
        "7", NodeState.OFFLINE, NodeState.STALE, 'no "word"',
    )  # fmt: skip
