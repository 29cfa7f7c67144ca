"""Job queues: consume, acknowledge, what is abandoned, what nobody can use, and configuration."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp

from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.configsender import ConfigMessage, ConfigSender
from tests.goclient import API, Job
from tests.integration.api.proxy.conftest import CLOCK, Proxy, running, until

CPU = "jobs:v1:cpu-general"
KEY = f"org:acme:{CPU}"
LETTERS = "org:acme:dlq:v1:cpu-general"
CONFIG = "org:acme:jobs:v1:config"


async def put(proxy: Proxy, key: str = KEY, **more: Any) -> str:
    job = {"jobId": "j", "type": "T", "payload": "{}", "enqueuedAt": "t", "rayId": "r"} | more
    return (await proxy.redis.xadd(key, {k: v for k, v in job.items() if v is not None})).decode()


async def test_a_job_is_given_once_and_is_done_with_when_acknowledged(proxy: Proxy):
    number = await put(proxy, payload='{"a":1}')
    async with proxy.client() as node, proxy.client("other") as second:
        job = await node.consume(CPU, 50)
        assert job is not None
        assert (job.id, job.payload) == (number, {"a": 1})
        assert job.data == {
            "jobId": "j", "type": "T", "payload": '{"a":1}', "enqueuedAt": "t", "rayId": "r"
        }  # fmt: skip
        assert await second.consume(CPU, 50) is None
        assert await node.acknowledge(job) is True
        assert await node.acknowledge(job) is False
        assert await node.acknowledge(Job("jobs:v1:gpu-general", "1-0", {})) is False


async def test_never_more_than_one_job_is_given_whatever_is_asked_for(proxy: Proxy):
    for _ in range(5):
        await put(proxy)
    async with proxy.client() as node:
        body = {"queue": CPU, "group": "g", "consumer": "c", "count": 100, "blockMs": 50}
        answer = await node.ask("POST", f"{API}/jobs/consume", body)
        assert len(answer["messages"]) == 1


async def test_a_job_that_comes_while_somebody_waits_is_given_at_once(proxy: Proxy):
    async with proxy.client() as node, asyncio.TaskGroup() as group:
        waiting = group.create_task(node.consume(CPU, 5000))
        await asyncio.sleep(0.5)
        began = CLOCK.monotonic()
        await put(proxy)
        assert await waiting is not None
        assert CLOCK.monotonic() - began < 0.3


async def test_an_empty_queue_holds_its_consumer_for_the_block_and_no_longer(proxy: Proxy):
    async with proxy.client() as node:
        began = CLOCK.monotonic()
        assert await node.consume(CPU, 400) is None
        assert 0.35 < CLOCK.monotonic() - began < 1.5


async def test_of_fifty_consumers_each_of_fifty_jobs_reaches_one_over_few_connections(
    proxy: Proxy,
):
    got: list[str] = []

    async def one() -> None:
        async with proxy.client("unbound") as node:
            job = await node.consume(CPU, 5000)
            assert job is not None
            got.append(job.id)
            assert await node.acknowledge(job)

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(one())
        await asyncio.sleep(0.5)
        assert len(await proxy.redis.client_list()) <= 6
        sent = [await put(proxy) for _ in range(50)]
    assert sorted(got) == sorted(sent)


async def test_a_job_whose_consumer_went_away_while_waiting_goes_to_the_next(proxy: Proxy):
    async with proxy.client() as gone, proxy.client("other") as next_one:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await gone.consume(CPU, 5000)
        await gone.__aexit__()
        await gone.__aenter__()
        await asyncio.sleep(0.1)
        await put(proxy)
        assert await next_one.consume(CPU, 500) is not None


async def test_a_job_that_was_taken_for_somebody_who_hung_up_is_handed_back(proxy: Proxy):
    order_key, group = KEY, "citadel-workers"
    await put(proxy)
    room = proxy.room
    from citadel_k8s.stores.queues import Order  # noqa: PLC0415

    order = Order(order_key, LETTERS, CPU, group, "c1")
    answers = iter([False, True, True])
    assert await room.queues.take([order], 0.05, lambda: next(answers)) is None
    async with proxy.client() as node:
        assert await node.consume(CPU, 50) is not None
    (pending,) = await proxy.redis.xpending_range(order_key, group, "-", "+", 10)
    assert pending["times_delivered"] <= 2


async def test_an_abandoned_job_is_claimed_and_after_too_many_lives_a_dead_letter(
    own_valkey: Valkey,
):
    async with running(own_valkey, claim_after=0.05) as proxy, proxy.client() as node:
        await put(proxy, payload='{"password":"hunter2","a":1}')
        ids = []
        for _ in range(12):
            job = await node.consume(CPU, 100)
            ids.append(None if job is None else job.id)
            await asyncio.sleep(1.05 if job else 0.1)
            if job is None and ids.count(None) > 2:
                break
        assert len([one for one in ids if one]) == 5
        (letter,) = await proxy.entries(LETTERS)
        assert letter["reason"].startswith("TriedTooOften")
        assert (letter["original_queue"], letter["jobId"], letter["worker_id"]) == (
            CPU, "j", "proxy",
        )  # fmt: skip
        assert "hunter2" not in letter["payload"]
        assert (await proxy.redis.xpending(KEY, node.group))["pending"] == 0


async def test_what_no_consumer_can_read_is_buried_and_the_next_is_given(proxy: Proxy):
    for payload in ("", "no json", "[1]", '"text"', None, "{" * 5000, '{"a":NaN}'):
        await put(proxy, payload=payload)
    good = await put(proxy, payload='{"good":true}')
    async with proxy.client() as node:
        job = await node.consume(CPU, 50)
        assert job is not None
        assert job.id == good
    letters = await proxy.entries(LETTERS)
    assert len(letters) == 7
    assert {letter["reason"].split(":")[0] for letter in letters} == {"NotJson", "BadField"}


async def test_bytes_that_are_no_text_reach_the_client_as_text(proxy: Proxy):
    await proxy.redis.xadd(KEY, {"payload": "{}", "type": b"\xff\xfe", b"\xff": "x"})
    async with proxy.client() as node:
        job = await node.consume(CPU, 50)
        assert job is not None
        assert job.data["type"] == "\ufffd\ufffd"


async def test_a_queue_that_somebody_deleted_is_made_anew(proxy: Proxy):
    async with proxy.client() as node:
        assert await node.consume(CPU, 50) is None
        await proxy.redis.delete(KEY)
        await put(proxy)
        assert await node.consume(CPU, 50) is not None


async def test_a_worker_consumes_round_robin_and_passes_over_what_is_for_others(proxy: Proxy):
    shell, own = "jobs:v1:shell:org_acme", "jobs:v1:shell:org_acme:node:758"
    async with proxy.client() as node, asyncio.TaskGroup() as group:
        worker = group.create_task(node.work([CPU, shell], own))
        await put(proxy, payload='{"target_node":"9"}')
        await put(proxy, payload='{"target_node":"758","n":1}')
        await put(proxy, f"org:acme:{shell}", payload='{"n":2}')
        await put(proxy, f"org:acme:{own}", payload='{"n":3}')
        await until(lambda: len(node.jobs) == 3)
        await asyncio.sleep(0.2)
        worker.cancel()
    assert {job.payload["n"] for job in node.jobs} == {1, 2, 3}
    assert not node.errors
    for key in (KEY, f"org:acme:{shell}", f"org:acme:{own}"):
        assert (await proxy.redis.xpending(key, node.group))["pending"] == 0


async def test_each_node_gets_its_own_configuration_and_nobody_elses(proxy: Proxy):
    sender = ConfigSender(proxy.valkey.url, stream=CONFIG)
    for number in range(40):
        node_id = f"go-{number % 4}"
        await sender.send(ConfigMessage(node_id, {"deviceName": f"d{number}"}, "r", "t"), 0.0)
    await put(proxy, CONFIG, type="APPLY_DEVICE_CONFIG", payload='{"config":{"a":1}}')
    await sender.close()
    async with proxy.client() as one, proxy.client("unbound") as two:
        one.group, two.group = "citadel-config-go-1", "citadel-config-go-2"
        for node, rest in ((one, 1), (two, 2)):
            names = []
            while (job := await node.consume("jobs:v1:config", 50)) is not None:
                assert job.data["nodeId"] == f"go-{rest}"
                names.append(job.payload["config"]["deviceName"])
                assert await node.acknowledge(job)
            assert names == [f"d{n}" for n in range(40) if n % 4 == rest]
    assert await proxy.entries("org:acme:dlq:v1:config") == []


async def test_configuration_that_was_not_acknowledged_is_given_again_first(proxy: Proxy):
    sender = ConfigSender(proxy.valkey.url, stream=CONFIG)
    for number in range(3):
        await sender.send(ConfigMessage("go-1", {"deviceName": f"d{number}"}, "r", "t"), 0.0)
    await sender.close()
    async with proxy.client() as node:
        node.group = "citadel-config-go-1"
        first = await node.consume("jobs:v1:config", 50)
        again = await node.consume("jobs:v1:config", 50)
        assert first is not None
        assert again is not None
        assert first.id == again.id
        await node.acknowledge(again)
        third = await node.consume("jobs:v1:config", 50)
        assert third is not None
        assert third.payload["config"]["deviceName"] == "d1"


async def test_a_go_nodes_shared_group_does_not_take_configuration_from_others(proxy: Proxy):
    await put(proxy, CONFIG, type="APPLY_DEVICE_CONFIG", nodeId="go-1", payload='{"config":{}}')
    async with proxy.client() as one, proxy.client("other") as two:
        one.group = two.group = "citadel-config-consumers"
        assert await two.consume("jobs:v1:config", 50) is None
        job = await one.consume("jobs:v1:config", 50)
        assert job is not None
        assert await one.acknowledge(job) is True


async def test_entries_of_two_orgs_do_not_meet(proxy: Proxy):
    await put(proxy, f"org:globex:{CPU}")
    async with proxy.client() as node, proxy.client("globex") as stranger:
        assert await node.consume(CPU, 50) is None
        assert await stranger.consume(CPU, 50) is not None


async def test_consumers_that_hang_up_at_odd_moments_lose_no_job(own_valkey: Valkey):
    sent: list[str] = []
    got: set[str] = set()

    async def hasty(proxy: Proxy, session: aiohttp.ClientSession, number: int) -> None:
        body = {"queue": CPU, "group": "g", "consumer": f"c{number}", "blockMs": 1000}
        headers = {"Authorization": "Bearer bound"}
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(0.02 + number % 20 / 100):
                url = f"{proxy.base}{API}/jobs/consume"
                async with session.post(url, json=body, headers=headers) as response:
                    found = json.loads(await response.read())["messages"]
                    got.update(message["id"] for message in found)

    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with (
        running(own_valkey, claim_after=1.0) as proxy,
        aiohttp.ClientSession(connector=connector) as session,
        proxy.client() as node,
    ):
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(hasty(proxy, session, number))
                if number % 4 == 0:
                    sent.append(await put(proxy))
        node.group = "g"
        async with asyncio.timeout(20):
            while got != set(sent):
                job = await node.consume(CPU, 500)
                got.update([] if job is None else [job.id])
        assert await proxy.entries(LETTERS) == []
