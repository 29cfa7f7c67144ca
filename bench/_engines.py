"""Fake engines in a process of their own: ``python -m bench._engines COUNT``.

Each serves what was recorded of a busy vLLM. The first line of output has their ports; the page
``/asked`` of the first one gives how often all were asked for their metrics.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from citadel_k8s.errors import StackError
from citadel_k8s.local.charge import Charge, spawn
from tests.fake_engines import FakeEngine, fake_engines, says, vllm


@dataclass(frozen=True)
class Engines:
    """Engines that run."""

    charge: Charge
    ports: list[int]

    def settings(self) -> list[dict[str, str]]:
        """Give them as the agent's settings name them."""
        return [
            {"name": f"vllm-{port}", "engine": "vllm", "url": f"http://127.0.0.1:{port}"}
            for port in self.ports
        ]

    async def asked(self) -> int:
        """Give how often all of them were asked for their metrics."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.ports[0]}/asked") as answer,
        ):
            return int(await answer.text())


@asynccontextmanager
async def engines(folder: Path, count: int) -> AsyncIterator[Engines]:
    """Run engines in another process."""
    log = folder / "engines.log"
    charge = await spawn([sys.executable, "-m", "bench._engines", str(count)], log)
    try:
        yield Engines(charge, await _ports(charge))
    finally:
        await charge.kill()


async def _ports(charge: Charge) -> list[int]:
    for _ in range(400):
        if "\n" in (text := charge.log_path.read_text()):
            return [int(port) for port in json.loads(text.partition("\n")[0])]
        await asyncio.sleep(0.05)
    raise StackError(f"the engines did not start: {charge.tail()}")


async def _serve(count: int) -> None:
    async with fake_engines(*[vllm()] * count) as running:

        async def tell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(says(str(_asked(running)), Connection="close"))
            await writer.drain()

        running[0].pages["/asked"] = tell
        print(json.dumps([engine.port for engine in running]), flush=True)
        await asyncio.Event().wait()


def _asked(running: list[FakeEngine]) -> int:
    return sum(engine.asked.count("GET /metrics") for engine in running)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
