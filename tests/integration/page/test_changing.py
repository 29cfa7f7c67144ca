"""What an editor changes of a node in its drawer: its configuration, and giving it up. All real."""

import json

from playwright.async_api import Page, expect

from citadel_k8s.models.identity import Role
from tests.integration.page.conftest import Visit
from tests.integration.page.looking import drawer, link, row
from tests.integration.page.plane import Org

CSRF = {"X-Citadel-CSRF": "1"}


async def asked(page: Page, org: Org) -> dict[str, object]:
    """Give what the API has asked of the node."""
    answer = await page.request.get(f"{org.plane.url}api/fabric/nodes/gpu-00/config")
    assert answer.ok
    return (await answer.json())["config"]


async def test_an_editor_asks_a_node_for_another_configuration(org: Org, visit: Visit):
    await org.nodes(1)
    page = await visit.open(org, path="?node=gpu-00&part=config", role=Role.EDITOR)
    text = page.get_by_test_id("config-text")
    await expect(text).to_have_value("{}")

    await text.fill("[1]")
    await expect(page.get_by_test_id("config-save")).to_be_disabled()
    await text.fill('{"intervalSeconds": 60}')
    await page.get_by_test_id("config-save").click()

    await expect(page.get_by_test_id("node-config")).to_contain_text("k8s-")
    await expect(text).to_have_value('{\n  "intervalSeconds": 60\n}')
    assert await asked(page, org) == {"intervalSeconds": 60}


async def test_nobodys_change_is_lost_and_neither_is_what_was_typed(org: Org, visit: Visit):
    await org.nodes(1)
    page = await visit.open(org, path="?node=gpu-00&part=config", role=Role.EDITOR)
    text = page.get_by_test_id("config-text")
    await expect(text).to_have_value("{}")
    other = await page.request.put(
        f"{org.plane.url}api/fabric/nodes/gpu-00/config",
        data={"deviceName": "theirs"},
        headers=CSRF,
    )
    assert other.ok

    await text.fill('{"deviceName": "mine"}')
    await page.get_by_test_id("config-save").click()
    refused = drawer(page).get_by_role("alert")
    await expect(refused).to_contain_text("Somebody else")
    assert await asked(page, org) == {"deviceName": "theirs"}
    await refused.get_by_role("button").click()

    # What they asked for is there to be seen, and what was typed has not gone.
    await expect(text).to_have_value('{"deviceName": "mine"}')
    await expect(page.get_by_test_id("node-config")).to_contain_text("theirs")
    await page.get_by_test_id("config-save").click()
    await expect(drawer(page).get_by_role("alert")).to_have_count(0)
    await expect(text).to_have_value(json.dumps({"deviceName": "mine"}, indent=2))
    assert await asked(page, org) == {"deviceName": "mine"}


async def test_a_configuration_that_no_node_can_have_is_refused_in_words(org: Org, visit: Visit):
    await org.nodes(1)
    page = await visit.open(org, path="?node=gpu-00&part=config", role=Role.EDITOR)
    await page.get_by_test_id("config-text").fill('{"intervalSeconds": "soon"}')
    await page.get_by_test_id("config-save").click()

    await expect(drawer(page).get_by_role("alert")).to_contain_text("intervalSeconds")
    await expect(page.get_by_test_id("config-text")).to_have_value('{"intervalSeconds": "soon"}')


async def test_a_node_is_given_up_only_by_its_name_and_leaves_the_list(org: Org, visit: Visit):
    await org.nodes(2)
    page = await visit.open(org, path="?node=gpu-00&part=config", role=Role.EDITOR)
    await link(page, "live")
    act = page.get_by_test_id("parting-act")
    await page.get_by_test_id("parting-name").fill("gpu-01")
    await expect(act).to_be_disabled()
    name = await drawer(page).get_by_role("heading", level=2).inner_text()
    await page.get_by_test_id("parting-name").fill(name)
    await act.click()

    await expect(drawer(page)).to_have_count(0)
    await expect(row(page, "gpu-00")).to_have_count(0)
    await expect(row(page, "gpu-01")).to_have_count(1)
    await page.get_by_test_id("filter-search").fill("state:decommissioned")
    await expect(row(page, "gpu-00")).to_have_attribute("data-state", "Decommissioned")


async def test_a_viewer_changes_nothing(org: Org, visit: Visit):
    await org.nodes(1)
    page = await visit.open(org, path="?node=gpu-00&part=config", role=Role.VIEWER)
    await expect(page.get_by_test_id("node-config")).to_be_visible()
    await expect(page.get_by_test_id("config-save")).to_have_count(0)
    await expect(page.get_by_test_id("parting-act")).to_have_count(0)
