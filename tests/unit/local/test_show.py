"""What the demo does when keys are pressed."""

import asyncio
import io
from typing import Any

from rich.console import Console

from citadel_k8s.errors import StackError
from citadel_k8s.local.show import Screen


class FakeControl:
    """Makes links, or cannot."""

    def __init__(self) -> None:
        self.made = 0
        self.broken = False

    async def sign_in_link(self) -> str:
        if self.broken:
            raise StackError("the control plane does not run")
        self.made += 1
        return f"http://127.0.0.1:1/api/session/link?token={'t' * 80}{self.made}"


class FakeDemo:
    """Has no nodes."""

    def __init__(self) -> None:
        self.control = FakeControl()
        self.nodes: list[Any] = []


async def pressed(demo: Any, keys: str) -> str:
    console = Console(width=80, file=io.StringIO())
    queue: asyncio.Queue[str] = asyncio.Queue()
    for key in keys:
        queue.put_nowait(key)
    async with asyncio.TaskGroup() as group:
        obeying = group.create_task(Screen(demo, console).obey(queue))
        while not queue.empty():  # noqa: ASYNC110 - it has no end of its own
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        obeying.cancel()
    return console.file.getvalue()  # type: ignore[attr-defined]


async def test_l_makes_a_new_link_each_time_in_one_line_that_can_be_copied() -> None:
    said = await pressed(FakeDemo(), "ll")
    lines = [line for line in said.splitlines() if line]
    assert len(lines) == 2
    assert [line.startswith("Open the page: http://") for line in lines] == [True, True]
    assert lines[0][:-1] == lines[1][:-1]
    assert (lines[0][-1], lines[1][-1]) == ("1", "2")


async def test_where_no_link_can_be_made_the_demo_goes_on() -> None:
    demo = FakeDemo()
    demo.control.broken = True
    assert "Open" not in await pressed(demo, "l9x")
