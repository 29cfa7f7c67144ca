"""Which parts an agent is made of, by its settings."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from citadel_k8s.agent.access import Access
from citadel_k8s.agent.board import Board
from citadel_k8s.agent.configsources import ConfigQueue, ProxyConfigQueue
from citadel_k8s.agent.configuration import Configuration
from citadel_k8s.agent.following import Channel
from citadel_k8s.agent.identity import speaker_of
from citadel_k8s.agent.rivals import RivalWatch, SpokenChannel
from citadel_k8s.agent.state import State
from citadel_k8s.aio.clock import Clock
from citadel_k8s.collectors.base import Collector
from citadel_k8s.collectors.engines import KNOWN_PORTS, EngineCollector
from citadel_k8s.collectors.fake import FakeEngines, FakeGpus
from citadel_k8s.collectors.fakepods import FakeContainers, FakePods, FakeProcesses
from citadel_k8s.collectors.pods import pod_collector
from citadel_k8s.collectors.remote import FileCollectors, nvml_collector
from citadel_k8s.config.agent import AgentSettings, EngineEndpoint
from citadel_k8s.domain.keys import config_channel, presence_channel
from citadel_k8s.domain.report import Speaker
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.readings import (
    Absent,
    ContainerUsage,
    Engine,
    Failed,
    GpuEvent,
    Gpus,
    Host,
    Listener,
    Pod,
    Pods,
    Processes,
)
from citadel_k8s.publishers.api import ApiPublisher
from citadel_k8s.publishers.base import Publisher
from citadel_k8s.publishers.redis import RedisPublisher
from citadel_k8s.publishers.token import Token, token_file, token_value
from citadel_k8s.stores.channels import RedisChannel
from citadel_k8s.stores.configs import RedisConfigQueue
from citadel_k8s.telemetry.log import RepeatLog, get_logger

log = get_logger("agent")


class Feed:
    """What sources learn from each other: bound to the board once that is there."""

    def __init__(self) -> None:
        self._board: Board | None = None
        self._on_event: Callable[[GpuEvent], None] = lambda _event: None

    def bind(self, board: Board, on_event: Callable[[GpuEvent], None]) -> None:
        """Take the board that knows, and who is told of events."""
        self._board = board
        self._on_event = on_event

    def event(self, event: GpuEvent) -> None:
        """Tell what a driver told by itself."""
        self._on_event(event)

    def listeners(self) -> tuple[Listener, ...]:
        """Give what listens on this node."""
        return () if self._board is None else self._board.listeners()

    def pods(self) -> tuple[Pod, ...]:
        """Give this node's pods."""
        return () if self._board is None else self._board.pods()

    def wanted(self) -> dict[str, list[int]]:
        """Give the processes and ports that are worth a look."""
        pids = () if self._board is None else self._board.gpu_pids()
        return {"pids": list(pids), "ports": list(KNOWN_PORTS)}


@dataclass(frozen=True, slots=True)
class Collectors:
    """Where the readings come from; None where the settings do not want a source.

    ``problems`` gives what was silent beside a reading, ``canaries`` runs beside the collections
    for ever, ``configure`` takes the engines to ask and
    the services that ought to be here.
    """

    host: Collector[Host]
    gpus: Collector[Gpus]
    engines: Collector[tuple[Engine, ...]]
    drm: Collector[Gpus] | None = None
    pods: Collector[Pods] | None = None
    processes: Collector[Processes] | None = None
    containers: Collector[tuple[ContainerUsage, ...]] | None = None
    feed: Feed = field(default_factory=Feed)
    problems: Callable[[], tuple[tuple[str, Absent | Failed], ...]] = tuple
    canaries: Callable[[], Coroutine[Any, Any, None]] | None = None
    configure: Callable[[tuple[EngineEndpoint, ...], tuple[str, ...]], None] = (
        lambda _engines, _expected: None
    )


def collectors_of(settings: AgentSettings, clock: Clock) -> Collectors:
    """Give the sources that the settings ask for.

    Raises
    ------
    ConfigError
        If a pretended GPU is of no known kind.
    """
    feed = Feed()
    files = FileCollectors(settings.host_root, wanted=feed.wanted, clock=clock)
    if settings.fake_gpu is not None:
        name = speaker_of(settings, gpu_source="").node_name
        return Collectors(
            files.host,
            FakeGpus(settings.fake_gpu, name, clock),
            FakeEngines(settings.fake_gpu, name, clock),
            None,
            FakePods(settings.fake_gpu, name),
            FakeProcesses(settings.fake_gpu, name),
            FakeContainers(settings.fake_gpu, name, clock) if settings.container_metrics else None,
        )
    engines = EngineCollector(
        settings.engines,
        discover=settings.discover_engines,
        listeners=feed.listeners,
        pods=feed.pods,
        canary=settings.canary,
        deep_checks=settings.deep_checks,
        clock=clock,
    )
    pods = pod_collector(settings)
    return Collectors(
        files.host,
        nvml_collector(settings.host_root, clock=clock, on_event=feed.event),
        engines,
        files.drm,
        pods,
        files.processes,
        files.containers if settings.container_metrics else None,
        feed,
        lambda: pods.problems,
        engines.run_canary if settings.canary.enabled else None,
        lambda endpoints, expected: engines.configure(endpoints, expected=expected),
    )


def publisher_of(settings: AgentSettings, clock: Clock) -> Publisher | None:
    """Give the way out that the settings ask for; None for none.

    Raises
    ------
    ConfigError
        If what the way needs is not set, or cannot be understood.
    """
    match settings.publish:
        case "none":
            return None
        case "api":
            return _api_publisher(settings, clock)
        case "redis":
            return _redis_publisher(settings, clock)


def configuration_of(
    settings: AgentSettings, publisher: Publisher | None, state: State, clock: Clock
) -> Configuration:
    """Give what listens for configuration; to nothing where the settings do not want it."""
    queue: ConfigQueue | None = None
    channel: Channel | None = None
    node_id = state.node_id
    if settings.configuration == "off":
        # What was told before does not hold either.
        state = State(None, node_id)
    elif isinstance(publisher, ApiPublisher):
        queue = ProxyConfigQueue(publisher.client, node_id)
    elif settings.publish == "redis" and settings.redis_url is not None:
        login = settings.redis_login
        queue = RedisConfigQueue(settings.redis_url, node_id, **login)
        channel = RedisChannel(settings.redis_url, config_channel(node_id), **login)
    return Configuration(settings, node_id, queue=queue, channel=channel, state=state, clock=clock)


def rivals_of(
    settings: AgentSettings,
    publisher: Publisher | None,
    speaker: Callable[[], Speaker],
    clock: Clock,
) -> RivalWatch:
    """Give what listens for a second agent of the same name."""
    channel: SpokenChannel | None = None
    if settings.publish == "redis" and settings.redis_url is not None and publisher is not None:
        name = presence_channel(speaker().node_id)
        channel = RedisChannel(settings.redis_url, name, **settings.redis_login)
    watch = RivalWatch(speaker, channel, clock=clock)
    if isinstance(publisher, ApiPublisher):
        publisher.hear_own(watch.hear)
    return watch


def access_of(settings: AgentSettings) -> Access:
    """Give who may ask the agent.

    Raises
    ------
    ConfigError
        If the files do not fit together or cannot be read.
    """
    return Access(
        token_file=settings.http_token_file,
        cert_file=settings.http_cert_file,
        key_file=settings.http_key_file,
        client_ca_file=settings.http_client_ca_file,
    )


def _redis_publisher(settings: AgentSettings, clock: Clock) -> Publisher:
    if settings.redis_url is None:
        raise ConfigError("publish is redis, but redisUrl is not set; set it, or publish: none")
    return RedisPublisher(
        settings.redis_url,
        stream_max_length=settings.stream_max_length,
        org_id=settings.org_id,
        on_channel=_told(clock, "announce_failed"),
        **settings.redis_login,
    )


def _api_publisher(settings: AgentSettings, clock: Clock) -> Publisher:
    if settings.api_base_url is None:
        raise ConfigError(
            "publish is api, but apiBaseUrl is not set; `citadel-k8s enroll` writes a file of "
            "settings that has it"
        )
    return ApiPublisher(
        settings.api_base_url,
        _token(settings),
        org_id=settings.org_id,
        stream_max_length=settings.stream_max_length,
        clock=clock,
        insecure=settings.api_insecure,
        ca_file=settings.api_ca_file,
        on_channel=_told(clock, "announce_failed"),
        on_socket=_told(clock, "websocket_down"),
        on_refusal=_told(clock, "frame_refused"),
    )


def _token(settings: AgentSettings) -> Token:
    if settings.api_token_file is not None:
        return token_file(settings.api_token_file)
    if settings.api_token is not None:
        return token_value(settings.api_token.get_secret_value())
    raise ConfigError(
        "publish is api, but neither apiTokenFile nor CITADEL__API_TOKEN is set; "
        "`citadel-k8s enroll` gets a token"
    )


def _told(clock: Clock, event: str) -> Callable[[str | None], None]:
    trouble = RepeatLog(log, event, clock=clock)

    def told(error: str | None) -> None:
        if error is None:
            trouble.recovered()
        else:
            trouble.failed(error=error)

    return told
