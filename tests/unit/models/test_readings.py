import dataclasses
import json
import subprocess
import sys

import pytest

from citadel_k8s.models import readings


@pytest.mark.parametrize(
    "value",
    [
        readings.Host(cpu_ratio=0.5),
        readings.Gpus(driver="580", gpus=(readings.Gpu(index=0, uuid="GPU-1"),)),
        readings.Engine(name="vllm", type="llm", status="running", health="ok", models=("m",)),
    ],
)
def test_a_reading_travels_as_json(value: readings.Host | readings.Gpus | readings.Engine) -> None:
    assert json.loads(json.dumps(dataclasses.asdict(value)))


def test_nothing_read_is_unknown_and_neither_zero_nor_good_news() -> None:
    host = dataclasses.asdict(readings.Host())
    gpu = readings.Gpu(index=0)

    assert set(host.values()) == {None}
    assert gpu.health == "unknown"
    assert gpu.utilization_ratio is None


def test_a_child_that_imports_readings_stays_small() -> None:
    code = (
        "import sys; from citadel_k8s.models import readings;"
        "print([m for m in ('pydantic', 'asyncio', 'aiohttp') if m in sys.modules])"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "[]"
