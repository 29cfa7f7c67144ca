"""Runs the operator until it is told to stop."""

import asyncio
import os
import signal

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.operator.stores import Stores
from citadel_k8s.operator.wiring import Operator
from citadel_k8s.telemetry.log import configure, get_logger
from citadel_k8s.telemetry.probes import serve

_log = get_logger("operator")


async def run(settings: OperatorSettings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises
    ------
    ConfigError
        If Redis or the API server is not configured. Either being away is no error: the operator
        waits for it, and says so.
    """
    configure(settings.log_level, settings.log_format)
    stores = Stores.open(settings)
    if settings.kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(settings.kubeconfig)  # where kopf looks for it
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    api = await KubeClient.connect(settings.kubeconfig)
    try:
        await _until(stop, settings, Operator(settings, api, stores))
    finally:
        await stores.close()
        await api.close()


async def _until(stop: asyncio.Event, settings: OperatorSettings, operator: Operator) -> None:
    host, port = settings.listen_host, settings.listen_port
    runner = await serve(operator.probes, operator.metrics, host, port, logger="operator")
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(operator.run(), name="operator")
            await stop.wait()
            _log.info("stopping")
            running.cancel()
    finally:
        await operator.end()
        await runner.cleanup()
