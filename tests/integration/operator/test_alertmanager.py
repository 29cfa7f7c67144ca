"""What the operator tells a real Alertmanager, and what that makes of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.config.operator import Alerts
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.local.alertmanager import Alertmanager
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.notifier import Notifier
from citadel_k8s.operator.registry import Registry
from citadel_k8s.stores.deadletters import RedisDeadLetters
from citadel_k8s.stores.streams import RedisStatusStream
from tests.receivers import Receiver, answer, receiving
from tests.unit.operator.fakes import World

REPEAT = 1.0
CONFIG = """
route:
  receiver: test
  group_by: [alertname, reason]
  group_wait: 1500ms
  group_interval: 500ms
  repeat_interval: 1h
receivers:
- name: test
  webhook_configs:
  - url: {url}/am
    send_resolved: true
"""


class Fleet:
    """Nodes of an operator, in the states that a test gives them."""

    def __init__(self) -> None:
        self.registry = Registry(SystemClock(), Policy(), "acme", lambda *_: None)
        world = World()
        world.beat("x")
        self._well = world.registry.nodes["x"]

    def set(self, state: NodeState, *names: str, reason: str = "AgentSilent") -> None:
        now = SystemClock().monotonic()
        live = replace(
            self._well.live, state=state, reason=reason, message="no heartbeat", since=now
        )
        for name in names:
            record = replace(self._well, node_id=name, name=name, live=live)
            self.registry.nodes[name] = record


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest_asyncio.fixture
async def people() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest_asyncio.fixture
async def alertmanager(
    tmp_path: Path, alertmanager_program: Path, people: Receiver
) -> AsyncIterator[Alertmanager]:
    config = CONFIG.format(url=people.url)
    server = Alertmanager(tmp_path / "am", alertmanager_program, config=config)
    await server.start()
    yield server
    await server.close()


@asynccontextmanager
async def operator(
    fleet: Fleet, valkey: Valkey, settings: Alerts, leads: Callable[[], bool] = lambda: True
) -> AsyncIterator[Notifier]:
    clock = SystemClock()
    stream, letters = RedisStatusStream(valkey.url), RedisDeadLetters(valkey.url)
    part = Notifier(
        settings,
        fleet.registry,
        clock,
        NewsMetrics(CollectorRegistry()),
        leads,
        book=stream,
        store=letters,
        repeat=REPEAT,
        tick=0.1,
    )
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(part.run())
            yield part
            task.cancel()
    finally:
        await stream.close()
        await letters.close()


async def active(server: Alertmanager) -> set[str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/api/v2/alerts") as found,
    ):
        return {alert["labels"]["node"] for alert in await found.json()}


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - what is waited for is another process's
            await asyncio.sleep(0.1)


async def has(server: Alertmanager, names: set[str]) -> None:
    async def same() -> bool:
        return await active(server) == names

    await until(same)


def told(people: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in people.requests if request.path == "/am"]


async def test_an_alert_fires_reaches_people_and_is_resolved(
    fleet: Fleet, own_valkey: Valkey, alertmanager: Alertmanager, people: Receiver
) -> None:
    settings = Alerts(alertmanager_url=alertmanager.url, external_labels={"cluster": "test"})
    async with operator(fleet, own_valkey, settings) as part:
        fleet.set(NodeState.OFFLINE, "gpu-1")
        part.told(fleet.registry.nodes["gpu-1"], fleet.registry.nodes["gpu-1"].live)
        await has(alertmanager, {"gpu-1"})

        async def notified(status: str) -> bool:
            return any(message["status"] == status for message in told(people))

        await until(lambda: notified("firing"))
        (alert,) = told(people)[0]["alerts"]
        assert alert["labels"] == {
            "alertname": "NodeOffline",
            "cluster": "test",
            "node": "gpu-1",
            "org": "acme",
            "reason": "AgentSilent",
            "severity": "critical",
        }
        assert alert["annotations"]["description"] == "no heartbeat"
        await asyncio.sleep(3 * REPEAT)  # it fires on over its repeats
        assert await active(alertmanager) == {"gpu-1"}
        assert len(told(people)) == 1
        before = fleet.registry.nodes["gpu-1"].live
        fleet.set(NodeState.ONLINE, "gpu-1", reason="Heartbeat")
        part.told(fleet.registry.nodes["gpu-1"], before)
        await has(alertmanager, set())
        await until(lambda: notified("resolved"))


async def test_a_mass_loss_is_one_message_of_alertmanager_too(
    fleet: Fleet, own_valkey: Valkey, alertmanager: Alertmanager, people: Receiver
) -> None:
    names = {f"gpu-{number}" for number in range(2500)}
    fleet.set(NodeState.OFFLINE, *names)
    began = SystemClock().monotonic()
    async with operator(fleet, own_valkey, Alerts(alertmanager_url=alertmanager.url)):
        await has(alertmanager, names)
        print(f"2,500 alerts after {SystemClock().monotonic() - began:.2f} s")  # noqa: T201

        async def notified() -> bool:
            return bool(told(people))

        await until(notified)
        await asyncio.sleep(1)
    assert sum(len(message["alerts"]) for message in told(people)) == 2500
    assert len({message["groupKey"] for message in told(people)}) == 1


async def test_an_alertmanager_that_restarts_has_the_alerts_within_a_repeat(
    fleet: Fleet, own_valkey: Valkey, alertmanager: Alertmanager
) -> None:
    fleet.set(NodeState.OFFLINE, "gpu-1", "gpu-2")
    async with operator(fleet, own_valkey, Alerts(alertmanager_url=alertmanager.url)):
        await has(alertmanager, {"gpu-1", "gpu-2"})
        await alertmanager.stop()
        await asyncio.sleep(1)
        await alertmanager.start()
        await has(alertmanager, {"gpu-1", "gpu-2"})


async def test_the_alerts_of_an_operator_that_vanished_resolve_by_themselves(
    fleet: Fleet, own_valkey: Valkey, alertmanager: Alertmanager, people: Receiver
) -> None:
    fleet.set(NodeState.OFFLINE, "gpu-1")
    async with operator(fleet, own_valkey, Alerts(alertmanager_url=alertmanager.url)):
        await has(alertmanager, {"gpu-1"})
    await has(alertmanager, set())

    async def resolved() -> bool:
        return any(message["status"] == "resolved" for message in told(people))

    await until(resolved)


async def test_a_new_leader_goes_on_with_the_alerts_of_the_old_one(
    fleet: Fleet, own_valkey: Valkey, alertmanager: Alertmanager, people: Receiver
) -> None:
    settings = Alerts(
        alertmanager_url=alertmanager.url, webhook_url=people.url + "/hook", group_wait_seconds=0
    )
    fleet.set(NodeState.OFFLINE, "gpu-1", "gpu-2")

    def hooked() -> list[dict[str, Any]]:
        return [json.loads(r.body) for r in people.requests if r.path == "/hook"]

    async def heard() -> bool:
        return bool(hooked())

    async with operator(fleet, own_valkey, settings):
        await has(alertmanager, {"gpu-1", "gpu-2"})
        await until(heard)
        await asyncio.sleep(0.3)  # what was told is written down
    async with operator(fleet, own_valkey, settings):
        await asyncio.sleep(3 * REPEAT)
        assert await active(alertmanager) == {"gpu-1", "gpu-2"}
        del fleet.registry.nodes["gpu-2"]
        await asyncio.sleep(3 * REPEAT)
    # Nothing is told twice, and what is over waits for a minute after the last message.
    assert [message["count"] for message in hooked()] == [2]
    assert all(message["status"] == "firing" for message in told(people)[:1])


async def test_two_operators_of_which_one_leads_tell_once(
    fleet: Fleet, own_valkey: Valkey, people: Receiver
) -> None:
    fleet.set(NodeState.OFFLINE, "gpu-1")
    settings = Alerts(webhook_url=people.url + "/hook", group_wait_seconds=0)
    async with (
        operator(fleet, own_valkey, settings),
        operator(fleet, own_valkey, settings, lambda: False),
    ):
        await asyncio.sleep(2)
    assert len(people.requests) == 1


async def test_what_is_refused_is_a_dead_letter_in_redis(
    fleet: Fleet, own_valkey: Valkey, people: Receiver
) -> None:
    people.answer = answer(410, body=b"gone")
    fleet.set(NodeState.OFFLINE, "gpu-1")
    settings = Alerts(webhook_url=people.url + "/a/secret/path", group_wait_seconds=0)

    async def buried() -> bool:
        return await own_valkey.ask("XLEN dlq:v1:alerts") == ":1"

    async with operator(fleet, own_valkey, settings):
        await until(buried)
        await asyncio.sleep(1)
    assert len(people.requests) == 1
    stream = RedisStatusStream(own_valkey.url)
    ((_, fields),) = await stream._redis.xrange("dlq:v1:alerts")
    await stream.close()
    assert fields[b"original_queue"] == b"alerts:webhook"
    assert b"410: gone" in fields[b"reason"]
    assert b"secret" not in b"".join(fields.values())
    assert b"gpu-1" in fields[b"payload"]


async def test_a_redis_that_is_away_keeps_no_alert_from_alertmanager(
    fleet: Fleet, own_valkey: Valkey, alertmanager: Alertmanager
) -> None:
    await own_valkey.pause()
    fleet.set(NodeState.OFFLINE, "gpu-1")
    async with operator(fleet, own_valkey, Alerts(alertmanager_url=alertmanager.url)):
        await has(alertmanager, {"gpu-1"})
        await own_valkey.resume()


async def test_an_alertmanager_that_hangs_holds_up_nobody_else(
    fleet: Fleet, own_valkey: Valkey, alertmanager: Alertmanager, people: Receiver
) -> None:
    settings = Alerts(
        alertmanager_url=alertmanager.url, webhook_url=people.url + "/hook", group_wait_seconds=0
    )
    await alertmanager.pause()
    fleet.set(NodeState.OFFLINE, "gpu-1")
    async with operator(fleet, own_valkey, settings):
        async with asyncio.timeout(5):
            await people.arrived.wait()
        await alertmanager.resume()
        await has(alertmanager, {"gpu-1"})


async def test_the_route_of_the_page_is_taken(tmp_path: Path, alertmanager_program: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/alerts.md").read_text()
    config = page.split("### A route for Alertmanager")[1].split("```yaml\n")[1].split("```")[0]
    server = Alertmanager(tmp_path / "am", alertmanager_program, config=config)
    await server.start()
    await server.close()
