import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from citadel_k8s.agent.__main__ import settings_from
from citadel_k8s.agent.identity import speaker_of
from citadel_k8s.agent.main import Agent, collect_once, collectors_of, publisher_of
from citadel_k8s.agent.state import CONFIG_FILE, State
from citadel_k8s.agent.wiring import configuration_of
from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.collectors.remote import argv_of
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.publishers.fake import FakePublisher


def test_the_node_is_called_as_it_is_told_and_each_process_is_a_new_boot():
    settings = AgentSettings(node_name="gpu-1", interval_seconds=15)
    one, two = speaker_of(settings, gpu_source="nvml"), speaker_of(settings, gpu_source="nvml")
    assert (one.node_id, one.node_name, one.interval_seconds) == ("gpu-1", "gpu-1", 15)
    assert one.boot_id != two.boot_id


def test_a_node_name_longer_than_an_id_is_shortened_and_kept_whole_beside_it():
    name = "a" * 200
    speaker = speaker_of(AgentSettings(node_name=name), gpu_source="nvml")
    assert len(speaker.node_id) == 64
    assert speaker.node_name == name


def test_a_node_name_that_can_be_no_id_says_which_setting_to_change():
    with pytest.raises(ConfigError, match="nodeName"):
        speaker_of(AgentSettings(node_name="no spaces"), gpu_source="nvml")


def test_publishing_to_redis_needs_a_url():
    with pytest.raises(ConfigError, match="redisUrl"):
        publisher_of(AgentSettings(), ManualClock())


def test_without_publishing_there_is_no_way_out():
    assert publisher_of(AgentSettings(publish="none"), ManualClock()) is None


def test_a_pretended_gpu_of_no_known_kind_is_refused():
    with pytest.raises(ConfigError, match="kinds"):
        collectors_of(AgentSettings(fake_gpu="voodoo2x1"), ManualClock())


async def test_a_message_that_an_outage_kept_is_dated_when_it_is_sent():
    settings = AgentSettings(node_name="n1", fake_gpu="l40sx2", publish="none")
    clock, publisher = ManualClock(), FakePublisher()
    agent = Agent(settings, collectors_of(settings, clock), publisher, clock=clock)
    kept = agent.board.message(seq=1)
    clock.advance(60)
    await agent._published(publisher)(kept)
    (sent,) = publisher.messages
    assert parse_timestamp(sent.timestamp) == clock.now()
    assert sent.status.timestamp == kept.status.timestamp


async def test_one_collection_gives_the_message_that_an_agent_would_send():
    message = await collect_once(
        AgentSettings(node_name="n1", fake_gpu="l40sx2", publish="none", host_root=Path("/"))
    )
    assert message.node_id == "n1"
    assert message.seq is None
    assert message.status.gpu is not None
    assert len(message.status.gpu) == 2
    assert message.status.services
    assert message.status.system.memory_total_gb is not None
    assert message.status.collectors is not None
    assert {c.state for c in message.status.collectors} == {"ok"}


def test_the_agent_does_not_load_what_it_does_not_use():
    code = (
        "import sys, citadel_k8s.agent.__main__\n"
        "heavy = {'kubernetes', 'kopf', 'typer', 'rich', 'psutil', 'pynvml', 'grpc'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("source", ["host", "containers", "processes", "drm", "nvml"])
def test_a_collector_child_loads_next_to_nothing(source: str):
    code = (
        "import sys, citadel_k8s.collectors.child\n"
        f"citadel_k8s.collectors.child.make_source('{source}', '/')\n"
        "heavy = {'asyncio', 'pydantic', 'structlog', 'aiohttp', 'redis', 'typing', "
        "'dataclasses', 'inspect', 'pathlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


async def test_an_address_that_is_taken_is_an_error_of_the_settings():
    async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = AgentSettings(
            node_name="n1",
            fake_gpu="l40sx2",
            publish="none",
            listen_host="127.0.0.1",
            listen_port=port,
        )
        clock = ManualClock()
        agent = Agent(settings, collectors_of(settings, clock), None, clock=clock)
        with pytest.raises(ConfigError, match="cannot listen"):
            await agent.run(asyncio.Event())


@pytest.mark.parametrize("program", ["citadel_k8s agent --interval 1", "citadel_k8s.agent {}"])
def test_settings_that_do_not_fit_end_the_program_with_one_line(program: str):
    words = program.replace("{}", '{"given":{"interval_seconds":1}}').split()
    done = subprocess.run(
        [sys.executable, "-m", *words], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: settings: intervalSeconds")
    assert done.stderr.count("\n") == 1


def test_the_agents_process_takes_the_file_and_what_the_command_line_said(tmp_path: Path):
    file = tmp_path / "settings.yaml"
    file.write_text("nodeName: from-file\nintervalSeconds: 10\n")
    words = {"file": str(file), "given": {"interval_seconds": 20.0, "org_id": None}}
    settings = settings_from(json.dumps(words))
    assert (settings.node_name, settings.interval_seconds) == ("from-file", 20.0)


async def test_a_file_where_the_agent_was_started_is_not_taken_for_a_module(tmp_path: Path):
    (tmp_path / "mmap.py").write_text("raise SystemExit(99)\n")
    async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as server:
        port = str(server.sockets[0].getsockname()[1])
        words = ["agent", "--publish", "none", "--listen-host", "127.0.0.1", "--listen-port", port]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "citadel_k8s", *words,
            cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert b"cannot listen" in errors
    assert "-P" in argv_of(("host",), Path("/"))


@pytest.mark.parametrize(("wanted", "name"), [("on", "far"), ("off", "near")])
def test_without_configuration_from_afar_what_was_told_before_does_not_hold(
    tmp_path: Path, wanted: str, name: str
):
    settings = AgentSettings.model_validate(
        {"display_name": "near", "configuration": wanted, "publish": "none"}
    )
    told = {
        "version": 1, "nodeId": "n1", "values": {"deviceName": "far"}, "unsupported": [],
        "appliedAt": "2026-11-23T08:00:00Z", "revision": None, "lastId": None,
    }  # fmt: skip
    (tmp_path / CONFIG_FILE).write_text(json.dumps(told))
    configuration = configuration_of(settings, None, State(tmp_path, "n1"), ManualClock())
    assert configuration.current.display_name == name
    assert (configuration.info is None) == (wanted == "off")


def test_a_look_at_the_status_leaves_the_state_of_a_running_agent_alone(tmp_path: Path):
    file = tmp_path / CONFIG_FILE
    file.write_text('{"version": 1, "nodeId": "another"}')
    before = file.stat().st_mtime_ns
    settings = AgentSettings(
        node_name="n1", fake_gpu="l40sx2", publish="none", state_folder=tmp_path
    )
    asyncio.run(collect_once(settings))
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mtime_ns == before
