"""Record a real run in a terminal as one animated SVG: docs/recordings/terminal.svg.

The demo runs in this process, a shell runs in a terminal in memory, and what is typed into it are
the real commands. Pauses are shortened; the caption says what happened and how long it took. Needs
the Kubernetes programs, as the demo does, and two minutes.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from citadel_k8s.domain.keys import object_name
from citadel_k8s.local.check import ONLINE_TIMEOUT
from citadel_k8s.local.demo import POLICY, Demo, DemoNode, Options
from tools.recording_svg import Frame, svg
from tools.recording_terminal import Terminal

OUT: Final = Path(__file__).parents[1] / "docs" / "recordings" / "terminal.svg"
"""Where the recording goes."""

SIZE: Final = (120, 20)
"""Columns and rows: kubectl's table of the demo has 117 columns while a node is Offline."""

NODES: Final = 4
"""Simulated nodes: with their GPUs they fill the terminal and no more."""

LONGEST: Final = 1.6
"""Seconds that a frame is shown at the most, unless it is held on purpose."""

SHORTEST: Final = 0.08
"""Seconds that a frame is shown at the least: what changed faster is one frame."""

MAX_BYTES: Final = 500_000
"""Largest recording, in bytes: it is part of a page that people open."""


class Recorder:
    """Takes a frame whenever the screen is another."""

    def __init__(self, terminal: Terminal) -> None:
        self.frames: list[Frame] = []
        self.caption = ""
        self._terminal = terminal
        self._since = 0.0

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(SHORTEST)
            self.look()

    def look(self, hold: float = 0.0) -> None:
        """Look now; what is seen is held for so many seconds."""
        now = asyncio.get_running_loop().time()
        seen = Frame(self._terminal.lines(), self._terminal.cursor(), self.caption)
        if self.frames and seen.same(self.frames[-1]):
            self.frames[-1].seconds = max(self.frames[-1].seconds, hold)
        else:
            if self.frames:
                last = self.frames[-1]
                last.seconds = max(last.seconds, min(LONGEST, now - self._since))
            self.frames.append(seen)
            seen.seconds = hold
            self._since = now

    def say(self, caption: str, hold: float = 1.6) -> None:
        """Change the caption and give time to read it."""
        self.caption = caption
        self.look(hold)


async def story(demo: Demo, terminal: Terminal, recorder: Recorder) -> None:
    """Type what a person types, and do to a node what befalls nodes."""
    loop = asyncio.get_running_loop()
    victim = demo.nodes[-1]
    recorder.say("A cluster with GPU nodes that report to it. (Pauses are shortened.)", 1.2)
    await terminal.type("kubectl get fnode -w\n")
    await _until(lambda: _shows(terminal, victim, "Online"), 10)
    recorder.say("One line for each node: what it has, what it serves.", 3.0)

    await demo.kill(victim)
    killed = loop.time()
    recorder.say(
        f"Now {victim.name} dies: kill -9. After {POLICY.timeout:g} s of silence it is Offline.",
        2.5,
    )
    await _until(lambda: _shows(terminal, victim, "Offline"), POLICY.timeout + 10)
    recorder.say(f"{loop.time() - killed:.0f} s later: Offline, and no other node is blamed.", 4.0)

    await demo.revive(victim)
    revived = loop.time()
    recorder.say("It comes back.", 1.6)
    await _until(lambda: _last(terminal, victim) == "Online", ONLINE_TIMEOUT)
    recorder.say(f"{loop.time() - revived:.0f} s later: Online, and serving.", 3.0)

    await terminal.type("\x03")
    await terminal.type("clear\n")
    recorder.say("And live, every GPU:", 0.8)
    await terminal.type("kubectl fabric top\n")
    await _until(lambda: any("°C" in line for line in terminal.text()), 20)
    await asyncio.sleep(6)
    recorder.say("Sorted by utilization with one key, filtered with /.", 2.0)
    await terminal.type("u")
    await asyncio.sleep(3)
    await terminal.type("/h100\n", pause=0.25)
    await asyncio.sleep(3)
    recorder.look(4.0)
    await terminal.type("q")


async def record() -> list[Frame]:
    """Run it all and give the frames."""
    async with Demo(Options(nodes=NODES, host_agent=False), _report) as demo:
        await _until(lambda: _all_online(demo), ONLINE_TIMEOUT)
        async with _shell(demo) as terminal:
            recorder = Recorder(terminal)
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(recorder.run(), name="look")
                await story(demo, terminal, recorder)
                looking.cancel()
            return recorder.frames


@contextlib.asynccontextmanager
async def _shell(demo: Demo) -> AsyncGenerator[Terminal]:
    """Give a shell in which ``kubectl`` and ``kubectl fabric`` are those of this checkout."""
    with tempfile.TemporaryDirectory(prefix="citadel-k8s-recording-") as folder:
        programs = Path(folder)
        (programs / "kubectl").symlink_to(demo.stack.kubectl)
        (programs / "kubectl-fabric").symlink_to(Path(sys.executable).parent / "kubectl-fabric")
        _, _, session = (await demo.control.session()).partition("=")
        env = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "HOME": folder,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "PS1": "$ ",
            "KUBECONFIG": str(demo.stack.kubeconfig),
            "CITADEL_API_URL": demo.control.url,
            "CITADEL_API_TOKEN": session,
        }
        words = ["bash", "--norc", "--noprofile", "--noediting"]
        async with Terminal.open(words, env, SIZE) as terminal:
            yield terminal


async def _until(found: Callable[[], bool | Awaitable[bool]], timeout: float) -> None:
    async with asyncio.timeout(timeout):
        while True:
            answer = found()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.1)


async def _all_online(demo: Demo) -> bool:
    states = [raw.get("status", {}).get("state") for raw in await demo.objects()]
    return len(states) == len(demo.nodes) and set(states) == {"Online"}


def _shows(terminal: Terminal, node: DemoNode, state: str) -> bool:
    name = object_name(node.name)
    return any(line.split()[:2] == [name, state] for line in terminal.text())


def _last(terminal: Terminal, node: DemoNode) -> str | None:
    """Give the state that a watch told last of a node."""
    rows = [line.split() for line in terminal.text()]
    told = [row[1] for row in rows if len(row) > 1 and row[0] == object_name(node.name)]
    return told[-1] if told else None


def _report(line: str) -> None:
    print(f"· {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Record and write."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    frames = asyncio.run(record())
    document = svg(frames, SIZE)
    if len(document.encode()) > MAX_BYTES:
        print(f"{len(document.encode())} bytes; at most {MAX_BYTES}", file=sys.stderr)
        return 1
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(document)
    seconds = sum(frame.seconds for frame in frames)
    print(f"{os.path.relpath(out)}: {len(frames)} frames, {seconds:.0f} s, {len(document)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
