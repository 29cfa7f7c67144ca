"""Wires the operator together and runs it until it is told to stop."""

import asyncio
import os
import signal
from typing import Final

from aiohttp import web

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.config import OperatorSettings
from citadel_k8s.domain.liveness import Liveness, Policy
from citadel_k8s.errors import ConfigError, KubeError
from citadel_k8s.operator.edge import Watcher
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.projector import Projector
from citadel_k8s.operator.reader import Reader
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.operator.scheduler import Scheduler
from citadel_k8s.operator.server import Probes, application
from citadel_k8s.operator.sweep import Sweep, retry_delay
from citadel_k8s.stores.streams import RedisStatusStream
from citadel_k8s.telemetry.log import RepeatLog, configure, get_logger

_log = get_logger("operator")

SHUTDOWN_TIMEOUT: Final = 0.5
"""Seconds that an answer under way gets when the operator ends; aiohttp's own is 60."""

HINTS: Final = {
    401: "; the token or certificate in the kubeconfig is not taken",
    403: "; the account lacks rights: apply manifests/rbac.yaml",
    404: "; the definition is not installed: apply manifests/crds",
}
"""What to do when objects cannot be listed, by HTTP status."""


async def run(settings: OperatorSettings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises
    ------
    ConfigError
        If Redis or the API server is not configured. Either being away is no error: the operator
        waits for it, and says so.
    """
    configure(settings.log_level, settings.log_format)
    if settings.redis_url is None:
        raise ConfigError("the operator needs redisUrl (--redis-url or CITADEL__REDIS_URL)")
    if settings.kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(settings.kubeconfig)  # where kopf looks for it
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    api = await KubeClient.connect(settings.kubeconfig)
    password = settings.redis_password.get_secret_value() if settings.redis_password else None
    stream = RedisStatusStream(
        settings.redis_url, username=settings.redis_username, password=password
    )
    try:
        await _Operator(settings, api, stream).run(stop)
    finally:
        await stream.close()
        await api.close()


class _Operator:
    def __init__(
        self, settings: OperatorSettings, api: KubeClient, stream: RedisStatusStream
    ) -> None:
        policy = Policy(*settings.heartbeat)
        clock = SystemClock()
        self.settings = settings
        self.metrics = OperatorMetrics()
        self.registry = Registry(clock, policy, settings.org_id, self._tell)
        self.metrics.watch(self.registry.nodes)
        self.reader = Reader(stream, self.registry, clock, self.metrics)
        self.scheduler = Scheduler(self.registry, self.reader, clock, self.metrics)
        self.projector = Projector(api, self.registry, clock, self.metrics)
        self.sweep = Sweep(api, self.registry, clock, settings.node_label_selector)
        self.watcher = Watcher(
            self.registry, clock, self._restore, settings.node_label_selector, self.sweep.soon
        )
        self.probes = Probes(self.scheduler, self.reader, self._trouble_with_objects, clock)
        self._cannot_list: str | None = "not listed yet"
        self._untold: dict[str, Liveness] = {}

    async def run(self, stop: asyncio.Event) -> None:
        runner = await self._serve()
        try:
            async with asyncio.TaskGroup() as group:
                # It ticks while others still wait for their servers: the process is well.
                ticks = group.create_task(self.scheduler.run(), name="scheduler")
                work = group.create_task(self._work(), name="work")
                await stop.wait()
                _log.info("stopping")
                work.cancel()
                ticks.cancel()
        finally:
            await runner.cleanup()

    async def _work(self) -> None:
        """Restore, read to the head, then judge and write: in this order, or a restart lies."""
        await self._restore()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.watcher.run(), name="watcher")
            group.create_task(self.reader.run(), name="reader")
            await self.reader.first_proof.wait()
            self._tell_what_is_new()
            group.create_task(self.projector.run(), name="projector")
            group.create_task(self.sweep.run(), name="sweep")

    async def _restore(self) -> None:
        trouble = RepeatLog(_log, "cannot_list_objects")
        while True:
            try:
                await self.sweep.once()
            except KubeError as error:
                self._cannot_list = f"{error}{HINTS.get(error.status, '')}"
                trouble.failed(error=self._cannot_list)
                await asyncio.sleep(retry_delay(error))
            else:
                self._cannot_list = None
                trouble.recovered()
                _log.info("restored", objects=sum(1 for _ in self.registry.objects()))
                return

    async def _serve(self) -> web.AppRunner:
        runner = web.AppRunner(
            application(self.probes, self.metrics),
            access_log=None,
            shutdown_timeout=SHUTDOWN_TIMEOUT,
        )
        await runner.setup()
        host, port = self.settings.listen_host, self.settings.listen_port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        _log.info("serving", addresses=[list(address[:2]) for address in runner.addresses])
        return runner

    def _trouble_with_objects(self) -> str | None:
        return (
            self._cannot_list
            or self.watcher.trouble
            or self.projector.trouble
            or self.sweep.trouble
        )

    def _tell_what_is_new(self) -> None:
        """Tell what the stream's history came to; its steps were told by the operator before."""
        for node_id, before in list(self._untold.items()):
            record = self.registry.nodes.get(node_id)
            if record is not None and record.live.state is not before.state:
                self._tell(record, before)
        self._untold.clear()

    def _tell(self, record: NodeRecord, before: Liveness) -> None:
        before = self._untold.pop(record.node_id, before)
        if not self.reader.caught_up:
            self._untold[record.node_id] = before
            return
        live = record.live
        self.metrics.moved(live.state, live.reason)
        _log.info(
            "transition",
            node=record.node_id,
            before=before.state,
            state=live.state,
            reason=live.reason,
            message=live.message,
        )
