"""Texts of somebody who means harm, everywhere that texts come from: shown, and never run.

Each `Visit` ends with the proof: no dialog, no error, nothing that the policy had to forbid.
"""

import json

from playwright.async_api import Page, expect

from tests.integration.page.conftest import NARROW, Visit
from tests.integration.page.looking import drawer, link, row
from tests.integration.page.plane import Org
from tests.pagefixtures import fleet, hostile
from tests.pagerows import EVIL, Row

SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"

MADE = """
() => ({
  markup: document.querySelectorAll('svg[onload], img[src="x"], #page script, iframe').length,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
})
"""
"""Elements that only a hostile text could have made, and how far the page overflows."""

EVERY = (
    "?view=table", "?view=cards", "?tab=models", "?tab=events", "?tab=access",
    *(f"?node=gpu-node-0000&part={part}" for part in
      ("gpus", "services", "charts", "live", "raw", "history")),
)  # fmt: skip

NONSENSE = (
    "event: node\ndata: {not json\n\n",
    "event: surprise\ndata: {}\n\n",
    "event: node\ndata: null\n\n",
    "event: node\ndata: []\n\n",
    'event: node\ndata: {"id": 7}\n\n',
    "data\n\n:\n\n\n\n",
    'event: gone\ndata: {"id": "nobody"}\n\n',
    'event: event\ndata: {"id": "x"}\n\n',
    'event: node\ndata: {"id":"gpu-node-0000","pulse":{"gpu":"many"}}\n\n',
    'event: node\ndata: {"id":"gpu-node-0000","pulse":null,"state":9}\n\n',
    "event: time\ndata: 1e999\n\n",
)
"""What a stream may say that is no message."""


async def harmless(page: Page) -> None:
    made = await page.evaluate(MADE)
    assert made["markup"] == 0
    assert made["wide"] <= 1, f"the page is {made['wide']} px too wide"


def harmful(row: Row) -> Row:
    """Give a status in which every text means harm."""
    return json.loads(json.dumps(row), object_hook=_evil)


def _evil(one: dict[str, object]) -> dict[str, object]:
    keep = {"id", "timestamp", "nodeId", "lastHeartbeat", "since", "last_at", "applied_at", "state"}
    return {
        key: IMAGE + EVIL[len(key) % len(EVIL)]
        if isinstance(value, str) and key not in keep
        else [EVIL[n % len(EVIL)] if isinstance(item, str) else item
              for n, item in enumerate(value)]
        if isinstance(value, list)
        else value
        for key, value in one.items()
    }  # fmt: skip


async def test_hostile_rows_are_texts_in_every_view(visit: Visit):
    rows = hostile(fleet(26))
    page, answers = await visit.memory(rows)
    answers.settings = {"version": SCRIPT}
    answers.events = [
        {"id": str(n), "time": "2026-11-24T07:00:00Z", "node": EVIL[n % len(EVIL)],
         "kind": "fault", "reason": IMAGE, "message": EVIL[(n + 3) % len(EVIL)], "count": n}
        for n in range(30)
    ]  # fmt: skip
    answers.tokens = [
        {"tokenId": f"t{n}", "name": text[:200], "scopes": [text[:50]], "createdAt": None,
         "createdBy": text[:100], "nodeId": text[:100]}
        for n, text in enumerate(EVIL)
    ]  # fmt: skip

    for path in EVERY:
        await page.goto(answers.url + path)
        await link(page, "live")
        await page.wait_for_timeout(150)
        await harmless(page)
    await page.goto(answers.url + "?view=table")
    await expect(row(page, "gpu-node-0000")).to_contain_text(SCRIPT)
    # A text from right to left does not turn what stands beside it.
    turned = row(page, "gpu-node-0005").locator(".said").first
    assert await turned.evaluate("one => getComputedStyle(one).unicodeBidi") in {
        "isolate", "isolate-override", "plaintext",
    }  # fmt: skip


async def test_hostile_rows_fit_a_narrow_screen(visit: Visit):
    page, _ = await visit.memory(hostile(fleet(26)), viewport=NARROW)

    await expect(page.get_by_test_id("node-card").first).to_be_visible()
    await harmless(page)
    await page.get_by_test_id("node-card").first.click()
    await expect(drawer(page)).to_be_visible()
    await harmless(page)


async def test_a_hostile_status_is_text_in_every_part_of_the_drawer(visit: Visit):
    rows = fleet(13)
    page, answers = await visit.memory(rows)

    def evil_detail(one: Row, _now: object = None) -> Row:
        from tests.pagerows import detail  # noqa: PLC0415

        return harmful(detail(one))

    answers.detail = evil_detail
    for part in ("gpus", "services", "live", "raw", "history", "charts"):
        await page.goto(f"{answers.url}?node=gpu-node-0012&part={part}")
        await expect(drawer(page)).to_be_visible()
        await page.wait_for_timeout(200)
        await harmless(page)
    await page.goto(f"{answers.url}?node=gpu-node-0012&part=raw")
    await expect(drawer(page).get_by_test_id("raw-json")).to_contain_text("<img src=x")


async def test_hostile_words_come_through_the_real_pipeline_as_words(org: Org, visit: Visit):
    for number, text in enumerate(EVIL):
        service = {"name": text, "type": text[:60], "status": "running", "models": [text, IMAGE]}
        more = {"health": text[:60], "reason": text[:60], "message": text}
        gpu = {"index": 0, "name": text, "health": "failed", "reason": text[:60], "message": text}
        await org.node(f"evil-{number}").beat(
            node={"name": text, "network_ip": text[:60], "uptime_seconds": 1},
            services=[service | more],
            gpu=[gpu],
        )
    page = await visit.open(org)
    rows = page.get_by_test_id("node-row")
    await expect(rows).to_have_count(len(EVIL))

    await expect(row(page, "evil-0")).to_contain_text(SCRIPT)
    for path in ("?view=cards", "?tab=models", "?tab=events", "?node=evil-0", "?node=evil-1",
                 "?node=evil-5", "?node=evil-9"):  # fmt: skip
        await page.goto(org.plane.url + path)
        await link(page, "live")
        await page.wait_for_timeout(150)
        await harmless(page)
    # And live, as changes of what is shown already.
    await page.goto(org.plane.url)
    await expect(rows).to_have_count(len(EVIL))
    await org.node("evil-2", 7).beat(node={"name": IMAGE, "uptime_seconds": 2}, gpu=[])
    await expect(row(page, "evil-2")).to_contain_text(IMAGE)
    await harmless(page)


async def test_hostile_addresses_are_only_text(visit: Visit):
    page, answers = await visit.memory(fleet(5))

    for value in (SCRIPT, "%00%0a%0d", "javascript:alert(1)", "a" * 5000, "%E2%80%AE"):
        for names in (("q", "state", "model", "gpu", "sort"), ("node", "part", "tab", "view")):
            asked = "&".join(f"{name}={value}" for name in names)
            await page.goto(f"{answers.url}?{asked}")
            await expect(page.get_by_test_id("link-badge")).to_be_visible()
            await harmless(page)
    await page.goto(f"{answers.url}device?code={SCRIPT}")
    await expect(page.get_by_test_id("enrol-code")).to_be_visible()


async def test_states_and_makers_that_nobody_has_heard_of_are_shown_as_they_are(visit: Visit):
    rows = fleet(6)
    rows[0] |= {"state": "Hibernating"}
    rows[1] = {"id": "bare", "state": "Online", "profile": {"name": "bare"}, "pulse": {}}
    rows[2]["profile"]["gpus"] = [{"model": "Graphcore IPU-POD64", "count": 64}]
    rows[3]["pulse"] = {"gpu": [[None, None, None]] * 8}
    page, _ = await visit.memory(rows)

    await expect(row(page, rows[0]["id"])).to_contain_text("Hibernating")
    await expect(row(page, "bare")).to_contain_text("unknown")
    await expect(row(page, "bare")).not_to_contain_text("0 %")
    await expect(row(page, rows[2]["id"])).to_contain_text("Graphcore")
    await expect(row(page, rows[3]["id"])).to_contain_text("8 unknown")


async def test_nonsense_in_the_stream_breaks_nothing(visit: Visit):
    rows = fleet(5)
    page, answers = await visit.memory(rows)
    await link(page, "live")

    for said in NONSENSE:
        await page.evaluate("said => window.__say(said)", said)
    good = rows[1]["pulse"] | {"gpu": [[64, 20, 0]] * 8}
    await answers.push("node", {"id": rows[1]["id"], "state": "Online", "pulse": good})

    await expect(row(page, rows[1]["id"])).to_contain_text("64 %")
    await expect(page.get_by_test_id("node-row")).to_have_count(5)


async def test_five_thousand_nodes_are_listed_searched_and_scrolled(visit: Visit):
    rows = fleet(5000)
    page, answers = await visit.memory(rows)

    await expect(page.get_by_test_id("result-count")).to_contain_text("5,000")
    drawn = await page.get_by_test_id("node-row").count()
    assert 10 < drawn < 300
    await answers.push("node", {"id": "gpu-node-4999", "state": "Offline", "reason": "Gone"})
    await page.get_by_test_id("filter-search").fill("gpu-node-49")
    await expect(page.get_by_test_id("result-count")).to_contain_text("100")
    await page.get_by_test_id("filter-search").fill("")
    table = page.get_by_test_id("node-table")
    await expect(table).to_have_attribute("aria-rowcount", "5001")
    await page.evaluate("document.scrollingElement.scrollTo(0, 1e9)")
    await page.mouse.wheel(0, 1_000_000)
    await expect(page.get_by_test_id("node-row").last).to_be_visible()
