"""The agent process: wiring, start and end."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

from citadel_k8s.agent.board import Board
from citadel_k8s.agent.heartbeat import GOODBYE_TIMEOUT, Heartbeat
from citadel_k8s.agent.http import StatusServer
from citadel_k8s.agent.identity import speaker_of
from citadel_k8s.agent.sources import COLLECT_INTERVAL, SourceLoop
from citadel_k8s.agent.vitals import Vitals
from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.aio.outbox import Outbox
from citadel_k8s.collectors.base import Collector
from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.collectors.fake import FakeEngines, FakeGpus
from citadel_k8s.collectors.remote import FileCollectors, nvml_collector
from citadel_k8s.config import AgentSettings
from citadel_k8s.domain.keys import heartbeat_phase
from citadel_k8s.domain.report import Moment
from citadel_k8s.errors import ConfigError, PublishError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.readings import Engine, Gpus, Host
from citadel_k8s.models.wire import StatusMessage
from citadel_k8s.publishers.base import Publisher
from citadel_k8s.publishers.redis import RedisPublisher
from citadel_k8s.telemetry.agent_metrics import AgentMetrics, Exposed
from citadel_k8s.telemetry.log import RepeatLog, configure, get_logger

CLOSE_SECONDS: Final = 1.5
"""Seconds that sources and connections are given to close, after the goodbye."""

EXIT_SECONDS: Final = 4.5
"""Seconds after the signal at which the process ends whatever still hangs, such as a name lookup
in a thread. The promise is five."""

_LEAD: Final = 1.0
"""Seconds by which a reading precedes the heartbeat that carries it."""

log = get_logger("agent")


@dataclass(frozen=True, slots=True)
class Collectors:
    """Where the readings come from."""

    host: Collector[Host]
    gpus: Collector[Gpus]
    engines: Collector[tuple[Engine, ...]]


async def run(settings: AgentSettings) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Raises
    ------
    ConfigError
        If the settings do not fit together, or the HTTP address cannot be listened on.
    """
    configure(settings.log_level, settings.log_format)
    clock = SystemClock()
    agent = Agent(
        settings,
        collectors_of(settings, clock),
        publisher_of(settings, clock),
        clock=clock,
    )
    await agent.run(_stop_signal())


async def collect_once(settings: AgentSettings) -> StatusMessage:
    """Read every source once and give the message that an agent would send."""
    clock = SystemClock()
    agent = Agent(settings, collectors_of(settings, clock), None, clock=clock)
    return await agent.once()


class Agent:
    """One node's agent.

    Parameters
    ----------
    settings : AgentSettings
        What to do.
    collectors : Collectors
        Where the readings come from; closed at the end.
    publisher : Publisher or None
        Where the heartbeats go; closed at the end. None: nowhere.
    clock : Clock
        The machine's clocks.
    """

    def __init__(
        self,
        settings: AgentSettings,
        collectors: Collectors,
        publisher: Publisher | None,
        *,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._started = clock.monotonic()
        self._publisher = publisher
        self._trouble = RepeatLog(log, "publish_failed", clock=clock)
        speaker = speaker_of(settings, gpu_source=collectors.gpus.name)
        self.board = Board(speaker, self._moment)
        self._sources = self._source_loops(collectors)
        self._outbox: Outbox[StatusMessage] | None = None
        self._heartbeat: Heartbeat | None = None
        self._vitals = Vitals()
        if publisher is not None:
            self._wire_heartbeat(publisher)
        metrics = AgentMetrics(self._exposed)
        self._server = StatusServer(self.board, self._vitals, metrics, self._refresh)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then say goodbye and close everything."""
        try:
            await self._serve()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(job(), name=name) for name, job in self._jobs().items()]
                await stop.wait()
                for task in tasks:
                    task.cancel()
            await self._goodbye()
        finally:
            await self._close()

    async def once(self) -> StatusMessage:
        """Read every source once, close everything and give the message."""
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(source.read(), name=f"read {source.name}")
            return self.board.message()
        finally:
            await self._close()

    async def _serve(self) -> None:
        settings = self._settings
        host, number = settings.listen_host, settings.listen_port
        try:
            port = await self._server.start(host, number)
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{number}: {error.strerror}") from error
        self.board.speaker = replace(self.board.speaker, status_port=port)
        log.info(
            "agent_started",
            node_id=self.board.speaker.node_id,
            boot_id=self.board.speaker.boot_id,
            interval_seconds=settings.interval_seconds,
            host=host,
            port=port,
            publish=self._vitals.transport,
        )

    def _jobs(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        jobs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            f"collect {source.name}": source.run for source in self._sources
        }
        jobs["watch loop"] = self._vitals.watch_loop
        if self._heartbeat is not None and self._outbox is not None:
            jobs["heartbeat"] = self._heartbeat.run
            jobs["confirm"] = self._heartbeat.confirm
            jobs["outbox"] = self._outbox.run
        return jobs

    def _source_loops(self, collectors: Collectors) -> tuple[SourceLoop[Any], ...]:
        interval = self._settings.interval_seconds
        # A whole number of readings to a heartbeat, the last one just before it.
        every = interval / ceil(interval / COLLECT_INTERVAL)
        phase = heartbeat_phase(self.board.speaker.node_id, interval) - _LEAD
        board = self.board
        return (
            SourceLoop(collectors.host, board.learn_host, interval=every, phase=phase),
            SourceLoop(collectors.gpus, board.learn_gpus, interval=every, phase=phase),
            SourceLoop(collectors.engines, board.learn_engines, interval=every, phase=phase),
        )

    def _wire_heartbeat(self, publisher: Publisher) -> None:
        outbox: Outbox[StatusMessage] = Outbox(
            self._published(publisher),
            errors=(PublishError,),
            clock=self._clock,
            # After an outage a reader waits one and a half intervals before silence counts.
            longest_pause=self._settings.interval_seconds,
        )
        heartbeat = Heartbeat(self.board, outbox, self._sources[2].refresh)
        self._outbox = outbox
        self._heartbeat = heartbeat
        self._vitals = Vitals(
            lambda: outbox.freshness,
            lambda: outbox.waiting,
            lambda: heartbeat.seq,
            transport=publisher.transport,
        )

    def _published(
        self, publisher: Publisher
    ) -> Callable[[StatusMessage], Coroutine[Any, Any, None]]:
        async def send(message: StatusMessage) -> None:
            # The envelope tells when it was sent; an outage may have kept it, and a reader would
            # take its age for a clock that is off.
            sent = format_timestamp(self._clock.now())
            try:
                await publisher.publish(message.model_copy(update={"timestamp": sent}))
            except PublishError as error:
                self._trouble.failed(error=str(error))
                raise
            self._trouble.recovered()

        return send

    async def _refresh(self) -> None:
        async with asyncio.TaskGroup() as group:
            for source in self._sources:
                group.create_task(source.refresh(), name=f"refresh {source.name}")

    async def _goodbye(self) -> None:
        if self._heartbeat is None or self._outbox is None:
            return
        said = await self._outbox.send_now(self._heartbeat.goodbye(), GOODBYE_TIMEOUT)
        log.info("goodbye", said=said, error=self._outbox.freshness.last_error)

    async def _close(self) -> None:
        closers = [self._server.close, *(source.close for source in self._sources)]
        if self._publisher is not None:
            closers.append(self._publisher.close)
        async with asyncio.TaskGroup() as group:
            for close in closers:
                group.create_task(_closed(close), name="close")

    def _moment(self) -> Moment:
        now = self._clock.monotonic()
        return Moment(date=self._clock.now(), monotonic=now, uptime=now - self._started)

    def _exposed(self) -> Exposed:
        return Exposed(
            speaker=self.board.speaker,
            snapshot=self.board.snapshot,
            moment=self._moment(),
            freshness=self._vitals.freshness,
            transport=self._vitals.transport,
            waiting=self._vitals.waiting,
            loop_lag=self._vitals.loop_lag,
        )


async def _closed(close: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await close()
    except TimeoutError:
        log.warning("close_timeout", seconds=CLOSE_SECONDS)
    except Exception:
        # The others are closed all the same, and the end is not held up.
        log.exception("close_failed")


def collectors_of(settings: AgentSettings, clock: Clock) -> Collectors:
    """Give the sources that the settings ask for.

    Raises
    ------
    ConfigError
        If a pretended GPU is of no known kind.
    """
    host = FileCollectors(settings.host_root, clock=clock).host
    if settings.fake_gpu is not None:
        name = speaker_of(settings, gpu_source="").node_name
        return Collectors(
            host,
            FakeGpus(settings.fake_gpu, name, clock),
            FakeEngines(settings.fake_gpu, name, clock),
        )
    engines = EngineCollector(settings.engines, discover=settings.discover_engines)
    return Collectors(host, nvml_collector(settings.host_root, clock=clock), engines)


def publisher_of(settings: AgentSettings, clock: Clock) -> Publisher | None:
    """Give the way out that the settings ask for; None for none.

    Raises
    ------
    ConfigError
        If Redis is to be written to and no URL is given, or one that cannot be understood.
    """
    if settings.publish == "none":
        return None
    if settings.redis_url is None:
        raise ConfigError("publish is redis, but redisUrl is not set; set it, or publish: none")
    password = settings.redis_password
    return RedisPublisher(
        settings.redis_url,
        username=settings.redis_username,
        password=None if password is None else password.get_secret_value(),
        stream_max_length=settings.stream_max_length,
        org_id=settings.org_id,
        on_channel=_channel_log(clock),
    )


def _channel_log(clock: Clock) -> Callable[[str | None], None]:
    trouble = RepeatLog(get_logger("agent"), "announce_failed", clock=clock)

    def told(error: str | None) -> None:
        if error is None:
            trouble.recovered()
        else:
            trouble.failed(error=error)

    return told


def _stop_signal() -> asyncio.Event:
    """Give an event that is set by the first SIGTERM or SIGINT, which also bounds the end."""
    stop = asyncio.Event()

    def stopping() -> None:
        if not stop.is_set():
            stop.set()
            last_resort = threading.Timer(EXIT_SECONDS, os._exit, [0])
            last_resort.daemon = True
            last_resort.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping)
    return stop
