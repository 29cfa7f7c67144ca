"""Sentinels and clusters, made of real servers on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.ports import LOOPBACK, Port
from citadel_k8s.local.valkey import find_server

PASSWORD = "between-friends"
DEADLINE = 40.0


class Server:
    """One server program with the settings that its kind needs."""

    def __init__(self, folder: Path, name: str, lines: list[str], words: list[str]) -> None:
        self._port = Port()
        self.port = self._port.number
        self._folder = folder / name
        self._lines, self._words = lines, words
        self.charge: Charge | None = None

    async def start(self) -> None:
        self._folder.mkdir()
        config = self._folder / "server.conf"
        own = [f"bind {LOOPBACK}", f"port {self.port}", f"dir {self._folder}", *self._lines]
        config.write_text("\n".join(own) + "\n")
        log = self._folder / "log"
        self.charge = await spawn([find_server(), config, *self._words], log, cwd=self._folder)
        await self.charge.ready(self._answers, timeout=10, poll=0.02)

    async def ask(self, *words: str | int) -> bytes:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            for line in ((b"AUTH", PASSWORD.encode()), tuple(str(w).encode() for w in words)):
                writer.write(b"*%d\r\n" % len(line))
                writer.writelines(b"$%d\r\n%s\r\n" % (len(word), word) for word in line)
            await reader.readline()
            return await reader.readline()
        finally:
            writer.close()

    async def _answers(self) -> bool:
        try:
            return (await self.ask("PING")).startswith(b"+PONG")
        except OSError:
            return False

    async def end(self) -> None:
        if self.charge is not None and self.charge.running:
            await self.charge.kill()
        self._port.release()


@asynccontextmanager
async def running(*servers: Server) -> AsyncIterator[None]:
    try:
        for server in servers:
            await server.start()
        yield
    finally:
        for server in servers:
            await server.end()


@asynccontextmanager
async def redis_cluster(folder: Path) -> AsyncIterator[str]:
    """Run three servers that are one cluster; give its URL."""
    lines = [
        "cluster-enabled yes",
        "cluster-config-file nodes.conf",
        f"requirepass {PASSWORD}",
        f"masterauth {PASSWORD}",
        'save ""',
    ]
    servers = [Server(folder, f"node{n}", lines, []) for n in range(3)]
    async with running(*servers):
        bounds = [(0, 5461), (5462, 10922), (10923, 16383)]
        for server, (first, last) in zip(servers, bounds, strict=True):
            await server.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in servers[1:]:
            await servers[0].ask("CLUSTER", "MEET", LOOPBACK, server.port)
        await _whole(servers)
        hosts = ",".join(f"{LOOPBACK}:{server.port}" for server in servers)
        yield f"redis+cluster://:{PASSWORD}@{hosts}"


async def _whole(servers: list[Server]) -> None:
    """Wait until each member takes writes for any key: its own, or elsewhere."""
    async with asyncio.timeout(DEADLINE):
        for server in servers:
            while b"CLUSTERDOWN" in await server.ask("SET", "any", "thing"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
