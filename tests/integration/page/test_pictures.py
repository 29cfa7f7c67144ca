"""Pictures of the page, for people: written only where ``CITADEL_SCREENSHOTS`` is set.

    CITADEL_SCREENSHOTS=1 .venv/bin/pytest tests/integration/page/test_pictures.py

Without it the same views are opened, and nothing is written.
"""

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from tests.integration.page.conftest import NARROW, WIDE, Visit
from tests.integration.page.looking import drawer, link
from tests.pagefixtures import fleet

FOLDER = Path(__file__).parents[3] / "docs/screenshots"
ENV = "CITADEL_SCREENSHOTS"
MOST_BYTES = 300_000

NODE = "gpu-node-0012"
VIEWS = {
    "fleet-light": ("", "light", WIDE),
    "fleet-dark": ("", "dark", WIDE),
    "cards-light": ("?view=cards", "light", WIDE),
    "node-light": (f"?node={NODE}", "light", WIDE),
    "node-dark": (f"?node={NODE}&part=charts", "dark", WIDE),
    "models-light": ("?tab=models", "light", WIDE),
    "events-dark": ("?tab=events", "dark", WIDE),
    "access-light": ("device?code=BCDF-GHJK", "light", WIDE),
    "narrow-light": ("", "light", NARROW),
    "narrow-dark": (f"?node={NODE}", "dark", NARROW),
}


async def keep(page: Page, name: str) -> int:
    """Write a picture; gives its bytes."""
    data = await page.screenshot()
    if os.environ.get(ENV):
        FOLDER.mkdir(parents=True, exist_ok=True)
        # No palette: it would take small marks of a rare colour for grey ones.
        whole = Image.open(io.BytesIO(data)).convert("RGB")
        whole.save(FOLDER / f"{name}.png", optimize=True)
        return (FOLDER / f"{name}.png").stat().st_size
    return 0


@pytest.mark.parametrize("name", VIEWS)
async def test_a_view_has_its_picture(visit: Visit, name: str):
    path, scheme, size = VIEWS[name]
    page, _ = await visit.memory(
        fleet(60), path, viewport=size, color_scheme=scheme, reduced_motion="reduce"
    )
    await link(page, "live")
    if "node=" in path:
        await expect(drawer(page)).to_be_visible()
    await page.wait_for_timeout(1200 if os.environ.get(ENV) else 100)
    shown = page.locator("#page")
    await expect(shown).not_to_be_empty()
    dark = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red, green, blue = (int(part) for part in dark.strip("rgba()").split(",")[:3])
    assert (red + green + blue < 300) is (scheme == "dark")

    assert await keep(page, name) < MOST_BYTES
