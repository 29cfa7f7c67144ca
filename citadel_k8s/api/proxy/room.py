"""The proxy's room: what its routes share and what runs beside them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.proxy.hub import Hub
from citadel_k8s.api.proxy.live import LiveChannel
from citadel_k8s.api.proxy.rations import Rations
from citadel_k8s.config.base import Settings
from citadel_k8s.errors import ConfigError
from citadel_k8s.stores.appending import Appender
from citadel_k8s.stores.ears import Ears
from citadel_k8s.stores.kv import KeyValues
from citadel_k8s.stores.queues import CLAIM_AFTER, Queues
from citadel_k8s.stores.relay import Relay
from citadel_k8s.stores.streamwatch import StreamWatch
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("api.proxy")


class Room:
    """Four connections to Redis for all nodes of a replica: writes, the rest, channels, queues.

    Parameters
    ----------
    settings : Settings
        Name the server.
    clock : Clock
        What dates dead letters, and spaces what is logged.
    claim_after : float
        Seconds after which an entry that was given is given to another.

    Raises
    ------
    ConfigError
        If no server is named, or its URL is none.
    """

    def __init__(
        self, settings: Settings, clock: Clock, *, claim_after: float = CLAIM_AFTER
    ) -> None:
        if settings.redis_url is None:
            raise ConfigError("redisUrl is not set: the proxy writes to Redis for nodes")
        server: dict[str, Any] = {"url": settings.redis_url, **settings.redis_login}
        self._writes = Relay(purpose="proxy", on_state=_told("writes", clock), **server)
        self.rest = Relay(purpose="proxy", on_state=_told("reads", clock), **server)
        self._ears = Ears(
            on_state=_told("channels", clock),
            on_error=lambda error: _log.error("listener_failed", error=repr(error)),
            **server,
        )
        self._watch = StreamWatch(on_state=_told("queues", clock), **server)
        self.rations = Rations(clock)
        self.appender = Appender(self._writes)
        self.queues = Queues(self.rest, self._watch, clock=clock, claim_after=claim_after)
        self.values = KeyValues(self.rest)
        self.hub = Hub(self._ears)
        self.live = LiveChannel(self.appender, self._ears)

    async def run(self) -> None:
        """Carry, listen and watch for ever."""
        jobs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "proxy writes": self._writes.run,
            "proxy reads": self.rest.run,
            "proxy channels": self._ears.run,
            "proxy queues": self._watch.run,
        }
        async with asyncio.TaskGroup() as group:
            for name, job in jobs.items():
                group.create_task(job(), name=name)


def _told(what: str, clock: Clock) -> Callable[[str | None], None]:
    trouble = RepeatLog(_log, f"proxy_{what}_lost", clock=clock)

    def told(error: str | None) -> None:
        if error is None:
            trouble.recovered()
        else:
            trouble.failed(error=error)

    return told
