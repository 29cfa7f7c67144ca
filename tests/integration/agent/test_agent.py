import asyncio
import json
import os
import signal
import sys

from citadel_k8s.agent.main import collect_once
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.aio.periodic import next_tick
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.domain.keys import heartbeat_phase
from tests.integration.agent.conftest import (
    PROGRAM,
    AgentProcess,
    Stream,
    alive,
    parent_of,
    processes,
    until,
)
from tests.native.fake_nvml import FakeNvml


async def test_a_heartbeat_arrives_with_what_the_node_has(
    start_agent, own_valkey, stream, driver: FakeNvml
):
    agent: AgentProcess = await start_agent(driver.env(), redis_url=own_valkey.url)
    await stream.until(lambda messages: len(messages) >= 2)
    first, second = (await stream.messages())[:2]
    assert (first.node_id, first.seq, second.seq) == ("n1", 1, 2)
    assert first.boot_id == second.boot_id
    assert first.interval_seconds == 5
    assert first.status_port == agent.port
    assert first.status.system.memory_total_gb > 0
    states = {c.name: c.state for c in first.status.collectors}
    assert {states["host"], states["nvml"], states["engines"]} == {"ok"}
    assert len(first.status.gpu) == 4
    gpu = first.status.gpu[2]
    assert (gpu.name, gpu.driver) == ("NVIDIA H100 80GB HBM3", "575.57.08")
    assert (gpu.memory_used_mb, gpu.memory_total_mb) == (1002, 81559)
    assert (gpu.utilization_percent, gpu.temperature_celsius) == (20.0, 42)
    assert (gpu.power_watts, gpu.power_limit_watts, gpu.health) == (102.0, 700.0, "ok")


async def test_sigterm_says_goodbye_and_ends_within_five_seconds(
    start_agent, own_valkey, stream, driver: FakeNvml
):
    agent = await start_agent(driver.env(), redis_url=own_valkey.url)
    await stream.until(lambda messages: len(messages) >= 1)
    children = agent.children()
    assert len(children) == 2
    assert await agent.stop() < 2
    assert agent.process.returncode == 0
    last = (await stream.messages())[-1]
    assert last.goodbye is not None
    assert last.goodbye.reason == "terminating"
    assert not [pid for pid in children if alive(pid)]


async def test_an_agent_that_is_killed_leaves_no_child_even_one_that_hangs(
    start_agent, driver: FakeNvml
):
    agent = await start_agent(driver.env(), publish="none")
    await until(lambda: len(agent.children()) == 2)
    children = agent.children()
    driver.hang(1)
    calls = driver.state.calls
    await until(lambda: driver.state.calls > calls)
    agent.process.kill()
    await agent.process.wait()
    await until(lambda: not [pid for pid in children if alive(pid)], seconds=5)


async def test_a_gpu_that_hangs_for_ever_stops_neither_heartbeats_nor_the_other_gpus(
    start_agent, own_valkey, stream, driver: FakeNvml
):
    agent = await start_agent(driver.env(), redis_url=own_valkey.url)
    await stream.until(lambda messages: len(messages) >= 1)
    driver.hang(1)

    async def told() -> bool:
        gpus = await agent.gpus()
        return gpus[1]["health"] == "failed" and gpus[3]["health"] == "ok"

    await until(told, seconds=30)
    driver.gpu(3).temperature = 77
    hung = (await agent.get("/status?fresh=1"))["status"]["gpu"]
    assert hung[1]["reason"] == "Unresponsive"
    assert "no answer for 3 s from nvml" in hung[1]["message"]
    assert hung[1]["memory_used_mb"] == 1001
    assert hung[1]["age_seconds"] > 2
    assert hung[3]["temperature_celsius"] == 77
    assert "age_seconds" not in hung[3]
    await asyncio.sleep(11)
    jitter = await grid_jitter(stream)
    assert len(jitter) >= 3
    assert max(jitter) < 1
    assert await agent.stop() < 5
    assert (await stream.messages())[-1].goodbye is not None


async def grid_jitter(stream: Stream) -> list[float]:
    """Give, for each moment of the node's grid since its start, how late a heartbeat came."""
    # The server is on this machine: its dates and the agent's duration clock can be compared.
    offset = SystemClock().now() - SystemClock().monotonic()
    arrivals = [at / 1000 - offset for at, m in await stream.entries() if m.goodbye is None]
    first = next_tick(arrivals[0], 5, heartbeat_phase("n1", 5))
    moments = [first + 5 * k for k in range(int((arrivals[-1] - first) // 5) + 1)]
    return [min(a - m for a in arrivals if a > m - 0.1) for m in moments]


async def test_heartbeats_leave_on_the_nodes_own_phase_while_the_driver_hangs_at_its_start(
    start_agent, own_valkey, stream, driver: FakeNvml
):
    driver.state.init = 1000
    agent = await start_agent(driver.env(), redis_url=own_valkey.url)
    await stream.until(lambda messages: len(messages) >= 5, seconds=40)
    jitter = await grid_jitter(stream)
    assert len(jitter) >= 3
    assert max(jitter) < 1
    first = (await stream.messages())[0]
    assert first.status.system.memory_total_gb > 0
    assert first.status.gpu is None
    source = (await stream.messages())[-1].status.collectors[1]
    assert (source.state, source.reason) == ("failed", "Unresponsive")
    assert "nvmlInit" in source.message
    assert len(agent.children()) <= 2
    assert await agent.stop() < 5
    assert (await stream.messages())[-1].goodbye is not None


async def test_a_lost_gpu_is_told_at_once_and_the_others_stay_well(
    start_agent, own_valkey, stream, driver: FakeNvml
):
    await start_agent(driver.env(), redis_url=own_valkey.url)
    await stream.until(lambda messages: len(messages) >= 1)
    driver.fail(2, 15)
    await stream.until(lambda messages: messages[-1].status.gpu[2].health == "failed", seconds=12)
    told = (await stream.messages())[-1].status.gpu
    assert [(g.health, g.reason) for g in told] == [
        ("ok", None), ("ok", None), ("failed", "GpuLost"), ("ok", None),
    ]  # fmt: skip
    assert told[2].uuid == "GPU-00000002-0000-0000-0000-000000000000"
    assert told[2].memory_used_mb is None
    driver.heal(2)
    await stream.until(lambda messages: messages[-1].status.gpu[2].health == "ok", seconds=12)


async def test_a_node_without_a_driver_says_that_it_has_none(start_agent, own_valkey, stream):
    await start_agent(dict(os.environ), redis_url=own_valkey.url)
    await stream.until(lambda messages: len(messages) >= 1)
    status = (await stream.messages())[0].status
    assert status.gpu == []
    assert (status.collectors[1].state, status.collectors[1].reason) == (
        "absent", "NvmlLibraryNotFound",
    )  # fmt: skip


async def test_redis_that_is_down_at_the_start_and_later_loses_nothing_but_old_news(
    start_agent, own_valkey, stream
):
    await own_valkey.stop(keep=True)
    agent = await start_agent(redis_url=own_valkey.url, fake_gpu="h100x2")
    await until(lambda: agent.find("publish_failed"))
    health = (await agent.get("/health"))["heartbeat"]
    assert (health["state"], health["lastSuccess"]) == ("unknown", None)
    await asyncio.sleep(6)
    await own_valkey.start()
    await stream.until(lambda messages: len(messages) >= 1)
    first = (await stream.messages())[0]
    assert first.seq > 1
    assert (await agent.get("/health"))["heartbeat"]["state"] == "ok"

    await own_valkey.stop(keep=True)
    await asyncio.sleep(7)
    assert (await agent.get("/health"))["heartbeat"]["state"] == "failing"
    assert "citadel_heartbeat_consecutive_failures" in await agent.get("/metrics")
    await own_valkey.start()
    await stream.until(lambda messages: len(messages) >= 2)
    numbers = [m.seq for m in await stream.messages()]
    assert numbers == sorted(numbers)
    assert agent.find("publish_failed_recovered")["count"] >= 1
    assert len([x for x in agent.lines if x["event"] == "publish_failed"]) == 2


async def test_sigterm_ends_in_time_though_redis_swallows_everything(start_agent, own_valkey):
    agent = await start_agent(redis_url=own_valkey.url, fake_gpu="h100x2")
    await asyncio.sleep(1)
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        assert await agent.stop() < 5
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    assert agent.find("goodbye")["said"] is False


async def test_collecting_once_reads_the_real_host_and_leaves_no_child():
    before = set(children_of_this())
    message = await collect_once(AgentSettings(node_name="n1", publish="none"))
    assert message.status.system.memory_total_gb
    assert message.status.system.cpu_percent is not None
    await until(lambda: not set(children_of_this()) - before, seconds=5)


def children_of_this() -> list[int]:
    return [pid for pid in processes() if parent_of(pid) == os.getpid() and alive(pid)]


async def test_a_port_that_is_taken_is_an_error_and_not_a_half_running_agent(own_valkey):
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    async with server:
        settings = {
            "listen_host": "127.0.0.1",
            "listen_port": server.sockets[0].getsockname()[1],
            "publish": "none",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, json.dumps(settings), stderr=asyncio.subprocess.PIPE
        )
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert b"address already in use" in errors
