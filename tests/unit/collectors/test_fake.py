import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.collectors.fake import FakeEngines, FakeGpus
from citadel_k8s.collectors.fakekinds import KINDS, parse_fake_gpu
from citadel_k8s.collectors.fakeload import LOADED_AT, FakeNode, Wave
from citadel_k8s.collectors.fakepods import FakeContainers, FakePods, FakeProcesses
from citadel_k8s.domain.attribution import Attribution, attribute
from citadel_k8s.domain.engineplaces import engines_on_gpus
from citadel_k8s.domain.gpuhealth import GpuHistory, judge
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.readings import Engine, Gpu, Reading

NODES = [f"n{number}" for number in range(12)]


async def gpus(spec: str, node: str, clock: ManualClock) -> tuple[Gpu, ...]:
    outcome = await FakeGpus(spec, node, clock).collect()
    assert isinstance(outcome, Reading)
    return outcome.value.gpus


async def engines(spec: str, node: str, clock: ManualClock) -> tuple[Engine, ...]:
    outcome = await FakeEngines(spec, node, clock).collect()
    assert isinstance(outcome, Reading)
    return outcome.value


async def attributed(spec: str, node: str, clock: ManualClock) -> Attribution:
    pods, processes = (
        await FakePods(spec, node).collect(),
        await FakeProcesses(spec, node).collect(),
    )
    assert isinstance(pods, Reading)
    assert isinstance(processes, Reading)
    return attribute(await gpus(spec, node, clock), pods.value, processes.value, None, 0.0)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_gpu_can_be_pretended_with_plausible_values(kind: str):
    for gpu in await gpus(f"{kind}x2", "n1", ManualClock()):
        assert gpu.name == KINDS[kind].name
        assert gpu.health == "ok"
        assert 0 <= gpu.utilization_ratio <= 1
        assert 0 < gpu.memory_used_bytes <= gpu.memory_total_bytes
        assert 0 < gpu.power_watts <= gpu.power_limit_watts
        assert 30 <= gpu.temperature_celsius <= 80
        assert gpu.clock_sm_hertz <= KINDS[kind].clock_mhz * 1_000_000
        assert gpu.pcie.generation <= gpu.pcie.generation_max
        assert judge(gpu, GpuHistory(), links=KINDS[kind].links).verdicts == ()


@pytest.mark.parametrize(
    ("kind", "ecc", "links", "mig"),
    [
        ("h100", True, 18, False),
        ("v100", True, 6, None),
        ("l40s", True, 0, None),
        ("rtx4090", False, 0, None),
    ],
)
async def test_each_kind_tells_what_its_driver_can_tell(
    kind: str, *, ecc: bool, links: int, mig: bool | None
):
    gpu = (await gpus(f"{kind}x2", "n1", ManualClock()))[0]
    assert (gpu.ecc is not None, gpu.ecc_enabled) == (ecc, ecc or None)
    assert (gpu.row_remap is not None) == ecc
    assert len(gpu.nvlinks or ()) == links
    assert gpu.mig_enabled is mig


async def test_a_node_can_have_one_gpu_whose_memory_cannot_be_mended_any_more():
    *well, broken = await gpus("a100x4!", "n1", ManualClock())
    judged = [judge(gpu, GpuHistory(), links=12) for gpu in (*well, broken)]
    assert [len(one.verdicts) for one in judged] == [0, 0, 0, 1]
    assert judged[-1].verdicts[0].reason == "RowRemapFailed"


@pytest.mark.parametrize("spec", ["", "h100", "h100x", "h100x0", "h100x17", "x8", "h1x8", "8xh100"])
def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(spec: str):
    with pytest.raises(ConfigError, match="rtx4090"):
        parse_fake_gpu(spec)


async def test_two_readings_at_the_same_moment_are_the_same():
    assert await gpus("h100x8", "n1", ManualClock()) == await gpus("h100x8", "n1", ManualClock())
    assert await engines("h100x8", "n1", ManualClock()) == await engines(
        "h100x8", "n1", ManualClock()
    )


async def test_nodes_differ_in_uuids_and_load():
    one, two = [await gpus("h100x8", name, ManualClock()) for name in ("n1", "n2")]
    assert not {g.uuid for g in one} & {g.uuid for g in two}
    assert [g.utilization_ratio for g in one] != [g.utilization_ratio for g in two]


async def test_gpus_of_a_node_have_places_of_their_own():
    seen = await gpus("h100x16", "n1", ManualClock())
    assert len({gpu.pci_bus_id for gpu in seen}) == 16
    assert len({gpu.uuid for gpu in seen}) == 16


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


async def test_energy_is_what_power_sums_up_to():
    clock = ManualClock()
    (before,) = await gpus("h100x1", "n1", clock)
    watts: list[float] = []
    for _ in range(600):
        clock.advance(1)
        (gpu,) = await gpus("h100x1", "n1", clock)
        watts.append(gpu.power_watts)
    assert gpu.energy_joules - before.energy_joules == pytest.approx(sum(watts), rel=0.01)


def test_before_drivers_were_loaded_no_energy_was_used():
    assert Wave("n1").seconds(LOADED_AT - 5) == 0
    assert Wave.elapsed(LOADED_AT - 5) == 0


async def test_pretended_engines_serve_models_and_tell_their_figures():
    vllm = (await engines("h100x8", "n1", ManualClock()))[0]
    assert (vllm.name, vllm.status, vllm.health, vllm.port) == ("vllm", "running", "ok", 8000)
    assert vllm.models == vllm.loaded_models
    for figure in (
        vllm.requests_running,
        vllm.requests_waiting,
        vllm.kv_cache_ratio,
        vllm.generation_tokens_per_second,
        vllm.ttft_seconds_p50,
        vllm.e2e_seconds_p50,
    ):
        assert figure is not None


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("spec", ["t4x1", "l40sx2", "a100x3", "a100x4", "h100x8", "b200x16"])
async def test_gpus_pods_processes_and_engines_of_a_node_fit_together(spec: str, node: str):
    clock = ManualClock()
    seen, serving = await gpus(spec, node, clock), await engines(spec, node, clock)
    found = await attributed(spec, node, clock)
    processes = await FakeProcesses(spec, node).collect()
    assert isinstance(processes, Reading)
    assert not found.unplaced
    assert {holder.how for gpu in seen for holder in found.of(gpu.index)} <= {"exclusive", "host"}
    placed = engines_on_gpus(serving, seen, processes.value, found)
    assert (placed[0].namespace, placed[0].pod, placed[0].container) == ("llm", "vllm-0", "vllm")
    assert placed[0].gpus == FakeNode(spec, node).vllm.gpus
    pids = [one.pid for one in processes.value.processes]
    assert len(set(pids)) == len(pids)


async def test_somebody_holds_a_gpu_that_nobody_uses():
    found = await attributed("h100x8", "n1", ManualClock())
    idle = [h for _, holders in found.holders for h in holders if h.idle_seconds is not None]
    assert [(holder.pod, holder.pids) for holder in idle] == [("notebook-0", ())]


async def test_an_ollama_with_little_to_do_has_no_model_in_memory():
    node = next(name for name in NODES if FakeNode("h100x8", name).ollama)
    clock, states = ManualClock(), set[tuple[bool, bool]]()
    for _ in range(100):
        ollama = (await engines("h100x8", node, clock))[1]
        gpu = (await gpus("h100x8", node, clock))[7]
        states.add((bool(ollama.loaded_models), bool(gpu.processes)))
        clock.advance(10)
    assert states == {(True, True), (False, False)}


async def test_containers_use_what_their_programs_do():
    outcome = await FakeContainers("h100x8", "n1", ManualClock()).collect()
    assert isinstance(outcome, Reading)
    assert all(one.cpu_cores <= one.cpu_limit_cores for one in outcome.value)
    assert all(one.working_set_bytes < one.memory_limit_bytes for one in outcome.value)
    assert {one.pod_uid for one in outcome.value} == {
        job.pod_uid for job in FakeNode("h100x8", "n1").jobs if job.pod_uid
    }
