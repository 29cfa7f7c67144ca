"""Asking a fleet from a command: an event loop, and an end on Ctrl-C."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from citadel_k8s.cli.fabric.options import Place
from citadel_k8s.cli.fabric.source import opened
from citadel_k8s.clients.fleet import FleetSource

T = TypeVar("T")


def ask(
    place: Place,
    question: Callable[[FleetSource], Awaitable[T]],
    *,
    deadline: float | None = None,
) -> T:
    """Open the fleet of a place, ask it something, and give the answer.

    Raises
    ------
    TimeoutError
        A deadline, in seconds, passed; without one each question has its own.
    """

    async def run() -> T:
        async with asyncio.timeout(deadline), opened(place) as source:
            return await question(source)

    return asyncio.run(run())
