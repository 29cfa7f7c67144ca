"""The demo for a person: progress, a live table, keys; or a check that prints and ends."""

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from citadel_k8s.errors import CitadelError, StackError
from citadel_k8s.local.check import check
from citadel_k8s.local.demo import Demo, DemoNode, Options
from citadel_k8s.local.view import table

REFRESH: Final = 1.0
"""Seconds between two looks at the objects."""


async def run_check(options: Options) -> None:
    """Run the demo's story without a terminal.

    Raises
    ------
    StackError
        What did not come to pass.
    """
    report = _reporter(Console(stderr=True))
    _cancel_on_signals()
    async with Demo(options, report) as demo:
        await check(demo, report, lambda text: print(f"\n{text}\n", flush=True))  # noqa: T201
    report("demo --check passed")


async def run_live(options: Options) -> None:
    """Run the demo until ``q`` or Ctrl-C."""
    console = Console()
    _cancel_on_signals()
    try:
        async with Demo(options, _reporter(console)) as demo, asyncio.TaskGroup() as group:
            console.print(
                f"\nOpen the page:\n[bold]{demo.control.link}[/]\n"
                "The link signs you in, once; press l for another one.\n\n"
                "Or, in another terminal:\n"
                f"[bold]export KUBECONFIG={demo.stack.kubeconfig}[/]\n"
                f"[bold]{demo.stack.kubectl} get fnode -w[/]\n"
                "[bold]citadel-k8s top[/]\n",
                soft_wrap=True,
                highlight=False,
            )
            screen = Screen(demo, console)
            with _keys() as pressed:
                obeying = group.create_task(screen.obey(pressed), name="keys")
                await screen.run()
            obeying.cancel()
    finally:
        console.print("Everything is stopped, nothing is left behind.")


class Screen:
    """The live table, the keys under it, and what they led to."""

    def __init__(self, demo: Demo, console: Console) -> None:
        self._demo = demo
        self._console = console
        self._stopping = asyncio.Event()
        self._said: list[str] = []

    async def run(self) -> None:
        """Show until asked to stop."""
        with Live(console=self._console, auto_refresh=False) as live:
            while not self._stopping.is_set():
                live.update(Group(await self._table(), self._footer()), refresh=True)
                try:
                    await asyncio.wait_for(self._stopping.wait(), REFRESH)
                except TimeoutError:
                    continue

    async def obey(self, pressed: "asyncio.Queue[str]") -> None:
        """Do what keys ask for, one after the other."""
        while True:
            key = await pressed.get()
            if key in {"q", "\x04"}:
                self._stopping.set()
            elif key == "l":
                await self._link()
            elif key.isdigit() and 0 < int(key) <= len(self._demo.nodes):
                await self._toggle(self._demo.nodes[int(key) - 1])

    async def _link(self) -> None:
        try:
            link = await self._demo.control.sign_in_link()
        except CitadelError as error:
            self._said.append(str(error))
        else:
            # Above the table and as one line: what a terminal breaks, nobody can copy.
            self._console.print(f"Open the page: [bold]{link}[/]", soft_wrap=True, highlight=False)

    async def _toggle(self, node: DemoNode) -> None:
        try:
            await (self._demo.kill(node) if node.running else self._demo.revive(node))
        except StackError as error:
            self._said.append(str(error))
        else:
            self._said.append(f"{node.name}: {'revived' if node.running else 'killed'}")

    async def _table(self) -> RenderableType:
        try:
            objects = await self._demo.objects()
            return table(objects, self._demo.clock.now(), width=self._console.width)
        except CitadelError as error:
            return Text(str(error), style="red")

    def _footer(self) -> Text:
        keys = Text("\n")
        for number, node in enumerate(self._demo.nodes[:9], start=1):
            style = "" if node.running else "bold red"
            keys.append(f"[{number}] ", style="bold")
            keys.append(f"{node.name}{'' if node.running else ' (killed)'}  ", style=style)
        keys.append("\nA number kills a node's agent (kill -9) or revives it; l: a link; q: quit.")
        for line in self._said[-3:]:
            keys.append(f"\n{line}", style="dim")
        return keys


@contextmanager
def _keys() -> "Generator[asyncio.Queue[str]]":
    """Take single keys while the terminal is one."""
    pressed: asyncio.Queue[str] = asyncio.Queue()
    if not sys.stdin.isatty():
        yield pressed
        return
    loop, number = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)

    def read() -> None:
        # A terminal that is gone reads as an endless nothing: that is a Ctrl-D.
        pressed.put_nowait(os.read(number, 1).decode(errors="replace") or "\x04")

    loop.add_reader(number, read)
    try:
        yield pressed
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _cancel_on_signals() -> None:
    # SIGINT does the same by asyncio's own doing; SIGHUP is a terminal that was closed.
    if task := asyncio.current_task():
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _reporter(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(f"· {line}", style="dim", highlight=False, soft_wrap=True)
