"""Views are in the address, choices are kept, empty ones teach, and without a stream it polls."""

import re
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import expect

from tests.integration.page.conftest import NARROW, Visit
from tests.integration.page.looking import drawer, link, row
from tests.pagefixtures import fleet


async def test_a_view_can_be_sent_to_somebody_else(visit: Visit):
    page, answers = await visit.memory(fleet(40))
    await page.get_by_test_id("count-Online").click()
    await page.get_by_test_id("filter-search").fill("h100")
    await expect(page).to_have_url(re.compile("q=h100"))
    await page.get_by_test_id("view-cards").click()
    cards = page.get_by_test_id("node-card")
    await expect(cards.first).to_be_visible()
    count = await cards.count()
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["state"], asked["q"], asked["view"]) == (["Online"], ["h100"], ["cards"])

    other, _ = await visit.memory(fleet(40), page.url.removeprefix(answers.url))
    await expect(other.get_by_test_id("node-card")).to_have_count(count)
    await expect(other.get_by_test_id("filter-search")).to_have_value("h100")


async def test_back_and_forward_walk_through_what_was_opened(visit: Visit):
    page, _ = await visit.memory(fleet(10))
    await row(page, "gpu-node-0003").click()
    await expect(drawer(page)).to_be_visible()
    await page.go_back()
    await expect(drawer(page)).to_have_count(0)
    await page.go_forward()
    await expect(drawer(page)).to_have_attribute("data-node", "gpu-node-0003")


async def test_theme_and_view_are_kept_by_the_browser(visit: Visit):
    page, answers = await visit.memory(fleet(5), color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = await page.evaluate(ground)
    for _ in range(3):
        await page.get_by_test_id("theme").click()
        if await page.evaluate(ground) != light:
            break
    dark = await page.evaluate(ground)
    assert dark != light
    await page.get_by_test_id("view-cards").click()

    await page.goto(answers.url)
    await expect(page.get_by_test_id("node-card").first).to_be_visible()
    assert await page.evaluate(ground) == dark


async def test_a_chip_leads_to_the_nodes_that_serve_a_model(visit: Visit):
    page, answers = await visit.memory(fleet(30))
    chip = page.get_by_test_id("model-chip").first
    await expect(chip).to_be_visible()
    await chip.click()
    model = parse_qs(urlsplit(page.url).query)["model"][0]
    serving = [one for one in answers.rows if model in one["profile"].get("models", [])]

    await expect(page.get_by_test_id("node-row")).to_have_count(len(serving))
    await page.get_by_test_id("tab-models").click()
    await expect(page.get_by_test_id("model-row").first).to_be_visible()


async def test_an_empty_fleet_says_how_nodes_come(visit: Visit):
    page, answers = await visit.memory([])
    await expect(page.get_by_test_id("empty-no-nodes")).to_contain_text("helm")
    await expect(page.get_by_test_id("empty-no-nodes")).to_contain_text("doctor")

    await answers.push("node", {"id": "first", "state": "Online"})
    await expect(row(page, "first")).to_be_visible()


async def test_a_search_without_a_match_can_be_cleared(visit: Visit):
    page, _ = await visit.memory(fleet(8), "?q=nothing-is-called-so")
    await page.get_by_test_id("empty-no-match").get_by_role("button").first.click()

    await expect(page.get_by_test_id("node-row")).to_have_count(8)
    assert "q=" not in page.url


async def test_state_changes_are_said_in_one_polite_region_and_in_the_title(visit: Visit):
    rows = fleet(6)
    for one in rows:
        one["state"] = "Online"
    page, answers = await visit.memory(rows)
    await link(page, "live")
    assert await page.title() == "Fabric"

    await answers.push("node", {"id": rows[2]["id"], "state": "Offline", "reason": "AgentSilent"})
    await expect(page.get_by_test_id("announcer")).to_contain_text("Offline")
    assert await page.title() == "(1) Fabric"
    assert await page.locator("[aria-live=assertive]").count() == 0


async def test_rows_wait_with_their_order_until_one_asks(visit: Visit):
    page, answers = await visit.memory(fleet(30), "?sort=-vram")
    order = "all => all.map(one => one.dataset.node)"
    rows = page.get_by_test_id("node-row")
    await expect(rows).to_have_count(30)
    before = await rows.evaluate_all(order)
    last = next(one for one in answers.rows if one["id"] == before[20])
    full = last["profile"] | {"vramBytes": 2**50}
    await answers.push("node", {"id": last["id"], "profile": full})

    await expect(page.get_by_test_id("reorder-pill")).to_be_visible()
    assert await rows.evaluate_all(order) == before
    await page.get_by_test_id("reorder-pill").click()
    await expect(rows.first).to_have_attribute("data-node", last["id"])


async def test_without_a_stream_the_list_is_asked_for(visit: Visit):
    page = await visit.page()
    await page.clock.install()
    from tests.pagefixtures import answer  # noqa: PLC0415

    answers = await answer(page, fleet(4))
    answers.fail["/api/fabric/events"] = 404
    await page.goto(answers.url)
    await link(page, "polling", 20)
    answers.rows = fleet(6)
    await page.clock.fast_forward(31_000)

    await expect(page.get_by_test_id("node-row")).to_have_count(6)
    del answers.fail["/api/fabric/events"]
    await page.clock.fast_forward(61_000)
    await link(page, "live", 20)


async def test_a_narrow_screen_begins_with_cards(visit: Visit):
    page, _ = await visit.memory(fleet(10), viewport=NARROW)

    await expect(page.get_by_test_id("node-card").first).to_be_visible()


async def test_how_far_back_the_charts_go_is_in_the_address(visit: Visit):
    page, answers = await visit.memory(fleet(3), "?node=gpu-node-0001&part=charts")
    await expect(page.get_by_test_id("chart-load")).to_be_visible()
    await page.get_by_text("6 h", exact=True).click()
    await expect(page.get_by_test_id("chart-load")).to_be_visible()

    other, _ = await visit.memory(fleet(3), page.url.removeprefix(answers.url))

    await expect(other.get_by_label("6 h", exact=True)).to_be_checked()


async def test_a_server_of_another_version_offers_its_page_and_takes_nothing_away(visit: Visit):
    page, answers = await visit.memory(fleet(3))
    await link(page, "live")
    banner = page.get_by_test_id("banner")
    await expect(banner).to_have_count(0)

    answers.settings = {"version": "0.2.0"}
    await answers.cut()

    await expect(banner).to_contain_text("0.2.0")
    await expect(page.get_by_test_id("node-row")).to_have_count(3)
    async with page.expect_navigation():
        await banner.get_by_role("button").click()
    await link(page, "live")
    await expect(banner).to_have_count(0)


async def test_models_that_had_no_room_are_shown_by_the_button_that_counts_them(visit: Visit):
    page, answers = await visit.memory(fleet(30))
    more = page.locator(".models-more").first
    await expect(more).to_be_visible()
    node = await page.locator("[data-node]").filter(has=more).first.get_attribute("data-node")
    served = next(one["profile"]["models"] for one in answers.rows if one["id"] == node)

    await more.click()

    box = page.get_by_role("dialog", name=f"Models of {node}")
    await expect(box.get_by_test_id("model-chip")).to_have_count(len(served))
    await expect(box.get_by_test_id("model-chip").first).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(box).to_have_count(0)
