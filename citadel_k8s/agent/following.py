"""A channel that is listened to for ever, however often it is lost."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, Protocol

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import CitadelError
from citadel_k8s.telemetry.log import RepeatLog, get_logger

PAUSE_FIRST: Final = 1.0
"""Seconds before a lost channel is tried again. Source: the wire contract."""

PAUSE_MAX: Final = 300.0
"""Longest base of a pause before it is tried again, in seconds. Source: the wire contract; what
is said on a channel is a courtesy."""

PROVED_SECONDS: Final = 30.0
"""Seconds that a channel must have lasted for its next pause to be short again: a server that
accepts and closes would else be asked every second."""

ERROR_MAX: Final = 512
"""Characters kept of what was wrong: one line."""

log = get_logger("agent")


class Channel(Protocol):
    """A channel on which a message is heard by whoever listens at that moment."""

    @property
    def name(self) -> str:
        """Name of the channel."""
        ...

    async def listen(self, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        """Hand on each message until the connection is lost; raises `StreamError` then."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


async def follow(
    channel: Channel,
    heard: Callable[[bytes], Awaitable[None]],
    *,
    clock: Clock,
    jitter: Callable[[], float] = random.random,
) -> NoReturn:
    """Listen for ever; a channel that is lost is told once in a while, and tried again."""
    backoff = Backoff(PAUSE_FIRST, PAUSE_MAX, jitter=jitter)
    trouble = RepeatLog(log, "channel_lost", clock=clock)
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            await channel.listen(heard)
        except CitadelError as error:
            reason = str(error)
        except Exception as error:
            # Whatever it was, a channel is tried again and silences nothing else.
            log.exception("channel_failed")
            reason = type(error).__name__
        if loop.time() - began >= PROVED_SECONDS:
            backoff.reset()
            trouble.recovered()
        trouble.failed(channel=channel.name, error=clip(reason, ERROR_MAX))
        await asyncio.sleep(backoff.pause())
