import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.collectors.fake import KINDS, FakeEngines, FakeGpus, parse_fake_gpu
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.readings import Reading


async def gpus(spec: str, node: str, clock: ManualClock):
    outcome = await FakeGpus(spec, node, clock).collect()
    assert isinstance(outcome, Reading)
    return outcome.value.gpus


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_gpu_can_be_pretended_with_plausible_values(kind: str):
    for gpu in await gpus(f"{kind}x2", "n1", ManualClock()):
        assert gpu.name == KINDS[kind].name
        assert gpu.health == "ok"
        assert 0 <= gpu.utilization_ratio <= 1
        assert 0 < gpu.memory_used_bytes <= gpu.memory_total_bytes
        assert 0 < gpu.power_watts <= gpu.power_limit_watts
        assert 30 <= gpu.temperature_celsius <= 80


@pytest.mark.parametrize("spec", ["", "h100", "h100x", "h100x0", "h100x17", "x8", "h1x8", "8xh100"])
def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(spec: str):
    with pytest.raises(ConfigError, match="rtx4090"):
        parse_fake_gpu(spec)


async def test_two_readings_at_the_same_moment_are_the_same():
    assert await gpus("h100x8", "n1", ManualClock()) == await gpus("h100x8", "n1", ManualClock())


async def test_nodes_differ_in_uuids_and_load():
    one, two = [await gpus("h100x8", name, ManualClock()) for name in ("n1", "n2")]
    assert not {g.uuid for g in one} & {g.uuid for g in two}
    assert [g.utilization_ratio for g in one] != [g.utilization_ratio for g in two]


async def test_load_moves_slowly():
    clock = ManualClock()
    last = None
    seen = set()
    for _ in range(200):
        (gpu,) = await gpus("rtx4090x1", "n1", clock)
        if last is not None:
            assert abs(gpu.utilization_ratio - last) < 0.2
        last = gpu.utilization_ratio
        seen.add(last)
        clock.advance(10)
    assert len(seen) > 20


async def test_pretended_engines_serve_models_and_count_requests():
    outcome = await FakeEngines("h100x8", "n1", ManualClock()).collect()
    assert isinstance(outcome, Reading)
    vllm = outcome.value[0]
    assert (vllm.name, vllm.status, vllm.health, vllm.port) == ("vllm", "running", "ok", 8000)
    assert vllm.models
    assert vllm.requests_running is not None
    assert vllm.requests_waiting is not None
