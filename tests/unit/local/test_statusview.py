import io
from typing import Any

import pytest
from rich.console import Console

from citadel_k8s.local.statusview import as_json, render
from citadel_k8s.local.statusview import shown as showing
from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.wire import StatusMessage

H100 = "NVIDIA H100 80GB HBM3"
WIDTHS = pytest.mark.parametrize("width", [80, 160])


def gpu(index: int, **values: Any) -> dict[str, Any]:
    return {"index": index, "name": H100, "uuid": f"GPU-{index}", "driver": "575.57.08"} | values


def well(index: int, **values: Any) -> dict[str, Any]:
    return (
        gpu(
            index,
            memory_used_mb=70_000,
            memory_total_mb=81_559,
            temperature_celsius=64,
            utilization_percent=67.0,
            power_watts=475.2,
            power_limit_watts=700.0,
            health="ok",
        )
        | values
    )


LOST = gpu(
    1,
    health="failed",
    reason="GpuLost",
    message="the GPU no longer answers on the bus",
    age_seconds=42.0,
    verdicts=[
        {
            "reason": "GpuLost",
            "severity": "fatal",
            "cause": "hardware",
            "remedy": "Drain the node, reset the GPU or power-cycle the node.",
            "message": "the GPU no longer answers on the bus",
        },
        {
            "reason": "Xid79",
            "severity": "fatal",
            "cause": "hardware",
            "remedy": "Drain the node and power-cycle it.",
            "message": "XID 79: GPU fell off the bus, 2 times",
        },
    ],
)
SERVICES = [
    {
        "name": "vllm",
        "type": "llm",
        "status": "stopped",
        "health": "unhealthy",
        "engine": "vllm",
        "port": 8000,
        "reason": "ConnectionRefused",
        "message": "nothing listens at 127.0.0.1:8000",
    },
    {
        "name": "llama",
        "type": "llm",
        "status": "running",
        "health": "degraded",
        "engine": "llamacpp",
        "port": 8080,
        "reason": "Unauthorized",
        "message": "HTTP status 401",
    },
    {
        "name": "ollama",
        "type": "llm",
        "status": "running",
        "health": "ok",
        "engine": "ollama",
        "engine_version": "0.12.6",
        "port": 11434,
        "models": ["a", "llama3.2:3b"],
        "loaded_models": ["llama3.2:3b"],
        "ttft_ms_p50": 261.0,
        "gpus": [0, 1, 2, 5],
    },
]


def message(**status: Any) -> StatusMessage:
    node = {"name": "rack7-gpu4", "uptime_seconds": 5}
    head = {"version": "1.0", "timestamp": "2026-11-23T16:00:00Z"}
    inner = {**head, "node": node, "system": status.pop("system", {}), **status}
    return StatusMessage.model_validate({**head, "nodeId": "rack7-gpu4", "status": inner})


def shown(told: StatusMessage, width: int = 80, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width).print(render(told))
    file.seek(0)
    return file.read().replace("\N{EN DASH}", "-").replace("\N{MULTIPLICATION SIGN}", "x")


def words(told: StatusMessage, width: int = 80) -> str:
    return " ".join(shown(told, width).split())


@WIDTHS
def test_nothing_that_is_not_known_is_shown_as_zero(width: int) -> None:
    text = shown(message(gpu=[gpu(0)], services=None), width)
    row = next(line for line in text.splitlines() if line.startswith(" 0 "))
    assert row.split() == ["0", "unknown", *["-"] * (6 if width == 160 else 5)]
    assert "0%" not in text
    assert "SERVICE  -" in text


def test_no_gpu_and_not_knowing_are_told_apart() -> None:
    assert "GPU  none" in shown(message(gpu=[]))
    assert "GPU  -" in shown(message())


@WIDTHS
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width: int) -> None:
    name = "a-deployment-with-a-rather-long-name-5d8f9c7b6d-x2x9z"
    holder = {"device": "GPU-0", "how": "exclusive", "namespace": "llm", "pod": name}
    model = "an-organisation-of-some-length/a-model-with-a-rather-long-name-70B-Instruct-AWQ"
    services = [SERVICES[2] | {"models": [model], "name": "n" * 40}]
    containers = [{"pod_uid": "u" * 36, "container_id": "c" * 64, "cpu_cores": 1.0}]
    collectors = [{"name": "nvml", "state": "failed", "reason": "R" * 40, "message": "m" * 300}]
    text = shown(
        message(
            gpu=[well(0, holders=[holder]), LOST],
            services=services,
            containers=containers,
            collectors=collectors,
        ),
        width,
    )
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert text.count("m") >= 300
    assert text.count("R") >= 40
    assert name in "".join(text.split()) or width == 80


@WIDTHS
def test_a_lost_gpu_is_told_with_what_to_do(width: int) -> None:
    told = message(gpu=[well(0), LOST])
    assert "2 x NVIDIA H100 80GB HBM3 driver 575.57.08" in words(told, width)
    assert "42 s ago" in words(told, width)
    assert "GPU 1 GpuLost the GPU no longer answers on the bus" in words(told, width)
    assert "→ Drain the node, reset the GPU or power-cycle the node." in words(told, width)
    assert "XID 79: GPU fell off the bus, 2 times" in words(told, width)


def test_a_gpu_that_is_not_well_without_a_verdict_says_its_reason() -> None:
    one = gpu(3, health="unknown", reason="NvmlUnknownError", message="an unknown error")
    assert "GPU 3 NvmlUnknownError an unknown error" in words(message(gpu=[one]))


@pytest.mark.parametrize(
    ("holders", "said"),
    [
        (None, "-"),
        ([], "free"),
        ([{"device": "GPU-0", "how": "host"}], "outside any pod"),
        ([{"device": "GPU-0", "how": "unknown"}], "unknown process"),
        ([{"device": "GPU-0", "how": "exclusive", "namespace": "a", "pod": "b"}], "a/b"),
        (
            [{"device": "GPU-0", "how": "unallocated", "namespace": "a", "pod": "b"}],
            "a/b not given to it",
        ),
        (
            [
                {
                    "device": "GPU-0",
                    "how": "exclusive",
                    "namespace": "a",
                    "pod": "b",
                    "idle_seconds": 7500,
                }
            ],
            "a/b idle 2 h 5 min",
        ),
        (
            [{"device": "MIG-1", "how": "mig", "namespace": "a", "pod": "b"}],
            "a/b 1g.10gb",
        ),
        (
            [{"device": "GPU-0", "how": "time-sliced", "namespace": "a", "pod": "b"}],
            "a/b shared",
        ),
    ],
)
def test_each_way_to_hold_a_gpu_has_its_words(
    holders: list[dict[str, Any]] | None, said: str
) -> None:
    one = well(0, holders=holders, mig=[{"uuid": "MIG-1", "profile": "1g.10gb"}])
    text = shown(message(gpu=[one]), 160)
    row = next(line for line in text.splitlines() if line.startswith(" 0 "))
    assert row.rstrip().endswith(f"  {said}")


def test_gpus_of_different_kinds_have_a_table_each() -> None:
    text = words(message(gpu=[well(0), gpu(1, name="NVIDIA L4"), gpu(2, name="NVIDIA L4")]))
    assert "GPU NVIDIA H100 80GB HBM3 driver" in text
    assert "GPU 2 x NVIDIA L4 driver" in text


def test_the_processes_of_one_container_are_one_line() -> None:
    place = {"namespace": "llm", "pod": "vllm-0", "container": "vllm"}
    gpus = [
        well(i, processes=[{"pid": i, "name": f"W_TP{i}", "memory_used_mb": 1024, **place}])
        for i in range(4)
    ]
    gpus.append(
        well(4, processes=[{"pid": 9}, {"pid": 10, "name": "python3"}, {"pid": 11, "name": "b"}])
    )
    gpus.append(well(5, processes=None))
    text = words(message(gpu=gpus))
    assert "W_TP x4 llm/vllm-0/vllm 0-3 4.0 G" in text
    assert "pid 9, python3 +1 outside any pod 4 -" in text
    assert "- the driver does not say 5" in text


@WIDTHS
def test_services_say_what_is_wrong_and_which_models_are_loaded(width: int) -> None:
    text = words(message(services=SERVICES), width)
    assert "vllm 8000 unhealthy - - - - - -" in text
    assert "vllm ConnectionRefused nothing listens at 127.0.0.1:8000" in text
    assert "llama Unauthorized HTTP status 401" in text
    assert "ollama 0.12.6 11434 ok 0-2,5 - - - - 261 ms" in text
    assert "● llama3.2:3b ○ a" in text
    assert "llama llamacpp 8080 degraded" in text


def test_models_that_are_none_and_models_that_are_unknown_differ() -> None:
    one = {"name": "v", "type": "llm", "status": "running", "health": "ok"}
    assert "MODELS v -" in words(message(services=[one]))
    assert "MODELS v none" in words(message(services=[one | {"models": []}]))
    assert "MODELS v m" in words(message(services=[one | {"models": ["m"]}]))


def test_the_busiest_containers_are_shown() -> None:
    containers = [
        {
            "pod_uid": f"uid-{n}",
            "container_id": "c" * 64,
            "cpu_cores": float(n),
            "working_set_bytes": 2**30,
        }
        for n in range(7)
    ]
    named = {"namespace": "a", "pod": "b", "container": "c", "cpu_limit_cores": 2.0, "restarts": 3}
    containers[6] |= named | {"memory_limit_bytes": 2**31}
    text = words(message(containers=containers))
    assert "a/b/c 6.00 2 1.0/2.0 G 3 uid-5 cccccccccccc 5.00 - 1.0/- G -" in text
    assert "uid-1" not in text
    assert "and 2 more" in text


def test_the_host_is_told_in_bars_and_figures() -> None:
    system = {
        "cpu_percent": 50.0,
        "cpu_count": 4,
        "memory_used_gb": 8.0,
        "memory_total_gb": 16.0,
        "memory_percent": 50.0,
        "disk_used_gb": 95.0,
        "disk_total_gb": 100.0,
        "disk_percent": 95.0,
        "kubelet_disk_used_gb": 80.0,
        "kubelet_disk_total_gb": 100.0,
        "kubelet_disk_percent": 80.0,
        "load_1m": 1.0,
        "host_uptime_seconds": 300_000,
    }
    text = words(message(system=system))
    assert "rack7-gpu4 up 3 d 11 h · 4 CPUs" in text
    assert "CPU █████░░░░░ 50%" in text
    assert "8.0/16.0 GiB" in text
    assert "LOAD ██░░░░░░░░ 1.00 - -" in text
    assert "KUBELET ████████░░ 80% 80.0/100.0 GiB" in text


def test_sources_that_did_not_deliver_say_why_and_one_reason_is_told_once() -> None:
    collectors = [
        {"name": "host", "state": "ok"},
        {"name": "pods", "state": "absent", "reason": "NoPodResources", "message": "no socket"},
        {"name": "pod-resources", "state": "absent", "reason": "NoPodResources"},
        {"name": "nvml", "state": "failed", "reason": "Unresponsive", "age_seconds": 65.0},
        {"name": "drm", "state": "unknown"},
    ]
    told = message(
        collectors=collectors, truncated=["processes"], config={"error": "TooMany at customTags"}
    )
    text = words(told)
    assert "host" not in text
    assert "pods, pod-resources NoPodResources no socket" in text
    assert "nvml Unresponsive last read 65 s ago" in text
    assert "drm unknown" in text
    assert "message Truncated processes" in text
    assert "configuration Refused TooMany at customTags" in text


def test_what_is_piped_has_no_colour() -> None:
    assert "\x1b" not in shown(message(gpu=[well(0), LOST], services=SERVICES))


def test_a_terminal_without_unicode_is_given_plain_signs() -> None:
    text = shown(message(gpu=[well(0), gpu(1)], services=SERVICES), encoding="ascii")
    assert "####." in text
    assert "* llama3.2:3b" in text


def test_a_text_that_looks_like_markup_is_shown_as_it_is() -> None:
    services = [SERVICES[0] | {"name": "[red]x[/red]", "message": "[/bold]"}]
    process = {"pid": 1, "name": "[/x]:smile:", "pod": "[b]"}
    text = words(message(services=services, gpu=[well(0, processes=[process])]))
    assert "[red]x[/red] vllm 8000" in text
    assert "ConnectionRefused [/bold]" in text
    assert "[/x]:smile: [b]" in text


def test_a_message_that_has_travelled_looks_the_same() -> None:
    told = message(gpu=[well(0), LOST], services=SERVICES)
    assert shown(decode(encode(told))) == shown(told)


def test_messages_are_shown_one_below_the_other_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=80)
    with showing(console, live=True) as show:
        show(message(gpu=[]))
        show(message())
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.count("rack7-gpu4") == 2
    assert "\x1b" not in text


def test_a_terminal_shows_each_message_in_the_place_of_the_one_before() -> None:
    console = Console(file=io.StringIO(), width=80, height=10, force_terminal=True)
    with showing(console, live=True) as show:
        show(message(gpu=[]))
        show(message(gpu=[well(i) for i in range(8)]))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.startswith("\x1b[?1049h")
    assert "\x1b[?1049l" in text


def test_as_json_a_message_is_what_travels() -> None:
    console = Console(file=io.StringIO())
    told = message(gpu=[LOST])
    with as_json(console) as show:
        show(told)
    assert isinstance(console.file, io.StringIO)
    assert decode(console.file.getvalue()) == decode(encode(told))
