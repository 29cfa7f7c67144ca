"""What people see: kubectl on objects that the operator's own projection wrote.

``CITADEL_GOLDEN=write`` writes the expected texts anew; look at them before they are kept.
"""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain.columns import HEADERS, WIDE_HEADERS, row, wide_row
from citadel_k8s.domain.pipe import PipeCondition
from citadel_k8s.local.stack import Stack
from citadel_k8s.operator.fabricstatus import FabricStatusWriter
from tests.integration.manifests.fleet import STATES, Fleet, fleet, plain
from tests.integration.manifests.test_crds import kubectl

GOLDEN = Path(__file__).parent / "golden"

WIDTH = 120
"""Columns of a terminal in which the table is to fit."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(applied: Stack) -> AsyncIterator[Fleet]:
    api = await KubeClient.connect(applied.kubeconfig)
    async with fleet(api) as made:
        yield made
    await api.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def expect(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("CITADEL_GOLDEN") == "write":
        file.write_text(text)
    assert text == file.read_text(), f"{name}: see {file.name}"


async def test_the_fleet_is_in_every_state(seen: Fleet) -> None:
    assert {node: seen.world.state(seen.name(node)) for node in STATES} == STATES


async def test_the_table(stack: Stack, seen: Fleet) -> None:
    text = await kubectl(stack, "get", "fabricnodes", f"--field-selector=spec.orgId={seen.org}")
    expect("get", plain(text, seen.mark))
    assert max(map(len, text.splitlines())) <= WIDTH


async def test_the_wide_table(stack: Stack, seen: Fleet) -> None:
    selector = f"--field-selector=spec.orgId={seen.org}"
    text = await kubectl(stack, "get", "fabricnodes", selector, "-o", "wide")
    expect("get-wide", plain(text, seen.mark))


async def test_our_own_table_says_what_kubectl_says(stack: Stack, seen: Fleet) -> None:
    selector = f"--field-selector=spec.orgId={seen.org}"
    text = await kubectl(stack, "get", "fabricnodes", selector, "-o", "wide")
    head, *lines = (" ".join(line.split()) for line in text.splitlines())
    assert head.split() == [*HEADERS, *WIDE_HEADERS]
    objects = [o for o in await seen.api.list_fabric_nodes() if o["spec"].get("orgId") == seen.org]
    now = SystemClock().now()
    for raw, line in zip(objects, lines, strict=True):
        ours = " ".join(" ".join([*row(raw, now), *wide_row(raw, now)]).split())
        assert _without_ages(ours) == _without_ages(line)


async def test_the_silent_ones_are_selected_by_the_server(stack: Stack, seen: Fleet) -> None:
    selector = f"--field-selector=status.state=Offline,spec.orgId={seen.org}"
    text = await kubectl(stack, "get", "fabricnodes", selector)
    expect("get-offline", plain(text, seen.mark))


@pytest.mark.parametrize("node", ["online", "faulty", "silent", "busy"])
async def test_one_node_described(stack: Stack, seen: Fleet, node: str) -> None:
    text = await kubectl(stack, "describe", "fabricnode", seen.name(node))
    expect(f"describe-{node}", described(text, seen.mark))


async def test_waiting_for_a_node_to_be_ready(stack: Stack, seen: Fleet) -> None:
    name = seen.name("online")
    text = await kubectl(stack, "wait", "--for=condition=Ready", f"fabricnode/{name}")
    assert text == f"fabricnode.fabric.aceteam.ai/{name} condition met\n"
    state = "--for=jsonpath={.status.state}=Offline"
    await kubectl(stack, "wait", state, f"fabricnode/{seen.name('silent')}", "--timeout=10s")
    with pytest.raises(AssertionError, match="timed out"):
        await kubectl(
            stack, "wait", "--for=condition=Ready", f"fabricnode/{seen.name('silent')}",
            "--timeout=1s",
        )  # fmt: skip


async def test_the_pipeline(stack: Stack, seen: Fleet) -> None:
    told = PipeCondition("False", "CanaryLost", "what is written to the stream does not come back")
    writer = FabricStatusWriter(
        seen.api, seen.world.registry, lambda: told, seen.world.clock,
        leads=lambda: True, identity="citadel-operator-0",
    )  # fmt: skip
    for _ in range(3):
        await writer.step()
        seen.world.clock.advance(60)
    expect("get-fabricstatus", plain(await kubectl(stack, "get", "fabricstatus"), seen.mark))
    text = await kubectl(stack, "get", "fabricstatus", "-o", "wide")
    expect("get-fabricstatus-wide", plain(text, seen.mark))


def described(text: str, mark: str) -> str:
    """Give a description without what differs each time."""
    aged = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>", text.replace(mark, "####"))
    lines = [line.rstrip() for line in aged.splitlines()]
    return "".join(f"{line}\n" for line in lines if not line.lstrip().startswith(_OTHERWISE))


def _without_ages(line: str) -> str:
    return re.sub(r"\b(\d+[smhdy])+(?=\s|$)", "<age>", line)


_OTHERWISE = ("Resource Version:", "UID:")
