"""The page in a real Chromium, before the real worker, API, PostgreSQL and Valkey.

How to use it::

    async def test_something(org: Org, visit: Visit) -> None:
        node = org.node("gpu-1")
        await node.beat(util=50)
        page = await visit.open(org)                   # signed in as an admin
        page = await visit.memory(fleet(40))           # or: the API from memory
        await page.get_by_test_id("node-row").first.wait_for()

- The servers and the browser are shared by the session; an ``org`` and a browser context are the
  test's own. All run in the session's loop.
- A ``visit`` ends with the proof that nothing was amiss: no dialog, no error in the page, nothing
  that the page's policy had to forbid. What a test expects it takes out of ``visit.complaints``.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio as redis_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page

from citadel_k8s.local.controlplane import ControlPlane
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.identity import Role
from tests.browser import chromium
from tests.integration.page.line import Line, line
from tests.integration.page.plane import Org, Plane
from tests.pagefixtures import Answers, Row, answer

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 360, "height": 800}

WATCH = """
window.__policy = [];
addEventListener('securitypolicyviolation',
    event => window.__policy.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests of this folder in one loop: the browser lives in it."""
    for item in items:
        if "integration/page/" in item.path.as_posix():
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The one Chromium."""
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plane() -> AsyncIterator[Plane]:
    """The one control plane."""
    async with AsyncExitStack() as held:
        stack = await held.enter_async_context(Stack(kube=False, postgres=True))
        control = ControlPlane(stack, interval=30, missed=3, skew=10)
        held.push_async_callback(control.close)
        await control.start()
        client = redis_asyncio.Redis.from_url(stack.redis_url)
        held.push_async_callback(client.aclose)
        yield Plane(control, client)


@pytest_asyncio.fixture(loop_scope="session")
async def org(plane: Plane) -> Org:
    """An org of the test's own."""
    return await plane.org()


@pytest_asyncio.fixture(loop_scope="session")
async def wire(plane: Plane) -> AsyncIterator[Line]:
    """A line to the API that can be cut: `visit.open(org, wire.url)`."""
    async with line(plane.port) as laid:
        yield laid


@dataclass
class Visit:
    """What one visitor opens, and what was amiss in it."""

    browser: Browser
    url: str = ""
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def context(self, **options: Any) -> BrowserContext:
        """Begin anew, as in another browser."""
        options = {"viewport": WIDE, "locale": "en-GB", "timezone_id": "UTC"} | options
        context = await self.browser.new_context(**options)
        context.set_default_timeout(8000)
        await context.add_init_script(WATCH)
        self.contexts.append(context)
        return context

    async def page(self, context: BrowserContext | None = None, **options: Any) -> Page:
        """Open an empty page that is watched."""
        page = await (context or await self.context(**options)).new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error.stack}"))
        page.on("dialog", self._dialog)
        return page

    async def open(
        self, org: Org, url: str = "", path: str = "", *, role: Role = Role.ADMIN, **options: Any
    ) -> Page:
        """Open the page of the real API, signed in."""
        context = await self.context(**options)
        await org.sign_in(context, url or org.plane.url, role)
        page = await self.page(context)
        await page.goto((url or org.plane.url) + path)
        return page

    async def memory(
        self, rows: list[Row] | None = None, path: str = "", **options: Any
    ) -> tuple[Page, Answers]:
        """Open the page over an API from memory; options of `Answers` in ``answers``."""
        more = options.pop("answers", {})
        page = await self.page(**options)
        answers = await answer(page, rows, **more)
        await page.goto(answers.url + path)
        return page, answers

    async def end(self) -> None:
        """Close all, and ask each page what its policy forbade."""
        for context in self.contexts:
            for page in context.pages:
                if not page.is_closed() and page.url.startswith("http"):
                    forbidden = await page.evaluate("window.__policy")
                    self.complaints += [f"policy: {one}" for one in forbidden]
            await context.close()

    def _console(self, message: ConsoleMessage) -> None:
        refused = message.text.startswith("Failed to load resource")
        if message.type in {"error", "warning"} and not refused:
            self.complaints.append(f"console: {message.text}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    """A visitor, of whom nothing is amiss at the end."""
    visitor = Visit(browser)
    yield visitor
    await visitor.end()
    assert visitor.complaints == []
