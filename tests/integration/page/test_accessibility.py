"""No violation that axe knows of: in every view, light and dark, wide and narrow."""

from functools import cache
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser import MODULES
from tests.integration.page.conftest import NARROW, WIDE, Visit
from tests.integration.page.looking import drawer, link
from tests.pagefixtures import Answers, fleet

RUN = """
async () => {
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations.flatMap((one) => one.nodes.map((node) =>
    `${one.id}: ${node.target.join(' ')} ${node.any.map((any) => any.message).join('; ')}
     ${node.html.slice(0, 160)}`));
}
"""
NODE = "gpu-node-0012"

VIEWS = {
    "table": "?view=table",
    "cards": "?view=cards",
    "no match": "?q=nothing-is-called-so",
    "models": "?tab=models",
    "events": "?tab=events",
    "access": "?tab=access",
    "code": "device?code=BCDF-GHJK",
    "nobody": "?node=nobody",
    **{
        part: f"?node={NODE}&part={part}"
        for part in ("gpus", "services", "charts", "live", "raw", "history", "config")
    },
}


@cache
def axe() -> str:
    return (MODULES / "axe-core/axe.min.js").read_text()


async def violations(page: Page) -> list[str]:
    """Give what axe finds amiss, in light and in dark."""
    await page.evaluate(axe())
    found: list[Any] = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [f"{scheme}: {one}" for one in await page.evaluate(RUN)]
    return found


async def shown(visit: Visit, path: str, **options: Any) -> tuple[Page, Answers]:
    page, answers = await visit.memory(fleet(14), path, **options)
    answers.tokens = [
        {"tokenId": "t1", "name": "rack7", "scopes": ["device_redis:read"], "createdBy": "user:u1",
         "createdAt": "2026-11-23T07:00:00Z", "usedAt": "2026-11-24T07:00:00Z"},
        {"tokenId": "t2", "name": "old", "scopes": [], "createdBy": "user:u1",
         "createdAt": "2026-11-23T07:00:00Z", "revokedAt": "2026-11-24T07:00:00Z"},
    ]  # fmt: skip
    await link(page, "live")
    await page.wait_for_timeout(250)
    return page, answers


@pytest.mark.parametrize("name", VIEWS)
async def test_a_wide_view_is_without_violations(visit: Visit, name: str):
    page, _ = await shown(visit, VIEWS[name], viewport=WIDE)
    if "node=" in VIEWS[name]:
        await expect(drawer(page)).to_be_visible()

    assert await violations(page) == []


@pytest.mark.parametrize("name", ["cards", "models", "events", "access", "gpus", "services"])
async def test_a_narrow_view_is_without_violations_and_fits(visit: Visit, name: str):
    page, _ = await shown(visit, VIEWS[name].replace("view=cards", ""), viewport=NARROW)

    assert await violations(page) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) <= 1


async def test_what_opens_over_the_page_is_without_violations(visit: Visit):
    page, _ = await shown(visit, "")
    await page.get_by_test_id("column-chooser").click()
    await page.get_by_role("button", name="Legend").click()
    assert await violations(page) == []

    await page.keyboard.press("Escape")
    await page.get_by_test_id("help").click()
    await expect(page.get_by_test_id("help-dialog")).to_be_visible()
    assert await violations(page) == []


async def test_an_empty_fleet_and_a_stranger_find_no_violations(visit: Visit):
    page, _ = await visit.memory([])
    await expect(page.get_by_test_id("empty-no-nodes")).to_contain_text("helm")
    assert await violations(page) == []

    page, _ = await visit.memory([], answers={"role": None})
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert await violations(page) == []


async def test_an_api_that_is_down_is_said_without_violations(visit: Visit):
    page, answers = await shown(visit, "")
    answers.fail["/api/fabric/events"] = 0
    answers.fail["/api/fabric/nodes"] = 0
    await answers.cut()
    await expect(page.get_by_test_id("banner")).to_be_visible(timeout=15_000)

    assert await violations(page) == []


async def test_who_magnifies_to_200_per_cent_loses_nothing(visit: Visit):
    page, _ = await shown(visit, "?view=cards", viewport={"width": 720, "height": 450})

    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) <= 1
    for name in ("filter-search", "pause", "help", "tab-access"):
        await page.get_by_test_id(name).scroll_into_view_if_needed()
        await expect(page.get_by_test_id(name)).to_be_visible()


async def test_controls_for_fingers_are_large_enough(visit: Visit):
    page, _ = await shown(visit, "", viewport=NARROW, has_touch=True, is_mobile=True)

    small = await page.evaluate("""
      () => [...document.querySelectorAll('button, select, input, nav a')]
        .filter((one) => one.checkVisibility() && !one.closest('.unseen'))
        // Chips stand in a line of 44 px, of which they are 42.
        .map((one) => [one.dataset.testid ?? one.className, one.getBoundingClientRect(),
                       one.closest('.models') ? 41.5 : 43.5])
        .filter(([, box, least]) => box.width > 1 && Math.min(box.width, box.height) < least)
        .map(([name, box]) => `${name} ${box.width.toFixed(0)}x${box.height.toFixed(0)}`)
    """)
    assert small == []


async def test_printed_it_is_dark_on_white_and_without_controls(visit: Visit):
    page, _ = await shown(visit, "", color_scheme="dark")
    await page.emulate_media(media="print", color_scheme="dark")

    ground = "getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(ground) in {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}
    await expect(page.get_by_test_id("pause")).to_be_hidden()
    await expect(page.get_by_test_id("node-row").first).to_be_visible()


async def test_nothing_moves_where_somebody_asks_for_stillness(visit: Visit) -> None:
    page, answers = await visit.memory(fleet(14))
    await expect(page.get_by_test_id("link-badge")).to_have_attribute("data-kind", "live")
    await page.emulate_media(reduced_motion="reduce")
    row = next(row for row in answers.rows if row["state"] == "Online")
    moving = "document.getAnimations().length"
    for cpu in (0.99, 0.01):
        await answers.push("node", {"id": row["id"], "pulse": row["pulse"] | {"cpu": cpu}})
        cell = page.locator(f"[data-node={row['id']}]").get_by_text(f"{cpu:.0%}".replace("%", " %"))
        await expect(cell.first).to_be_visible()
        assert await page.evaluate(moving) == 0
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(drawer(page)).to_be_visible()
    assert await page.evaluate(moving) == 0
