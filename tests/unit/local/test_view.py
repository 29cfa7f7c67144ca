from typing import Any

import pytest

from citadel_k8s.local.view import print_table, table

NOW = 1_795_420_800.0


def node(name: str, **summary: str) -> dict[str, Any]:
    columns = {"gpus": "8/8", "util": "70%", "vram": "1/2Gi", "models": "m", "requests": "1/0"}
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-11-23T08:00:00Z"},
        "spec": {"nodeId": name, "orgId": "acme"},
        "status": {"state": "Offline", "summary": {**columns, **summary}},
    }


def test_nothing_is_cut_however_narrow_the_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    model = "a-model-with-a-rather-long-name +12"
    objects = [node("gpu-2"), node("gpu-1", models=model, gpuModel="NVIDIA H100 80GB HBM3")]
    print_table(table(objects, NOW, wide=True))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].split()[:3] == ["NAME", "STATE", "READY"]
    assert lines[1].startswith("gpu-1  Offline  unknown")
    assert model in lines[1]
    assert "NVIDIA H100 80GB HBM3" in lines[1]


def test_an_object_without_a_status_is_unknown_and_not_blank(
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw = node("gpu-1") | {"status": None}
    print_table(table([raw], NOW))
    assert capsys.readouterr().out.splitlines()[1].split()[1:7] == ["unknown"] * 6
