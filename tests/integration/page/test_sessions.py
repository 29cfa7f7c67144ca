"""Whose data a page shows when sessions come and go beside it: in another tab, or while paused."""

from playwright.async_api import expect

from tests.integration.page.conftest import Visit
from tests.integration.page.line import Line
from tests.integration.page.looking import link, row
from tests.integration.page.plane import Org

CSRF = {"X-Citadel-CSRF": "1"}

SEEN_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
"""What a browser tells a tab that one turns to."""


async def test_a_tab_goes_over_to_the_org_that_another_tab_signed_in_to(
    org: Org, visit: Visit, wire: Line
):
    other = await org.plane.org()
    await org.nodes(2)
    await other.node("theirs").beat()
    page = await visit.open(org, wire.url)
    await link(page, "live")
    await expect(page.get_by_test_id("node-row")).to_have_count(2)

    await other.sign_in(page.context, wire.url)
    wire.cut()

    await expect(row(page, "theirs")).to_have_count(1)
    await expect(page.get_by_test_id("node-row")).to_have_count(1)
    await other.node("theirs-2").beat()
    await expect(page.get_by_test_id("node-row")).to_have_count(2)
    assert "gpu-00" not in await page.content()


async def test_a_tab_that_one_turns_to_asks_whose_it_is(org: Org, visit: Visit):
    other = await org.plane.org()
    await org.nodes(2)
    await other.node("theirs").beat()
    page = await visit.open(org)
    await link(page, "live")

    await other.sign_in(page.context, org.plane.url)
    await page.evaluate(SEEN_AGAIN)

    await expect(row(page, "theirs")).to_have_count(1)
    await expect(row(page, "gpu-00")).to_have_count(0)


async def test_a_paused_page_does_not_outlive_its_session(org: Org, visit: Visit):
    await org.nodes(2)
    page = await visit.open(org)
    await link(page, "live")
    await page.get_by_test_id("pause").click()
    await link(page, "paused")

    answer = await page.request.delete(f"{org.plane.url}api/session", headers=CSRF)
    assert answer.ok
    await page.evaluate(SEEN_AGAIN)

    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert "gpu-00" not in await page.content()
