"""The page as the API serves it to a browser."""

from tests.integration.page.conftest import Visit
from tests.integration.page.plane import Org


async def test_the_page_is_served_and_runs_under_its_policy(org: Org, visit: Visit):
    page = await visit.open(org)

    assert await page.title()
    assert await page.locator("#page").inner_text()
