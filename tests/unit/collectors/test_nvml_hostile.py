"""The NVML source against whatever a broken driver may say: it never raises, and stays bounded."""

import ctypes
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from citadel_k8s.collectors.base import gpus_from
from tests.native.fake_nvml import MIB, FakeGpu, FakeNvml
from tests.native.nvml_reader import NvmlReader

ODD_CODES = (2, 3, 4, 6, 7, 15, 16, 999, 12345)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NvmlReader]:
    reader = NvmlReader(FakeNvml(tmp_path_factory.mktemp("nvml"), count=2))
    yield reader
    reader.close()


@pytest.fixture
def reader(process: NvmlReader) -> Iterator[NvmlReader]:
    process.renew()
    yield process
    assert process.driver.state.misuses == 0


def rich(reader: NvmlReader, *, sliced: bool) -> list[str]:
    """Let GPU 0 be of many parts, and give the calls on it."""
    driver = reader.driver
    driver.link(0, 2)
    driver.processes(0, [(1, MIB), (2, MIB, "mps")])
    driver.slice(0, ["1g.10gb", "2g.20gb"] if sliced else [])
    reader.gpus()
    return sorted({call for gpu, call in reader.calls() if gpu == 0})


@pytest.mark.parametrize("code", ODD_CODES)
@pytest.mark.parametrize("sliced", [False, True])
def test_each_call_may_fail_in_each_way(reader: NvmlReader, code: int, *, sliced: bool):
    for call in rich(reader, sliced=sliced):
        reader.renew()
        rich(reader, sliced=sliced)
        reader.driver.fail(0, code, call.partition(" ")[0])
        for _ in range(2):
            broken, whole = reader.collect(everything=True)["value"]["gpus"]
            assert broken["health"] in {"ok", "unknown", "failed"}, call
            assert whole["health"] == "ok", call
        reader.driver.heal(0)
        assert reader.gpus()[1]["health"] == "ok"


@pytest.mark.parametrize("sliced", [False, True])
def test_each_call_can_be_left_out(reader: NvmlReader, *, sliced: bool):
    for call in rich(reader, sliced=sliced):
        reader.renew()
        rich(reader, sliced=sliced)
        broken, whole = reader.gpus({(0, call): "it hung"})
        assert (broken["health"], broken["message"], whole["health"]) == (
            "failed",
            "it hung",
            "ok",
        )
        assert [0, call] not in reader.calls()


def test_noise_in_place_of_values_is_an_answer_that_can_be_read(reader: NvmlReader):
    noise = random.Random(7)
    for _ in range(150):
        reader.renew()
        gpu = reader.driver.gpu(0)
        ctypes.memmove(
            ctypes.addressof(gpu), noise.randbytes(ctypes.sizeof(FakeGpu)), ctypes.sizeof(gpu)
        )
        gpu.fault_count, gpu.phantoms = 0, 0
        gpu.mig_mode = noise.choice([0, 1, gpu.mig_mode])
        answer = reader.collect()
        assert answer["kind"] == "reading", answer
        assert len(json.dumps(answer)) < 60_000
        check(answer)
        assert gpus_from(answer["value"]).gpus[1].health == "ok"


def check(value: Any) -> None:
    if isinstance(value, dict):
        for part in value.values():
            check(part)
    elif isinstance(value, list):
        for part in value:
            check(part)
    elif isinstance(value, str):
        assert value.isprintable()
    elif isinstance(value, (int, float)):
        assert math.isfinite(value)
        assert -50 <= value < 2**64
