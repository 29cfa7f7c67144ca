from typing import Any

import pytest

from citadel_k8s.domain.nodecolumns import HEADERS, WIDE_HEADERS, age_text, cells, lasting

NOW = 1_795_420_800.0
GIB = 1024**3


def a_row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "gpu-1",
        "state": "Online",
        "since": "2026-11-23T07:00:00Z",
        "lastHeartbeat": "2026-11-23T07:59:50Z",
        "age": 4.2,
        "profile": {
            "name": "gpu-1",
            "address": "100.64.0.1",
            "agent": "0.1.0",
            "gpus": [{"model": "H100", "count": 2}],
            "vramBytes": 160 * GIB,
            "memoryBytes": 512 * GIB,
            "models": ["meta/Llama-3", "b"],
            "services": 1,
        },
        "pulse": {
            "cpu": 0.5,
            "memory": 0.25,
            "gpu": [[50, 50, 0], [70, 100, 1]],
            "running": 3,
            "waiting": 0,
        },
    } | changes


def named(row: dict[str, Any]) -> dict[str, str]:
    return dict(zip(HEADERS + WIDE_HEADERS, cells(row, NOW, wide=True), strict=True))


def test_a_row_of_the_api_is_told_in_the_words_of_the_printer_columns():
    assert named(a_row()) == {
        "NAME": "gpu-1",
        "STATE": "Online",
        "GPUS": "1/2",
        "UTIL": "60%",
        "VRAM": "120/160Gi",
        "MODELS": "Llama-3 +1",
        "RUN/WAIT": "3/0",
        "SEEN": "4s",
        "REASON": "",
        "ID": "gpu-1",
        "ADDRESS": "100.64.0.1",
        "GPU-MODEL": "H100",
        "DRIVER": "unknown",
        "AGENT": "0.1.0",
        "CPU": "50%",
        "MEMORY": "128/512Gi",
        "SINCE": named(a_row())["SINCE"],
    }


@pytest.mark.parametrize("state", ["Offline", "Stale", "Unknown", "FromTheFuture"])
def test_of_a_node_that_does_not_speak_now_only_what_it_is_made_of_is_told(state: str):
    told = named(a_row(state=state))
    assert (told["GPUS"], told["VRAM"], told["MEMORY"]) == ("?/2", "?/160Gi", "?/512Gi")
    assert {told[key] for key in ("UTIL", "MODELS", "RUN/WAIT", "CPU")} == {"unknown"}


def test_what_is_not_known_is_never_a_zero():
    told = named({"id": "x", "state": "Online"})
    assert set(told.values()) == {"x", "Online", "unknown", "never", ""}


def test_no_gpus_and_no_models_are_told_as_none():
    profile = {"name": "x", "gpus": [], "models": [], "services": 0}
    told = named(a_row(profile=profile, pulse={"gpu": []}))
    assert {told[key] for key in ("GPUS", "UTIL", "VRAM", "MODELS", "GPU-MODEL")} == {"none"}
    assert told["RUN/WAIT"] == "none"


def test_figures_of_some_gpus_do_not_pass_for_those_of_all():
    told = named(a_row(pulse={"gpu": [[50, None, 0], [None, 10, None]], "running": 1}))
    assert (told["GPUS"], told["UTIL"], told["VRAM"]) == ("?/2", "unknown", "?/160Gi")
    assert told["RUN/WAIT"] == "1/?"


def test_a_row_of_an_object_has_the_operators_own_words():
    row = {
        "id": "GPU_1",
        "object": "gpu-1",
        "state": "Online",
        "confirmed": "2026-11-23T07:59:50Z",
        "summary": {"gpus": "8/8", "util": "40%"},
    }
    told = named(row)
    assert (told["NAME"], told["ID"], told["GPUS"]) == ("gpu-1", "GPU_1", "8/8")
    assert told["VRAM"] == "unknown"


def test_what_a_node_says_of_itself_cannot_act():
    told = cells(a_row(reason="\x1b[2J\u202e\n"), NOW)
    assert all(cell.isprintable() for cell in told)


def test_a_line_of_a_watch_is_worth_more_than_the_moving_load():
    def headed(**changes: Any) -> dict[str, str]:
        return dict(zip(HEADERS, cells(a_row(**changes), NOW), strict=True))

    first = lasting(headed(), None)
    nearly = {"gpu": [[50, 60, 0], [72, 100, 1]], "running": 9}
    assert lasting(headed(pulse=nearly, age=30.0), first) == first
    assert lasting(headed(pulse={"gpu": [[90, 50, 0], [90, 100, 1]]}), first) != first
    assert lasting(headed(state="Degraded"), first) != first
    assert lasting(headed(state="Stale"), first) != first


def test_spans_are_told_as_kubectl_does():
    assert (age_text(4.2), age_text(150), age_text(90_000)) == ("4s", "2m30s", "25h")
