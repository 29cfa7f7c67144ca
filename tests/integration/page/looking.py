"""What tests ask of a page, by the names that its parts have for tests."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from playwright.async_api import Locator, Page, expect

expect.set_options(timeout=8000)

PAINTED = """
async ([selector, text, limit]) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => done()));
  const end = performance.now() + limit;
  while (!document.querySelector(selector)?.textContent?.includes(text)) {
    if (performance.now() > end) return null;
    await frame();
  }
  await frame();
  await frame();
  return performance.timeOrigin + performance.now();
}
"""
"""Gives the moment of the wall clock, in ms, at which a text was painted somewhere."""


def row(page: Page, node_id: str) -> Locator:
    """Give a node's row of the table."""
    return page.locator(row_at(node_id))


def row_at(node_id: str) -> str:
    return f'[data-testid="node-row"][data-node={json.dumps(node_id)}]'


def drawer(page: Page) -> Locator:
    return page.get_by_test_id("drawer")


async def link(page: Page, kind: str, timeout: float = 8) -> None:
    """Wait until the page is connected so."""
    badge = page.get_by_test_id("link-badge")
    await expect(badge).to_have_attribute("data-kind", kind, timeout=timeout * 1000)


async def painted(page: Page, node_id: str, text: str, limit: float = 5) -> float:
    """Wait until a row shows a text; gives the moment of that frame, of the wall clock.

    Awaited as a task, it looks from the moment at which the task begins.
    """
    moment = await page.evaluate(PAINTED, [row_at(node_id), text, 1000 * limit])
    assert moment is not None, f"{node_id} did not show {text!r}"
    return moment / 1000


async def until(condition: Callable[[], Any], timeout: float = 10) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - bytes in a proxy tell nobody
            await asyncio.sleep(0.05)
