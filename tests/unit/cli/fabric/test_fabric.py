"""The commands, before a fleet that is none."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from citadel_k8s.api.live.failure import Step
from citadel_k8s.cli.app import app
from citadel_k8s.cli.fabric import running
from citadel_k8s.cli.fabric.app import fabric
from citadel_k8s.cli.fabric.events import span
from citadel_k8s.cli.fabric.live import STEPS
from citadel_k8s.cli.fabric.options import Place
from citadel_k8s.clients.fleet import Asked, Change, FleetError
from citadel_k8s.errors import ConfigError
from tests.unit.cli.fabric.fakefleet import FakeFleet

RUNNER = CliRunner()
HOSTILE = "\x1b]0;owned\x07\u202e\x9b"


def a_row(node: str, state: str = "Online", **more: Any) -> dict[str, Any]:
    return {"id": node, "state": state, "age": 3.0, "profile": {"name": node}, "pulse": {}, **more}


STATUS = {
    "nodeId": "gpu-1",
    "addresses": ["100.64.0.1"],
    "status": {
        "node": {"name": "gpu-1"},
        "system": {"cpu_percent": 12.0, "cpu_count": 64, "memory_used_gb": 100.0},
        "gpu": [
            {
                "index": 0,
                "name": "H100",
                "health": "failed",
                "reason": "GpuLost",
                "utilization_percent": 0.0,
                "memory_used_mb": 1024,
                "memory_total_mb": 81920,
                "power_watts": 84.4,
                "holders": [{"device": "0", "how": "pod", "namespace": "llm", "pod": "vllm-0"}],
                "verdicts": [{"reason": "GpuLost", "message": "gone", "remedy": "reboot"}],
            }
        ],
        "services": [
            {"name": "vllm", "type": "llm", "status": "running", "models": [HOSTILE]},
        ],
        "collectors": [{"name": "pods", "state": "failed", "reason": "Timeout"}],
    },
}


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    fake = FakeFleet()

    @asynccontextmanager
    async def opened(place: Place) -> AsyncGenerator[FakeFleet]:
        fake.asked.append(place)
        yield fake

    monkeypatch.setattr(running, "opened", opened)
    return fake


def ran(*words: str, code: int = 0) -> Any:
    result = RUNNER.invoke(fabric, list(words))
    assert result.exit_code == code, (result.output, result.exception)
    if "-o" not in words:
        assert all(line.isprintable() for line in result.output.splitlines()), repr(result.output)
    return result


@pytest.mark.parametrize("application", [fabric, app])
@pytest.mark.parametrize(
    "name",
    ["nodes", "describe", "live", "models", "events", "top", "doctor", "login", "logout",
     "completion"],
)  # fmt: skip
def test_both_programs_have_all_commands(application: Any, name: str):
    result = RUNNER.invoke(application, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_nodes_are_a_table_without_a_box(fleet: FakeFleet):
    fleet.rows = [a_row("b", "Offline", reason="AgentSilent"), a_row("a")]
    lines = ran("nodes").output.splitlines()
    assert lines[0].split() == [
        "NAME", "STATE", "GPUS", "UTIL", "VRAM", "MODELS", "RUN/WAIT", "SEEN", "REASON",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == ["b", "a"]
    assert lines[1].endswith("AgentSilent")


def test_filters_and_source_reach_the_fleet(fleet: FakeFleet):
    ran(
        *("nodes", "-l", "a=b", "--state", "Online", "--model", "m", "--gpu", "g", "-q", "w"),
        *("--api", "https://x", "--context", "c", "--kubeconfig", "k", "--request-timeout", "3"),
    )
    place, asked = fleet.asked
    assert (place.api, place.context, str(place.kubeconfig), place.timeout) == (
        "https://x", "c", "k", 3.0,
    )  # fmt: skip
    assert asked == Asked("Online", "m", "g", "a=b", "w")


def test_nodes_in_other_forms(fleet: FakeFleet):
    fleet.rows = [a_row("a", object="a-0a1b2c"), a_row("b")]
    assert json.loads(ran("nodes", "-o", "json").output) == fleet.rows
    assert yaml.safe_load(ran("nodes", "-o", "yaml").output) == fleet.rows
    assert ran("nodes", "-o", "name").output.split() == [
        "fabricnode.fabric.aceteam.ai/a-0a1b2c", "b",
    ]  # fmt: skip
    assert "GPU-MODEL" in ran("nodes", "-o", "wide").output
    assert "NAME" not in ran("nodes", "--no-headers").output


def test_no_nodes_is_told_beside_the_answer(fleet: FakeFleet):
    result = ran("nodes")
    assert (result.stdout, "doctor" in result.stderr) == ("", True)
    assert "No nodes match." in ran("nodes", "-q", "x").stderr
    assert ran("nodes", "-o", "json").stdout == "[]\n"


def test_hostile_words_do_not_reach_a_terminal(fleet: FakeFleet):
    fleet.rows = [a_row(HOSTILE, HOSTILE, reason=HOSTILE)]
    ran("nodes")
    ran("nodes", "-o", "wide")
    assert ran("nodes", "-o", "json").output.isascii()
    fleet.served = [{"model": HOSTILE, "nodes": [HOSTILE], "engines": [HOSTILE]}]
    ran("models")
    fleet.happened = [{"node": HOSTILE, "time": HOSTILE, "reason": HOSTILE, "message": HOSTILE}]
    ran("events")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nodes", "--sort", "luck"], "--sort 'luck' is none of state, name"),
        (["nodes", "--state", "Foo"], "is none of Offline"),
        (["events", "--since", "soon"], "no span of time"),
        (["events", "-o", "name"], "events have no names"),
    ],
)
def test_what_is_asked_wrongly_is_told(fleet: FakeFleet, words: list[str], told: str):
    result = RUNNER.invoke(fabric, words)
    assert isinstance(result.exception, ConfigError)
    assert told in str(result.exception)


def test_a_watch_prints_rows_as_they_change(fleet: FakeFleet):
    loud = a_row("a", pulse={"running": 9})
    fleet.changes = [
        Change("all", rows=[a_row("a"), a_row("b")]),
        Change("node", "a", row=loud),
        Change("cut", message="it broke" + HOSTILE, seconds=2.0),
        Change("back"),
        Change("all", rows=[a_row("a", "Stale")]),
        Change("node", "c", row=a_row("c")),
    ]
    result = ran("nodes", "-w")
    rows = [line.split()[:2] for line in result.stdout.splitlines()]
    assert rows == [
        ["NAME", "STATE"], ["a", "Online"], ["b", "Online"], ["b", "(gone)"], ["a", "Stale"],
        ["c", "Online"],
    ]  # fmt: skip
    assert "trying again in 2 s" in result.stderr
    assert "the line stands again" in result.stderr


def test_a_watch_as_json_is_a_change_a_line(fleet: FakeFleet):
    stale = a_row("a", "Stale")
    fleet.changes = [
        Change("all", rows=[a_row("a")]),
        Change("node", "a", row=a_row("a", age=9.0)),
        Change("node", "a", row=stale),
        Change("gone", "a", row=stale),
        Change("gone", "unheard"),
    ]
    lines = [json.loads(line) for line in ran("nodes", "-w", "-o", "json").output.splitlines()]
    assert [line["type"] for line in lines] == ["ADDED", "MODIFIED", "DELETED"]
    assert lines[2]["node"] == stale


def test_a_row_that_is_not_meant_any_more_is_shown_once_as_it_is_now(fleet: FakeFleet):
    fleet.changes = [
        Change("all", rows=[a_row("a", "Offline"), a_row("b")]),
        Change("node", "a", row=a_row("a")),
        Change("node", "a", row=a_row("a", "Stale")),
    ]
    lines = ran("nodes", "-w", "--state", "Offline", "--no-headers").output.splitlines()
    assert [line.split()[:2] for line in lines] == [["a", "Offline"], ["a", "Online"]]


def test_a_watch_in_other_forms(fleet: FakeFleet):
    fleet.changes = [Change("all", rows=[a_row("a")])]
    assert ran("nodes", "-w", "-o", "name").output == "a\n"
    assert yaml.safe_load(ran("nodes", "-w", "-o", "yaml").output)["type"] == "ADDED"


def test_a_node_is_described_with_all_that_is_known(fleet: FakeFleet):
    row = a_row("gpu-1", "Degraded", reason="GpuLost", lastHeartbeat="2026-11-23T08:00:00Z")
    fleet.details["gpu-1"] = {"node": row, "status": STATUS, "complete": True}
    fleet.happened = [{"time": "x", "kind": "state", "state": "Degraded", "message": HOSTILE}]
    text = ran("describe", "gpu-1").output
    for part in (
        "Name:             gpu-1", "State:            Degraded", "Reason:           GpuLost",
        "Addresses:        100.64.0.1", "12% of 64 CPUs", "Memory:           100/? GiB",
        "Disk:             unknown", "failed (GpuLost)", "1/80 GiB", "84/? W", "llm/vllm-0",
        "GPU 0: GpuLost: gone reboot", "vllm", "pods", "? -> Degraded:",
    ):  # fmt: skip
        assert part in text
    assert " 0%" in text
    found = json.loads(ran("describe", "gpu-1", "-o", "json").output)
    assert found["events"] == fleet.happened
    assert found["status"] == STATUS


def test_of_a_silent_node_it_is_said_that_its_figures_are_its_last(fleet: FakeFleet):
    fleet.details["a"] = {"node": a_row("a", "Offline"), "status": STATUS, "complete": False}
    text = ran("describe", "a").output
    assert "the last that it said" in text
    assert "Figures that move are not kept" in text


def test_a_node_that_never_reported_is_described(fleet: FakeFleet):
    fleet.details["a"] = {"node": {"id": "a", "state": "Unknown"}}
    text = ran("describe", "a").output
    assert re.search(r"Last Heartbeat: +never", text)
    assert "No status of this node is kept" in text


def test_an_object_is_described_with_its_conditions(fleet: FakeFleet):
    status = {
        "gpus": [{"index": 0, "health": "ok"}], "moreGpus": 3, "services": [],
        "conditions": [{"type": "Ready", "status": "True", "reason": "Heartbeat"}],
    }  # fmt: skip
    row = a_row("a", object="a", summary={"gpus": "4/4"}, confirmed="2026-11-23T08:00:00Z")
    fleet.details["a"] = {"node": row, "object": {"spec": {"maintenance": True}, "status": status}}
    text = ran("describe", "a").output
    for part in ("and 3 more", "Services:         none", "Ready", "Maintenance:      yes", "4/4"):
        assert part in text


def test_a_node_is_described_to_who_may_not_see_events(fleet: FakeFleet):
    fleet.details["a"] = {"node": a_row("a")}
    fleet.events_error = FleetError("people only", status=403)
    assert "not known: people only" in ran("describe", "a").output
    assert "events" not in json.loads(ran("describe", "a", "-o", "json").output)


def test_a_node_that_answers_is_live(fleet: FakeFleet):
    fleet.answers["a"] = {
        "live": True, "seconds": 0.084, "address": "100.64.0.1:8080", "fresh": True,
        "status": STATUS,
    }  # fmt: skip
    lines = ran("live", "a").output.splitlines()
    assert lines[0] == "live, answered in 84 ms from 100.64.0.1:8080"
    assert any("llm/vllm-0" in line for line in lines)
    fleet.answers["a"] |= {"address": "websocket", "fresh": False}
    assert "its own connection to the API (its last reading" in ran("live", "a").output


def test_a_node_that_does_not_answer_costs_the_exit_status_and_names_the_step(fleet: FakeFleet):
    fleet.answers["a"] = {
        "live": False, "seconds": 3.0, "step": "timeout", "message": "no" + HOSTILE, "age": 840.0,
    }  # fmt: skip
    text = ran("live", "a", code=1).output
    assert "not live: waiting for the answer failed (timeout) after 3000 ms: no" in text
    assert "last heard of 14m ago" in text
    told = ran("live", "a", "-o", "json", code=1).output
    assert json.loads(told)["step"] == "timeout"


def test_every_step_of_the_api_has_words():
    assert set(STEPS) == {step.value for step in Step}


def test_models_say_who_serves_them(fleet: FakeFleet):
    fleet.served = [
        {"model": "m", "nodes": list("abcdefg"), "replicas": 7, "healthy": 6, "engines": ["vllm"]},
        {"model": "n", "nodes": ["a"], "replicas": 1, "engines": []},
    ]
    lines = ran("models", "x").output.splitlines()
    assert lines[1].split(maxsplit=4) == ["m", "7", "6/7", "vllm", "a, b, c, d +3"]
    assert lines[2].split() == ["n", "1", "unknown", "unknown", "a"]
    assert "a, b, c, d, e, f, g" in ran("models", "-o", "wide").output
    assert json.loads(ran("models", "-o", "json").output) == fleet.served
    assert ran("models", "-o", "name").output == "m\nn\n"
    fleet.served = []
    assert "No model is served." in ran("models").stderr


def test_events_are_told_and_go_on(fleet: FakeFleet):
    old = {"time": "2026-11-23T08:00:00Z", "node": "a", "kind": "xid", "reason": "Xid79"}
    new = {"time": "2026-11-23T08:00:01Z", "node": "a", "reason": "x", "count": 2}
    other = {**new, "node": "b"}
    fleet.happened = [old]
    assert ran("events", "-n", "a").output.splitlines()[1].split()[:4] == [
        "2026-11-23T08:00:00Z", "a", "xid", "Xid79",
    ]  # fmt: skip
    fleet.changes = [
        Change("all"), Change("event", event=old), Change("event", event=new),
        Change("event", event=other), Change("cut", message="broke", seconds=1.0), Change("all"),
    ]  # fmt: skip
    result = ran("events", "-w", "-n", "a", "-o", "json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [old, new]
    assert "broke; trying again" in result.stderr
    assert len(ran("events", "-w").output.splitlines()) == 5


def test_no_events_is_told(fleet: FakeFleet):
    assert "Nothing happened." in ran("events").stderr
    assert ran("events", "-o", "json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), ("15m", 900), ("2h", 7200), ("7d", 604_800)]
)
def test_a_span_of_time_is_read(text: str, seconds: int):
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1w", "1.5h", "9" * 20, "²s"])
def test_a_span_that_is_none_is_refused(text: str):
    with pytest.raises(ConfigError):
        span(text)


def test_a_past_that_cannot_be_had_after_a_cut_does_not_end_a_watch(fleet: FakeFleet):
    fleet.changes = [
        Change("all"),
        Change("cut", message="it broke"),
        Change("back"),
        Change("all"),
        Change("event", event={"node": "a", "reason": "GpuLost"}),
    ]
    asked: list[float | None] = []

    async def events(*, since: float | None = None, **_: Any) -> list[Any]:
        asked.append(since)
        if len(asked) > 1:
            raise FleetError("it is away", status=503)
        return []

    fleet.events = events  # type: ignore[method-assign, assignment]
    result = RUNNER.invoke(fabric, ["events", "-w"])
    assert result.exit_code == 0
    assert "what happened meanwhile is not known: it is away" in result.stderr
    assert "GpuLost" in result.stdout
    assert len(asked) == 2


@pytest.mark.parametrize("odd", ["x", [1], {"a": 1}, 1, True])
def test_a_status_of_another_shape_is_told_as_far_as_it_goes(fleet: FakeFleet, odd: Any):
    said = {
        "system": {"cpu_percent": odd, "memory_used_gb": odd, "memory_percent": odd},
        "gpu": [{"index": odd, "memory_used_mb": odd, "power_watts": odd, "holders": odd}],
        "services": [{"name": odd, "models": odd, "requests_running": odd}],
        "collectors": odd,
    }
    status = {"addresses": odd, "status": said}
    fleet.details["a"] = {"node": a_row("a"), "status": status, "complete": True}
    result = RUNNER.invoke(fabric, ["describe", "a"])
    assert result.exit_code == 0, result.output
    assert "Services:" in result.stdout
