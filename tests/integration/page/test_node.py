"""One node in its drawer: asked live, by link and by hand, with what is known kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from playwright.async_api import expect

from citadel_k8s.local.ports import LOOPBACK, Port
from tests.integration.page.conftest import Visit
from tests.integration.page.looking import drawer, link, row
from tests.integration.page.plane import CLOCK, Node, Org
from tests.pagefixtures import detail, fleet

PARTS = ("gpus", "services", "charts", "live", "raw", "history")


@dataclass
class Door:
    """Where a node answers for itself."""

    port: int
    util: float = 77
    delay: float = 0
    asked: int = 0


@asynccontextmanager
async def answering(node: Node) -> AsyncIterator[Door]:
    """Let a node answer for itself as its agent does."""

    async def status(_request: web.Request) -> web.Response:
        door.asked += 1
        await asyncio.sleep(door.delay)
        said = json.loads(node.simulated.payload(CLOCK.now()))
        for gpu in said["status"]["gpu"]:
            gpu["utilization_percent"] = door.util
        return web.json_response(said)

    with Port() as port:
        door = Door(port.number)
        app = web.Application()
        app.router.add_get("/status", status)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, port.number, reuse_address=True).start()
        try:
            yield door
        finally:
            await runner.cleanup()


def where(door: Door) -> dict[str, object]:
    return {"addresses": [LOOPBACK], "statusPort": door.port}


async def test_a_node_asked_live_answers_beside_what_was_known(org: Org, visit: Visit):
    node = org.node("gpu-1")
    async with answering(node) as door:
        await node.beat(util=50, envelope=where(door))
        page = await visit.open(org)
        await row(page, "gpu-1").click()

        result = drawer(page).get_by_test_id("live-result")
        await expect(result).to_have_attribute("data-live", "true")
        await expect(result).to_contain_text(LOOPBACK)
        await page.get_by_test_id("drawer-part-live").click()
        diff = drawer(page).get_by_test_id("live-diff")
        await expect(diff).to_contain_text("77 %")
        await expect(diff).to_contain_text("50 %")
        asked, door.util = door.asked, 81
        await asyncio.sleep(1.1)  # an answer is everybody's for a second
        await page.get_by_test_id("live-query").click()

        await expect(diff).to_contain_text("81 %")
        assert door.asked > asked
        assert "node=gpu-1" in page.url


async def test_a_node_that_does_not_answer_keeps_what_was_known_and_says_why(
    org: Org, visit: Visit
):
    node = org.node("gpu-1")
    with Port() as nobody:
        there = {"addresses": [LOOPBACK], "statusPort": nobody.number}
        await node.beat(util=50, envelope=there)
        page = await visit.open(org, path="?node=gpu-1")

        result = drawer(page).get_by_test_id("live-result")
        await expect(result).to_have_attribute("data-live", "false")
        await expect(result).to_have_attribute("data-step", "connect")
        await page.get_by_test_id("drawer-part-gpus").click()
        await expect(drawer(page).get_by_test_id("gpu-card")).to_have_count(8)
        await expect(drawer(page)).to_contain_text("50 %")
        await link(page, "live")


async def test_a_slow_node_is_waited_for_no_longer_than_the_deadline(org: Org, visit: Visit):
    node = org.node("gpu-1")
    async with answering(node) as door:
        door.delay = 30
        await node.beat(util=50, envelope=where(door))
        page = await visit.open(org, path="?node=gpu-1")

        result = drawer(page).get_by_test_id("live-result")
        await expect(result).to_have_attribute("data-step", "timeout", timeout=6000)
        await expect(drawer(page)).to_contain_text("50 %")


async def test_every_part_of_a_real_node_can_be_opened(org: Org, visit: Visit):
    node = org.node("gpu-1")
    for util in (40, 50):
        await node.beat(util=util)
    page = await visit.open(org, path="?node=gpu-1")
    await expect(drawer(page)).to_have_attribute("data-node", "gpu-1")

    for part in PARTS:
        await page.get_by_test_id(f"drawer-part-{part}").click()
        await expect(drawer(page)).to_be_visible()
        await expect(drawer(page).get_by_test_id("part-failed")).to_have_count(0)
        assert f"part={part}" in page.url or part == PARTS[0]
    await expect(drawer(page).get_by_test_id("heartbeat-strip")).to_be_visible()
    await page.get_by_test_id("drawer-part-raw").click()
    raw = json.loads(await drawer(page).get_by_test_id("raw-json").inner_text())
    assert raw["nodeId"] == "gpu-1"


async def test_holders_slices_xids_and_engines_are_told(visit: Visit):
    rows = fleet(40)
    faulty = next(one for one in rows if one.get("reason") == "GpuLost")
    page, _ = await visit.memory(rows, f"?node={faulty['id']}&part=gpus")

    cards = drawer(page).get_by_test_id("gpu-card")
    await expect(cards).to_have_count(8)
    told = detail(faulty)["status"]["status"]["gpu"]
    assert told[3]["xids"][0]["xid"] == 79
    await expect(cards.nth(3)).to_contain_text("79")
    await expect(cards.nth(1)).to_contain_text("3g.40gb")
    await expect(cards.nth(0)).to_contain_text("vllm-0")
    await page.get_by_test_id("drawer-part-services").click()
    await expect(drawer(page).get_by_test_id("service-card").first).to_contain_text("8000")


async def test_a_node_that_is_not_there_is_said_not_to_be(visit: Visit):
    page, _ = await visit.memory(fleet(5), "?node=nobody")

    await expect(drawer(page)).to_contain_text("nobody")
    await page.get_by_test_id("drawer-close").click()
    await expect(drawer(page)).to_have_count(0)
    assert "node=" not in page.url


async def test_details_that_cannot_be_had_leave_the_rest_of_the_page_alone(visit: Visit):
    name = fleet(5)[0]["id"]
    page, answers = await visit.memory(fleet(5), answers={"fail": {}})
    answers.fail[f"/api/fabric/nodes/{name}"] = 503
    answers.fail[f"/api/fabric/nodes/{name}/live"] = 503
    answers.fail[f"/api/fabric/nodes/{name}/history"] = 500
    await row(page, name).click()

    await expect(drawer(page)).to_contain_text("503")
    answers.fail.clear()
    await drawer(page).get_by_role("button", name="again").first.click()
    await expect(drawer(page).get_by_test_id("gpu-card")).to_have_count(8)
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("node-row")).to_have_count(5)
