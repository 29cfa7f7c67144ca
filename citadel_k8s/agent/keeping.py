"""A job that runs for as long as the agent does, whatever it stumbles over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.telemetry.log import Suppressor, get_logger

RESTART_SECONDS: Final = 5.0
"""Seconds before a job that failed begins again: a defect that one reading sets off is over with
the next, and one that stays costs a traceback now and then."""

log = get_logger("agent")


async def keep(job: Callable[[], Awaitable[None]], name: str, *, clock: Clock) -> None:
    """Run a job to its end, and again after each failure.

    A defect in one part must not take the others along: the node's heartbeats are what tells that
    something is wrong.

    Parameters
    ----------
    job : callable
        What runs; a new run is as good as the first.
    name : str
        What the log calls it.
    clock : Clock
        What measures how long it has been failing.
    """
    failures = Suppressor(clock)
    while True:
        try:
            await job()
        except Exception:
            # A defect in one job must not end the others, the heartbeat least of all.
            if repeat := failures.failed():
                log.exception("job_failed", job=name, count=repeat.count)
        else:
            return
        await asyncio.sleep(RESTART_SECONDS)
