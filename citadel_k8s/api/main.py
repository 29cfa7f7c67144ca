"""Runs the API until it is told to stop."""

import asyncio
import resource
import signal
from typing import Final

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.wiring import Api
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.telemetry.log import configure, get_logger

_log = get_logger("api")

SPARE_FILES: Final = 256
"""Open files for other things than connections: the database's, Redis', nodes that are asked."""


async def run(settings: ApiSettings) -> None:
    """Run the API until SIGTERM or SIGINT.

    Raises
    ------
    ConfigError
        If a setting is missing or cannot be used. PostgreSQL or Redis being away is no error: the
        API waits for them, and says so.
    """
    configure(settings.log_level, settings.log_format)
    _raise_limit(settings.limits.connections + SPARE_FILES)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    api = await Api.build(settings, SystemClock())
    try:
        await api.start()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(api.run(), name="api")
            await stop.wait()
            _log.info("stopping")
            await api.stop()
            running.cancel()
    finally:
        await api.stop()
        await api.close()


def _raise_limit(files: int) -> None:
    """Allow as many open files as are needed and may be had: the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < files:
        _log.warning("few_open_files", allowed=wanted, wanted=files)
