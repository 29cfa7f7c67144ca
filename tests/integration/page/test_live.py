"""What nodes say reaches the screen: at once, over cuts, after an API that was away."""

import asyncio
import re

from playwright.async_api import expect

from tests.integration.page.conftest import Visit
from tests.integration.page.line import Line
from tests.integration.page.looking import link, painted, row, until
from tests.integration.page.plane import CLOCK, Org, Plane

LIST = "/api/fabric/nodes"
STREAM = "/api/fabric/events"


async def test_the_first_load_shows_every_node_and_is_live(org: Org, visit: Visit):
    await org.nodes(5)

    page = await visit.open(org)

    await expect(page.get_by_test_id("node-row")).to_have_count(5)
    await expect(page.get_by_test_id("count-Online")).to_contain_text("5")
    await link(page, "live")
    await expect(row(page, "gpu-03")).to_contain_text("8/8 busy, 50 %")
    await expect(row(page, "gpu-03").get_by_test_id("gpu-cell")).to_have_count(8)
    assert await page.title() == "Fabric"


async def test_a_heartbeat_is_on_the_screen_within_a_second(org: Org, visit: Visit):
    node, *_ = await org.nodes(3)
    page = await visit.open(org)
    await link(page, "live")
    await expect(row(page, node.id)).to_contain_text("50 %")

    took = []
    for util in (11, 37, 83, 22, 64):
        async with asyncio.TaskGroup() as group:
            seen = group.create_task(painted(page, node.id, f"{util} %"))
            await asyncio.sleep(0.05)
            at = CLOCK.now()
            await node.beat(util=util)
        took.append(seen.result() - at)

    assert max(took) < 1, took


async def test_a_new_node_and_one_that_was_given_up_come_and_go_by_themselves(
    org: Org, visit: Visit
):
    await org.nodes(2)
    page = await visit.open(org)
    await expect(page.get_by_test_id("node-row")).to_have_count(2)

    await org.node("gpu-new").beat(util=5)
    await expect(row(page, "gpu-new")).to_be_visible()
    headers = {"X-Citadel-CSRF": "1"}
    answer = await page.request.delete(f"{org.plane.url}api/fabric/nodes/gpu-01", headers=headers)

    assert answer.ok
    await expect(row(page, "gpu-01")).to_have_count(0)
    await expect(page.get_by_test_id("node-row")).to_have_count(2)


async def test_what_was_said_while_the_stream_was_cut_in_mid_event_is_not_lost(
    org: Org, visit: Visit, wire: Line
):
    nodes = await org.nodes(6)
    page = await visit.open(org, wire.url)
    await link(page, "live")
    await expect(row(page, "gpu-05")).to_contain_text("50 %")
    lists = len(wire.requests(LIST))

    wire.cut_at = b'"id":"gpu-02"'
    await nodes[2].beat(util=71)
    await until(lambda: wire.cuts == 1)
    wire.down = True
    for number, node in enumerate(nodes):
        await node.beat(util=70 + number)
    await asyncio.sleep(0.3)
    wire.down = False

    for number, node in enumerate(nodes):
        await painted(page, node.id, f"{70 + number} %", limit=15)
    await link(page, "live")
    assert len(wire.requests(LIST)) == lists  # it went on where it was
    assert "snapshot" not in {name for _, name in wire.events()}
    # Changes of one node may come as their sum, under the last one's id.
    told, heard = await org.told(), [key for key, name in wire.events() if name == "node"]
    assert heard[-1] == told[-1]
    assert not {key for key in heard if heard.count(key) > 1}
    places = [one.partition("after=")[2].split()[0] for one in wire.requests(STREAM)]
    assert len(places) > 1
    assert told[-8:][0] <= places[-1] < told[-6]


async def test_while_the_api_is_away_what_was_known_stays_and_is_dated(
    org: Org, visit: Visit, plane: Plane
):
    node, *_ = await org.nodes(3)
    page = await visit.open(org)
    await link(page, "live")
    await expect(row(page, node.id)).to_contain_text("50 %")

    assert plane.control.api is not None
    await plane.control.api.kill()
    try:
        await link(page, "waiting")
        banner = page.get_by_test_id("banner")
        await expect(banner).to_contain_text(re.compile(r"known at \d\d:\d\d:\d\d"))
        await expect(page.get_by_test_id("node-row")).to_have_count(3)
        badge = page.get_by_test_id("link-badge")
        await expect(badge).to_contain_text(re.compile(r"Reconnecting in \d+ s"))
        await node.beat(util=93)
    finally:
        await plane.control.start_api()
    await banner.get_by_role("button").click()

    await link(page, "live", 20)
    await painted(page, node.id, "93 %")
    await expect(banner).to_have_count(0)


async def test_a_paused_page_stands_still_and_catches_up(org: Org, visit: Visit):
    node, *_ = await org.nodes(2)
    page = await visit.open(org)
    await link(page, "live")
    await expect(row(page, node.id)).to_contain_text("50 %")

    await page.get_by_test_id("pause").click()
    await link(page, "paused")
    await node.beat(util=88)
    await asyncio.sleep(1)
    await expect(row(page, node.id)).to_contain_text("50 %")
    await page.get_by_test_id("pause").click()

    await link(page, "live")
    await painted(page, node.id, "88 %")


async def test_numbers_that_move_do_not_move_rows(org: Org, visit: Visit):
    nodes = await org.nodes(4)
    page = await visit.open(org, path="?sort=name")
    await expect(row(page, "gpu-03")).to_contain_text("50 %")
    rows = page.get_by_test_id("node-row")
    before = await rows.evaluate_all("all => all.map(one => one.dataset.node)")

    for number, node in enumerate(nodes):
        await node.beat(util=90 - 20 * number)
    await painted(page, nodes[3].id, "30 %")

    assert await rows.evaluate_all("all => all.map(one => one.dataset.node)") == before
