"""A fleet that a test makes up, and a source that tells it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from citadel_k8s.clients.fleet import Change, FleetError


def row(
    name: str, gpus: int = 8, *, state: str = "Online", util: int | None = 40, **more: Any
) -> dict[str, Any]:
    kinds = [{"model": "NVIDIA H100 80GB HBM3", "count": gpus}]
    profile = {"name": name, "gpus": kinds, "models": ["org/llama-3-70b", "qwen"]}
    pulse = {"gpu": [[util, 50, 0] for _ in range(gpus)]}
    return {"id": name, "state": state, "profile": profile, "pulse": pulse} | more


def detail(gpus: int = 8) -> dict[str, Any]:
    told = [
        {
            "index": index,
            "name": "H100",
            "temperature_celsius": 60 + index,
            "power_watts": 400.4 + index,
            "holders": [{"device": "gpu", "how": "allocated", "pod": f"pod-{index}"}],
        }
        for index in range(gpus)
    ]
    return {"status": {"status": {"gpu": told}}}


class Source:
    """Tells what a test puts into it."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.told: asyncio.Queue[Change | FleetError] = asyncio.Queue()
        self.told.put_nowait(Change("all", rows=rows))
        self.asked: list[str] = []
        self.where = "a test"

    async def nodes(self, asked: Any = None) -> list[dict[str, Any]]:
        return self.rows

    async def node(self, name: str) -> dict[str, Any]:
        self.asked.append(name)
        return detail()

    async def watch(self, what: str = "nodes") -> AsyncGenerator[Change]:
        while True:
            change = await self.told.get()
            if isinstance(change, FleetError):
                raise change
            yield change
