"""The whole page by keyboard alone: no test here has a mouse."""

from playwright.async_api import Page, expect

from tests.integration.page.conftest import Visit
from tests.integration.page.looking import drawer, link
from tests.pagefixtures import fleet

FOCUSED = """
() => {
  const one = document.activeElement;
  const node = one?.closest('[data-node]')?.dataset.node ?? null;
  return { testid: one?.dataset?.testid ?? one?.closest('[data-testid]')?.dataset.testid ?? null,
           node, inside: !!one?.closest('[data-testid="drawer"], dialog'),
           nowhere: one === document.body };
}
"""
ORDER = "all => all.map(one => one.dataset.node)"


async def focused(page: Page) -> dict[str, object]:
    return await page.evaluate(FOCUSED)


async def test_a_walk_from_search_to_a_node_and_back(visit: Visit):
    page, answers = await visit.memory(fleet(30))
    rows = page.get_by_test_id("node-row")
    await expect(rows).to_have_count(30)
    keys = page.keyboard

    await keys.press("/")
    await expect(page.get_by_test_id("filter-search")).to_be_focused()
    await keys.type("state:online j/k?")
    await expect(page.get_by_test_id("empty-no-match")).to_be_visible()
    await keys.press("ControlOrMeta+a")
    await keys.type("state:online")
    online = sum(one["state"] == "Online" for one in answers.rows)
    await expect(rows).to_have_count(online)
    await expect(page.get_by_test_id("result-count")).to_contain_text(f"{online} of 30")
    await keys.press("Enter")
    await page.evaluate("document.activeElement.blur()")
    order = await rows.evaluate_all(ORDER)

    await keys.press("j")
    assert (await focused(page))["node"] == order[0]
    await keys.press("j")
    await keys.press("j")
    await keys.press("k")
    assert (await focused(page))["node"] == order[1]

    await keys.press("Enter")
    await expect(drawer(page)).to_have_attribute("data-node", order[1])
    assert (await focused(page))["inside"]
    for _ in range(60):
        await keys.press("Tab")
        now = await focused(page)
        # Between the last and the first control it is in the browser's own bars.
        assert now["inside"] or now["nowhere"], now
    asked = len(answers.asked)
    await keys.press("r")
    await expect(drawer(page).get_by_test_id("live-result")).to_be_visible()
    assert any(one.endswith("/live") for one in answers.asked[asked:])

    await keys.press("Escape")
    await expect(drawer(page)).to_have_count(0)
    assert (await focused(page))["node"] == order[1]


async def test_help_opens_over_everything_and_gives_the_focus_back(visit: Visit):
    page, _ = await visit.memory(fleet(5))
    await link(page, "live")

    await page.get_by_test_id("help").focus()
    await page.keyboard.press("?")
    await expect(page.get_by_test_id("help-dialog")).to_be_visible()
    await page.keyboard.press("Escape")

    await expect(page.get_by_test_id("help-dialog")).to_have_count(0)
    await expect(page.get_by_test_id("help")).to_be_focused()


async def test_tabs_views_and_states_are_reached_and_worked_by_tab_and_enter(visit: Visit):
    page, answers = await visit.memory(fleet(20))
    await link(page, "live")
    met: list[str] = []
    for _ in range(60):
        await page.keyboard.press("Tab")
        now = str((await focused(page))["testid"])
        met.append(now)
        if now == "count-Offline":
            await page.keyboard.press("Enter")
            break
    offline = sum(one["state"] == "Offline" for one in answers.rows)

    await expect(page.get_by_test_id("node-row")).to_have_count(offline)
    for name in ("tab-models", "tab-events", "tab-access", "pause", "theme", "help"):
        assert name in met, met
    for name in ("models", "events", "access"):
        await page.get_by_test_id(f"tab-{name}").focus()
        await page.keyboard.press("Enter")
        assert f"tab={name}" in page.url
    await page.go_back()
    assert "tab=events" in page.url


async def test_letters_typed_into_a_field_are_no_shortcuts(visit: Visit):
    page, _ = await visit.memory(fleet(10))
    await link(page, "live")

    await page.get_by_test_id("filter-search").focus()
    await page.keyboard.type("jkrp?/1234")

    await expect(page.get_by_test_id("filter-search")).to_have_value("jkrp?/1234")
    await expect(page.get_by_test_id("help-dialog")).to_have_count(0)
    await link(page, "live")


async def test_where_the_focus_is_can_be_seen(visit: Visit):
    page, _ = await visit.memory(fleet(10))
    await link(page, "live")

    for _ in range(12):
        await page.keyboard.press("Tab")
        style = await page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement);"
            " return [s.outlineStyle, parseFloat(s.outlineWidth), s.boxShadow]; }"
        )
        assert (style[0] != "none" and style[1] >= 1) or style[2] != "none", style


async def test_after_going_on_in_the_drawer_the_focus_is_at_the_node_last_shown(visit: Visit):
    page, _ = await visit.memory(fleet(300))
    rows = page.get_by_test_id("node-row")
    await expect(rows.first).to_be_visible()
    order = await rows.evaluate_all(ORDER)
    keys = page.keyboard
    await keys.press("j")
    await keys.press("Enter")
    await expect(drawer(page)).to_have_attribute("data-node", order[0])
    for node in order[1:4]:
        await keys.press("j")
        await expect(drawer(page)).to_have_attribute("data-node", node)

    await keys.press("Escape")

    await expect(drawer(page)).to_have_count(0)
    assert (await focused(page))["node"] == order[3]


async def test_tabs_lead_past_the_chips_of_rows_where_the_keyboard_is_not(visit: Visit):
    page, _ = await visit.memory(fleet(30))
    rows = page.get_by_test_id("node-row")
    await expect(rows).to_have_count(30)
    inside = ":is(a, button):not([tabindex='-1'])"

    assert await rows.locator(inside).count() == 0
    await page.keyboard.press("j")
    await expect(rows.first.locator(inside).first).to_be_attached()
    assert await rows.locator(inside).count() == await rows.first.locator(inside).count()
