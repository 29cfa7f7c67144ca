"""Ages by the server's clock, whatever the browser's says; and what is old is shown as old."""

from datetime import timedelta

from playwright.async_api import expect

from citadel_k8s.models.codec import format_timestamp
from tests.integration.page.conftest import Visit
from tests.integration.page.looking import link, row
from tests.integration.page.plane import CLOCK, Org
from tests.pagefixtures import fleet
from tests.pagerows import NOW, rfc

DAY = 86_400


async def test_ages_hold_with_a_clock_that_is_a_day_ahead_and_jumps(org: Org, visit: Visit):
    node = org.node("gpu-1")
    await node.beat(util=50)
    context = await visit.context()
    await org.sign_in(context, org.plane.url)
    page = await visit.page(context)
    await page.clock.install(time=CLOCK.now() + DAY)
    await page.goto(org.plane.url)

    age = row(page, "gpu-1").get_by_test_id("age").first
    for jump in (0, -3 * DAY, 400 * DAY):
        if jump:
            await page.clock.set_system_time((CLOCK.now() + jump) * 1000)
        await node.beat(util=50)
        await expect(age).to_have_text(_seconds(0, 3))
        await link(page, "live")
    await expect(row(page, "gpu-1")).to_have_attribute("data-state", "Online")


async def test_an_age_grows_by_itself(visit: Visit):
    rows = fleet(1)
    rows[0] |= {"state": "Online", "lastHeartbeat": rfc(NOW - timedelta(seconds=20))}
    page, _ = await visit.memory(rows)

    age = row(page, rows[0]["id"]).get_by_test_id("age").first
    await expect(age).to_have_text(_seconds(20, 22))
    await expect(age).to_have_text(_seconds(22, 24))
    seen = await age.get_attribute("title") or await age.inner_html()
    assert rfc(NOW - timedelta(seconds=20))[:19] in seen


async def test_what_a_silent_node_said_last_is_marked_and_counts_no_more(visit: Visit):
    fresh, old, silent = fleet(3)
    fresh |= {"state": "Online", "lastHeartbeat": rfc(NOW - timedelta(seconds=3))}
    old |= {"state": "Stale", "lastHeartbeat": rfc(NOW - timedelta(seconds=61))}
    silent |= {"state": "Offline", "lastHeartbeat": rfc(NOW - timedelta(minutes=14))}
    for one, power in ((fresh, 1000), (old, 2000), (silent, 4000)):
        one["pulse"]["power"] = power
    page, _ = await visit.memory([fresh, old, silent])

    await expect(row(page, silent["id"])).to_contain_text("last known")
    await expect(row(page, silent["id"])).to_contain_text("14 min")
    await expect(row(page, fresh["id"])).not_to_contain_text("last known")
    await expect(page.get_by_test_id("summary")).to_contain_text("Power1,000 W")


async def test_a_dead_worker_is_said_and_not_taken_for_a_quiet_fleet(org: Org, visit: Visit):
    await org.nodes(1)
    page = await visit.open(org)
    await link(page, "live")
    await expect(page.get_by_test_id("banner")).to_have_count(0)

    late = CLOCK.now() - 300
    memory, answers = await visit.memory(fleet(3))
    await link(memory, "live")
    told = {"now": rfc(NOW), "stale": False, "lag": 300, "asOf": format_timestamp(late)}
    answers.now = NOW
    await answers.push("time", told | {"asOf": rfc(NOW - timedelta(seconds=300))})

    await expect(memory.get_by_test_id("banner")).to_contain_text("5 min")


def _seconds(least: int, most: int) -> object:
    import re  # noqa: PLC0415

    return re.compile("|".join(rf"\b{n} s ago|\bnow\b" for n in range(least, most + 1)))
