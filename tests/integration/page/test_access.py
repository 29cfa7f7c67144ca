"""Who is let in: by a link, no longer, and devices by their codes and tokens. All of it real."""

from typing import Any

from playwright.async_api import Page, expect

from citadel_k8s.models.identity import Role
from tests.integration.page.conftest import Visit
from tests.integration.page.line import Line
from tests.integration.page.looking import link, row
from tests.integration.page.plane import Org
from tests.pagefixtures import fleet

DEVICE = "api/fabric/device-auth"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def begun(page: Page, url: str, hostname: str) -> dict[str, Any]:
    """Let a device ask for admission."""
    body = {"client_id": "citadel-cli", "client_version": "1.0.0", "hostname": hostname}
    answer = await page.request.post(f"{url}{DEVICE}/start", data=body)
    assert answer.ok
    return await answer.json()


async def polled(page: Page, url: str, code: str) -> tuple[int, dict[str, Any]]:
    body = {"device_code": code, "grant_type": GRANT}
    answer = await page.request.post(f"{url}{DEVICE}/token", data=body)
    return answer.status, await answer.json()


async def test_a_stranger_sees_the_way_in_and_nothing_else(org: Org, visit: Visit):
    await org.nodes(2)
    page = await visit.page()
    await page.goto(org.plane.url)

    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert "gpu-0" not in await page.content()
    await page.get_by_test_id("sign-in-link").fill("not a link")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()


async def test_a_login_link_lets_a_person_in_once(org: Org, visit: Visit):
    await org.nodes(2)
    path = await org.sign_in_path()
    page = await visit.page()
    await page.goto(org.plane.url.rstrip("/") + path)

    await expect(page.get_by_test_id("node-row")).to_have_count(2)
    assert "token" not in page.url
    again = await visit.page()
    await again.goto(f"{org.plane.url}?q=gpu-01")
    pasted = org.plane.url.rstrip("/") + await org.sign_in_path()
    await again.get_by_test_id("sign-in-link").fill(pasted)
    await again.keyboard.press("Enter")

    await expect(again.get_by_test_id("node-row")).to_have_count(1)
    assert "q=gpu-01" in again.url


async def test_a_session_that_was_revoked_leaves_nothing_on_the_screen(
    org: Org, visit: Visit, wire: Line
):
    await org.nodes(3)
    page = await visit.open(org, wire.url, "?node=gpu-01")
    await link(page, "live")
    await expect(page.get_by_test_id("drawer")).to_be_visible()
    other = await visit.context()
    await other.add_cookies(await page.context.cookies())  # type: ignore[arg-type]

    headers = {"X-Citadel-CSRF": "1"}
    assert (await other.request.delete(f"{wire.url}api/session", headers=headers)).ok
    wire.cut()

    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    await expect(page.get_by_test_id("node-row")).to_have_count(0)
    await expect(page.get_by_test_id("drawer")).to_have_count(0)
    text = await page.evaluate("document.documentElement.innerHTML")
    assert "gpu-01" not in text
    assert "H100" not in text
    assert await page.title() != "Fabric"


async def test_who_signs_out_is_out(org: Org, visit: Visit):
    await org.nodes(1)
    page = await visit.open(org)
    await link(page, "live")
    await page.get_by_test_id("user-menu").click()
    await page.get_by_test_id("sign-out").click()

    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    await page.reload()
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert (await page.request.get(f"{org.plane.url}api/fabric/nodes")).status == 401


async def test_a_device_is_let_in_by_its_code_and_reports(org: Org, visit: Visit):
    page = await visit.open(org, role=Role.EDITOR)
    device = await begun(page, org.plane.url, "edge-7")
    path = device["verification_uri_complete"].partition("/device")[2]
    await page.goto(f"{org.plane.url}device{path}")

    shown = page.get_by_test_id("enrol-device")
    await expect(shown).to_contain_text("edge-7")
    await expect(shown).to_contain_text(device["user_code"])
    status, waiting = await polled(page, org.plane.url, device["device_code"])
    assert (status, waiting["error"]) == (400, "authorization_pending")
    await page.get_by_test_id("enrol-approve").click()
    await expect(page.get_by_test_id("enrol-done")).to_contain_text("edge-7")

    database = org.plane.control.database
    async with database.transaction() as connection:  # the pace between two polls
        await connection.execute("UPDATE device_auths SET polled_at = NULL")
    status, answer = await polled(page, org.plane.url, device["device_code"])
    assert status == 200
    assert answer["org_id"] == org.id
    headers = {"Authorization": f"Bearer {answer['device_api_token']}"}
    ping = await page.request.get(f"{org.plane.url}api/fabric/redis/ping", headers=headers)
    assert ping.ok
    await org.node("edge-7").beat(util=12)
    await page.get_by_test_id("tab-nodes").click()
    await expect(row(page, "edge-7")).to_have_attribute("data-state", "Online")


async def test_a_device_can_be_denied_and_a_wrong_code_is_said_to_be(org: Org, visit: Visit):
    page = await visit.open(org, path="?tab=access", role=Role.EDITOR)
    device = await begun(page, org.plane.url, "stranger")
    await page.get_by_test_id("enrol-code").fill("BBBB-BBBB")
    await page.get_by_test_id("enrol-look").click()
    await expect(page.get_by_test_id("enrol-device")).to_have_count(0)
    await expect(page.get_by_role("alert")).to_contain_text("code")

    await page.get_by_test_id("enrol-code").fill(device["user_code"].lower())
    await page.get_by_test_id("enrol-look").click()
    await page.get_by_test_id("enrol-deny").click()
    await expect(page.get_by_test_id("enrol-done")).to_be_visible()

    _, answer = await polled(page, org.plane.url, device["device_code"])
    assert answer["error"] == "access_denied"


async def test_a_token_is_made_shown_once_used_and_revoked(org: Org, visit: Visit):
    page = await visit.open(org, path="?tab=access")
    await page.get_by_test_id("token-name").fill("rack7")
    await page.get_by_test_id("token-create").click()
    secret = await page.get_by_test_id("token-secret").inner_text()
    assert secret.startswith("act_")
    ping = f"{org.plane.url}api/fabric/redis/ping"
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await page.request.get(ping, headers=headers)).ok

    await page.get_by_test_id("token-stored").click()
    await expect(page.get_by_test_id("token-secret")).to_have_count(0)
    assert secret not in await page.content()
    listed = page.get_by_test_id("token-table").get_by_test_id("token-row")
    await expect(listed).to_have_count(1)
    await expect(listed.first).to_contain_text("rack7")
    await listed.first.get_by_role("button", name="Revoke").click()
    await page.get_by_test_id("token-revoke-confirm").click()

    await expect(page.locator('[data-testid="token-row"][data-state="active"]')).to_have_count(0)
    assert (await page.request.get(ping, headers=headers)).status == 401


async def test_what_one_may_not_do_is_said_and_not_offered(org: Org, visit: Visit):
    page = await visit.open(org, path="?tab=access", role=Role.VIEWER)

    await expect(page.get_by_test_id("needs-editor")).to_contain_text("viewer")
    await expect(page.get_by_test_id("needs-admin")).to_be_visible()
    await expect(page.get_by_test_id("token-create")).to_have_count(0)
    await expect(page.get_by_test_id("enrol-code")).to_have_count(0)


async def test_another_orgs_nodes_are_not_there(org: Org, visit: Visit):
    other = await org.plane.org()
    await org.nodes(2)
    await other.node("theirs").beat()
    page = await visit.open(other)

    await expect(page.get_by_test_id("node-row")).to_have_count(1)
    await org.node("gpu-00").beat(util=91)
    await other.node("theirs-2").beat()
    await expect(page.get_by_test_id("node-row")).to_have_count(2)
    assert "gpu-00" not in await page.content()


async def test_people_are_seen_by_admins_and_others_learn_which_role_they_have_in_which_org(
    visit: Visit,
):
    page, _ = await visit.memory(fleet(2), "?tab=access")
    await expect(page.get_by_test_id("people-table")).to_contain_text("ada@example.org")
    await expect(page.get_by_test_id("cluster-table")).to_contain_text("prod-eu")

    other, answers = await visit.memory(fleet(2), "?tab=access", answers={"role": "viewer"})

    await expect(other.get_by_test_id("needs-admin")).to_contain_text("In Acme yours is viewer")
    assert "GET /api/orgs/users" not in answers.asked
