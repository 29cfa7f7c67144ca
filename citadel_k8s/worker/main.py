"""Runs the worker until it is told to stop."""

import asyncio
import signal

from citadel_k8s.config.server import WorkerSettings
from citadel_k8s.telemetry.log import configure
from citadel_k8s.telemetry.probes import serve
from citadel_k8s.worker.connections import Connections
from citadel_k8s.worker.wiring import Worker


async def run(settings: WorkerSettings) -> None:
    """Run the worker until SIGTERM or SIGINT.

    Raises
    ------
    ConfigError
        If Redis or PostgreSQL is not configured, or the port is taken. Either being away is no
        error: the worker waits for it, and says so.
    """
    configure(settings.log_level, settings.log_format)
    connections = Connections.open(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        worker = Worker(settings, connections)
        host, port = settings.listen_host, settings.listen_port
        runner = await serve(worker.probes, worker.metrics, host, port, logger="worker")
        try:
            await worker.run(stop)
        finally:
            await runner.cleanup()
    finally:
        await connections.close()
