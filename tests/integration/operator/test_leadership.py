"""Elections on a real API server."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.config.operator import Election
from citadel_k8s.domain.election import NOTHING, RELEASED, released_spec
from citadel_k8s.errors import KubeError
from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.stack import Stack
from citadel_k8s.operator.leader import CONFLICTS, Leadership, fenced
from tests.integration.operator.rig import (
    CLOCK,
    Operator,
    account,
    install,
    recording,
    speaking,
    until,
)

NAME = "candidates"
STOPPED = 22.0
"""Seconds for which a process stands still: the lease runs out, and another has time to write."""


@pytest_asyncio.fixture
async def kube(stack: Stack) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(stack.kubeconfig)
    yield client
    await client.close()


async def given_back(kube: KubeClient, namespace: str) -> None:
    """Make a Lease that a leader before gave back, so that nobody has to wait for it."""
    spec = released_spec(NOTHING, SystemClock().now())
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": namespace, "name": NAME, "labels": {"by": "hand"}},
        "spec": spec,
    }
    await kube.create_lease(body)


def candidate(kube: KubeClient, namespace: str) -> Leadership:
    settings = Election(enabled=True, namespace=namespace, name=NAME, identity="one")
    return Leadership(kube, settings, SystemClock())


@asynccontextmanager
async def standing(leadership: Leadership) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(leadership.run())
        yield
        task.cancel()


async def spec_of(kube: KubeClient, namespace: str) -> dict:
    lease = await kube.get_lease(namespace, NAME)
    assert lease is not None
    return lease["spec"]


async def test_a_lease_is_taken_renewed_and_given_back(kube: KubeClient, namespace: str) -> None:
    await given_back(kube, namespace)
    one = candidate(kube, namespace)
    async with standing(one):
        await until("it leads", one.leads, 5)
        taken = await spec_of(kube, namespace)
        assert (taken["holderIdentity"], taken["leaseTransitions"]) == (one.identity, 1)

        async def renewed() -> bool:
            return (await spec_of(kube, namespace))["renewTime"] != taken["renewTime"]

        await until("it is renewed", renewed, 5)
        two = candidate(kube, namespace)
    began = CLOCK.monotonic()
    await one.release()
    left = await spec_of(kube, namespace)
    assert "holderIdentity" not in left
    assert left["leaseDurationSeconds"] == RELEASED
    async with standing(two):
        await until("the other leads", two.leads, 5)
    assert CLOCK.monotonic() - began < 3
    lease = await kube.get_lease(namespace, NAME)
    assert lease["metadata"]["labels"] == {"by": "hand"}


@pytest.mark.parametrize("hand", ["annotate", "empty", "delete", "no spec"])
async def test_a_leader_keeps_a_lease_that_hands_meddle_with(
    kube: KubeClient, namespace: str, hand: str
) -> None:
    await given_back(kube, namespace)
    one = candidate(kube, namespace)
    async with standing(one):
        await until("it leads", one.leads, 5)
        await meddle(kube, namespace, hand)
        touched = await renewal(kube, namespace)

        async def mended() -> bool:
            return await renewal(kube, namespace) not in {None, touched}

        await until("it is renewed", mended, 5)
        assert (await spec_of(kube, namespace))["holderIdentity"] == one.identity
        assert one.leads()
        assert one.term == 1


async def renewal(kube: KubeClient, namespace: str) -> str | None:
    lease = await kube.get_lease(namespace, NAME)
    return (lease or {}).get("spec", {}).get("renewTime")


async def meddle(kube: KubeClient, namespace: str, hand: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"
    for _ in range(20):
        try:
            if hand == "delete":
                await kube.request("DELETE", path)
                return
            lease = await kube.get_lease(namespace, NAME)
            if hand == "annotate":
                lease["metadata"]["annotations"] = {"at": str(CLOCK.monotonic())}
            elif hand == "empty":
                lease["spec"] = {"leaseDurationSeconds": 9999}
            else:
                del lease["spec"]
            await kube.replace_lease(lease)
        except KubeError as error:
            if error.status != 409:
                raise
        else:
            return


async def test_a_namespace_that_does_not_exist_is_told(kube: KubeClient) -> None:
    one = candidate(kube, "there-is-none")
    one._sighting = one._sighting.__class__(NOTHING, CLOCK.monotonic() - 60)
    async with standing(one):
        await until("it is told", lambda: "namespace" in (one.trouble or ""), 5)
        assert not one.leads()


async def test_who_does_not_lead_reads_and_writes_nothing(kube: KubeClient, namespace: str) -> None:
    one = candidate(kube, namespace)
    behind = fenced(kube, one)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert await behind.request("GET", path)
    with pytest.raises(KubeError, match="not sent") as caught:
        await behind.request("POST", path, body={"metadata": {"name": "mine"}})
    assert caught.value.status == -2
    assert (await kube.request("GET", path))["items"] == []


class Process:
    """A `candidate` of its own."""

    def __init__(self, charge: Charge, log: Path) -> None:
        self.charge, self.log = charge, log

    def said(self) -> dict[str, dict[str, Any]]:
        """Give the last line of each event."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return {line["event"]: line for line in map(json.loads, lines)}

    def identity(self) -> str:
        return self.said()["stands"]["identity"]


async def test_a_leader_that_stood_still_in_the_middle_of_writing_writes_no_more(
    stack: Stack, kube: KubeClient, namespace: str, tmp_path: Path
) -> None:
    await given_back(kube, namespace)

    async def begin(identity: str) -> Process:
        log = tmp_path / f"{identity}.log"
        words = ["-m", "tests.integration.operator.candidate", str(stack.kubeconfig), namespace]
        return Process(
            await spawn([sys.executable, *words, identity], log, env={**os.environ}), log
        )

    one = await begin("one")
    two = None
    try:
        await until("one leads", lambda: "leading" in one.said())
        two = await begin("two")
        await asyncio.sleep(4)
        await one.charge.pause()
        await asyncio.sleep(STOPPED)
        assert "leading" in two.said()
        await one.charge.resume()
        await until("one is deposed", lambda: "deposed" in one.said(), 5)
        await asyncio.sleep(3)
    finally:
        for process in (one, two):
            if process is not None:
                await process.charge.kill()
    writers = await writers_in_order(kube, namespace)
    changes = [b for a, b in pairwise([None, *writers]) if a != b]
    assert changes == [one.identity(), two.identity()]
    assert writers.count(one.identity()) > 20
    assert writers.count(two.identity()) > 20


async def writers_in_order(kube: KubeClient, namespace: str) -> list[str]:
    """Give who made each ConfigMap, in the order in which the server took them."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = (await kube.request("GET", path))["items"]
    made.sort(key=lambda item: int(item["metadata"]["resourceVersion"]))
    return [item["metadata"]["labels"]["writer"] for item in made]


# --- two whole operators


class Pair:
    """Two operators, one of which leads."""

    def __init__(self, leader: Operator, standby: Operator) -> None:
        self.leader, self.standby = leader, standby

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Give what the one who stood by has told as a leader."""
        lines = self.standby.lines("transition")
        return [(line["node"], line["before"], line["state"]) for line in lines]


async def does_lead(operator: Operator) -> bool:
    return await operator.metric("citadel_operator_leader") == 1


@asynccontextmanager
async def pair(stack: Stack, folder: Path) -> AsyncIterator[Pair]:
    await install(stack, "crds", "namespace.yaml", "rbac.yaml")
    kubeconfig = await account(stack)
    settings = folder / "operator.yaml"
    settings.write_text("election: {enabled: true}\n")
    words = ["--config", str(settings)]
    leader, standby = (
        Operator(folder / f"{name}.log", kubeconfig, stack.redis_url, *words)
        for name in ("first", "second")
    )
    try:
        await leader.start()
        await until("the first leads", lambda: does_lead(leader), 45)
        await standby.start()
        await standby.ready()
        yield Pair(leader, standby)
    finally:
        for operator in (leader, standby):
            await operator.kill()


async def test_a_hand_over_loses_nothing_and_tells_nothing_twice(
    binaries: Binaries, tmp_path: Path
) -> None:
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(binaries=binaries))
        both = await exits.enter_async_context(pair(stack, tmp_path))
        recorder = await exits.enter_async_context(recording(stack))
        nodes = await exits.enter_async_context(speaking(stack.redis_url))
        dies, dead = nodes.add("dies"), nodes.add("dead")
        nodes.add("lives")
        for name in ("dies", "dead", "lives"):
            await recorder.reached(name, "Online")
        dead.fall_silent()
        await recorder.reached("dead", "Offline")
        await asyncio.sleep(1)

        dies.fall_silent()
        await both.leader.kill()
        killed = CLOCK.monotonic()
        await until("the second leads", lambda: does_lead(both.standby))
        assert CLOCK.monotonic() - killed < 20
        await recorder.reached("dies", "Offline")
        assert both.told == [("dies", "Online", "Offline")]
        assert "Offline" not in recorder.states("lives")

        # The other way round, and in good order.
        await both.leader.start()
        await both.leader.ready()
        assert not await does_lead(both.leader)
        ended = CLOCK.monotonic()
        assert await both.standby.charge.stop() == 0
        await until("the first leads again", lambda: does_lead(both.leader))
        assert CLOCK.monotonic() - ended < 8
        await dies.come_back()
        await recorder.reached("dies", "Online", ended)
        lines = both.leader.lines("transition")
        assert [(line["node"], line["state"]) for line in lines] == [("dies", "Online")]


async def test_a_renewal_of_a_lease_that_was_deleted_makes_none(
    kube: KubeClient, namespace: str
) -> None:
    """What makes whoever lost it prove itself anew; a server that made one would not be noticed."""
    await given_back(kube, namespace)
    lease = await kube.get_lease(namespace, NAME)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"
    await kube.request("DELETE", path)
    with pytest.raises(KubeError) as caught:
        await kube.replace_lease(lease)
    assert caught.value.status in CONFLICTS
    assert await kube.get_lease(namespace, NAME) is None
