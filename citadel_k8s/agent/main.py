"""The agent process: wiring, start and end."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, Final

from citadel_k8s.agent.board import Board
from citadel_k8s.agent.collecting import Collecting
from citadel_k8s.agent.heartbeat import GOODBYE_TIMEOUT, Heartbeat
from citadel_k8s.agent.http import StatusServer
from citadel_k8s.agent.identity import speaker_of
from citadel_k8s.agent.keeping import keep
from citadel_k8s.agent.nodesettings import NodeConfig
from citadel_k8s.agent.state import State
from citadel_k8s.agent.vitals import Vitals
from citadel_k8s.agent.wiring import (
    Collectors,
    access_of,
    collectors_of,
    configuration_of,
    publisher_of,
    rivals_of,
)
from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.aio.outbox import Outbox
from citadel_k8s.aio.periodic import Ticker
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.known import state_of
from citadel_k8s.domain.report import Moment, Speaker
from citadel_k8s.errors import ConfigError, PublishError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.wire import CollectorInfo, StatusMessage
from citadel_k8s.publishers.api import ApiPublisher
from citadel_k8s.publishers.base import Publisher
from citadel_k8s.telemetry.agent_metrics import AgentMetrics, Exposed
from citadel_k8s.telemetry.log import RepeatLog, configure, get_logger

STOP_SECONDS: Final = 0.75
"""Seconds that the jobs are given to end before the goodbye: the longest closes a WebSocket."""

LONGEST_PAUSE: Final = 30.0
"""Longest pause of the way out, in seconds, if heartbeats are not closer than that."""

DIRECT_PAUSES: Final = 6
"""Longest pauses in an interval, where no quota counts the attempts: with 30 % of them lost, 147
living nodes in 200 days of one are silent for a whole timeout at one pause in an interval, and 7
at six (simulated)."""

CLOSE_SECONDS: Final = 1.5
"""Seconds that sources and connections are given to close, after the goodbye."""

MARK_SECONDS: Final = 30.0
"""Seconds between two writings of the marker, if heartbeats are not closer than that: it is thought
to be old after three minutes."""

EXIT_SECONDS: Final = 4.5
"""Seconds after the signal at which the process ends whatever still hangs, such as a name lookup
in a thread. The promise is five."""

RATE_SECONDS: Final = 1.0
"""Seconds between the two looks of whoever does not wait for the next: rates of less are chance."""

GARBAGE_OBJECTS: Final = 20_000
"""New objects after which garbage is looked for: those of two messages, 2 MiB at most."""

log = get_logger("agent")


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


async def collect_once(settings: AgentSettings, *, rates_over: float = 0.0) -> StatusMessage:
    """Read every source and give the message that an agent would send.

    With ``rates_over`` they are read twice, so many seconds apart.
    """
    clock = SystemClock()
    agent = Agent(settings, collectors_of(settings, clock), None, clock=clock, read_only=True)
    return await agent.once(rates_over)


async def collect_again(
    settings: AgentSettings, every: float, show: Callable[[StatusMessage], None]
) -> None:
    """Read every source again and again, so many seconds apart, and show each message, for ever."""
    clock = SystemClock()
    agent = Agent(settings, collectors_of(settings, clock), None, clock=clock, read_only=True)
    await agent.again(every, show)


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
    read_only : bool
        Leave the state folder as it is: another agent may be using it.
    """

    def __init__(
        self,
        settings: AgentSettings,
        collectors: Collectors,
        publisher: Publisher | None,
        *,
        clock: Clock,
        read_only: bool = False,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._started = clock.monotonic()
        self._collectors = collectors
        self._publisher = publisher
        self._trouble = RepeatLog(log, "publish_failed", clock=clock)
        speaker = speaker_of(settings, gpu_source=collectors.gpus.name)
        self._state = State(settings.state_folder, speaker.node_id, read_only=read_only)
        self._configuration = configuration_of(settings, publisher, self._state, clock)
        config = self._configuration.current
        self.board = Board(_told_as(speaker, config), self._moment)
        self.board.config = lambda: self._configuration.info
        self._rivals = rivals_of(settings, publisher, lambda: self.board.speaker, clock)
        self.board.notices = lambda: (*self._rivals.notices(), *_notices(collectors))
        collectors.configure(config.engines, config.services)
        self._collecting = Collecting(collectors, self.board)
        self._outbox: Outbox[StatusMessage] | None = None
        self._heartbeat: Heartbeat | None = None
        self._vitals = Vitals()
        if publisher is not None:
            self._wire_heartbeat(publisher)
        self._configuration.on_applied(self._apply)
        self._access = access_of(settings)
        metrics = AgentMetrics(self._exposed, dcgm=settings.dcgm_metrics)
        self._server = StatusServer(
            self.board, self._vitals, metrics, self._collecting.refresh, self._access
        )
        if isinstance(publisher, ApiPublisher):
            publisher.answer(self._server.status_body)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then say goodbye and close everything."""
        try:
            await self._serve()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(keep(job, name, clock=self._clock), name=name)
                    for name, job in self._jobs().items()
                ]
                await stop.wait()
                for task in tasks:
                    task.cancel()
                # Before the group is left: what does not end must not cost the last word.
                await asyncio.wait(tasks, timeout=STOP_SECONDS)
                await self._goodbye()
        finally:
            await self._close()

    async def once(self, rates_over: float = 0.0) -> StatusMessage:
        """Read every source, close everything and give the message; see `collect_once`."""
        try:
            await self._collecting.read()
            if rates_over:
                await asyncio.sleep(rates_over)
                await self._collecting.look()
            return self.board.message()
        finally:
            await self._close()

    async def again(self, every: float, show: Callable[[StatusMessage], None]) -> None:
        """Read every source again and again and show each message; close everything at the end."""
        try:
            await self._collecting.read()
            pause = min(every, RATE_SECONDS)
            while True:
                await asyncio.sleep(pause)
                await self._collecting.look()
                show(self.board.message())
                pause = every
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
        # What was loaded stays for good, and a message is some thousand objects: the collector of
        # garbage need neither walk the one nor run many times for the other.
        gc.freeze()
        gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
        log.info(
            "agent_started",
            node_id=self.board.speaker.node_id,
            boot_id=self.board.speaker.boot_id,
            interval_seconds=self.board.speaker.interval_seconds,
            host=host,
            port=port,
            publish=self._vitals.transport,
        )

    def _jobs(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        jobs = self._collecting.jobs()
        jobs["watch loop"] = self._vitals.watch_loop
        jobs["configuration"] = self._configuration.run
        jobs["rivals"] = self._rivals.run
        if self._collectors.canaries is not None:
            jobs["canaries"] = self._collectors.canaries
        jobs["certificates"] = self._access.keep_fresh
        if isinstance(self._publisher, ApiPublisher):
            jobs["websocket"] = self._publisher.run
        if self._settings.state_folder is not None:
            jobs["state"] = self._keep_state
        if self._heartbeat is not None and self._outbox is not None:
            jobs["heartbeat"] = self._heartbeat.run
            jobs["confirm"] = self._heartbeat.confirm
            jobs["outbox"] = self._outbox.run
        return jobs

    def _apply(self, config: NodeConfig) -> None:
        """Take a change from afar, and tell at once which revision holds."""
        self.board.speaker = _told_as(self.board.speaker, config)
        self._collectors.configure(config.engines, config.services)
        self._collecting.reconfigured()
        if self._heartbeat is not None and self._outbox is not None:
            self._outbox.limit_pause(self._longest_pause())
            self._heartbeat.retime()

    def _longest_pause(self) -> float:
        # After an outage a reader waits one and a half intervals before silence counts.
        interval = self.board.speaker.interval_seconds
        # The API's quota is that of a day: an outage must not spend it.
        metered = isinstance(self._publisher, ApiPublisher)
        return min(LONGEST_PAUSE, interval if metered else interval / DIRECT_PAUSES)

    def _wire_heartbeat(self, publisher: Publisher) -> None:
        # There is but one way to Redis; that to the API is told by each heartbeat that went it.
        if not isinstance(publisher, ApiPublisher):
            self.board.speaker = replace(self.board.speaker, transport=publisher.transport)
        outbox: Outbox[StatusMessage] = Outbox(
            self._published(publisher),
            errors=(PublishError,),
            clock=self._clock,
            longest_pause=self._longest_pause(),
        )
        heartbeat = Heartbeat(self.board, outbox, self._collecting.refresh_engines)
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
            if isinstance(publisher, ApiPublisher):
                speaker = replace(self.board.speaker, transport=publisher.pubsub_transport)
                self.board.speaker = speaker

        return send

    async def _keep_state(self) -> None:
        """Keep the freshness marker on the node, and what a full disk did not take, for ever."""
        ticker = Ticker(min(MARK_SECONDS, self._settings.interval_seconds))
        while True:
            if self._outbox is not None:
                await self._state.mark(self._outbox.freshness)
            await self._configuration.save_again()
            await ticker.wait()

    async def _goodbye(self) -> None:
        if self._heartbeat is None or self._outbox is None:
            return
        try:
            said = await self._outbox.send_now(self._heartbeat.goodbye(), GOODBYE_TIMEOUT)
        except Exception:
            # Everything is closed all the same.
            log.exception("goodbye_failed")
        else:
            log.info("goodbye", said=said, error=self._outbox.freshness.last_error)

    async def _close(self) -> None:
        closers = [self._server.close, self._configuration.close, self._rivals.close]
        closers += self._collecting.closers()
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
            config=self.board.config(),
        )


def _told_as(speaker: Speaker, config: NodeConfig) -> Speaker:
    """Give the speaker with what a configuration says of it."""
    return replace(
        speaker,
        tags=config.tags,
        display_name=config.display_name,
        interval_seconds=config.interval_seconds,
    )


def _notices(collectors: Collectors) -> Iterator[CollectorInfo]:
    for name, outcome in collectors.problems():
        state, reason = state_of(outcome)
        yield CollectorInfo(name=name, state=state, reason=reason, message=clip(outcome.message))


async def _closed(close: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await close()
    except TimeoutError:
        log.warning("close_timeout", seconds=CLOSE_SECONDS)
    except Exception:
        # The others are closed all the same, and the end is not held up.
        log.exception("close_failed")


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
