"""What was revoked, told to every replica at once; without Redis they find out by themselves."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn, Protocol

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import CitadelError, StreamError
from citadel_k8s.telemetry.log import RepeatLog, get_logger

CHANNEL: Final = "citadel:tokens:revoked"
"""Channel in Redis. A message is a hint to look again: whoever can write there can make replicas
ask PostgreSQL more often, and nothing else."""

RETRY: Final = (1.0, 30.0)
"""Seconds of the first and of the longest pause between attempts to listen."""

STEADY: Final = 60.0
"""Seconds for which a connection must have stood for the pauses to begin anew."""

log = get_logger("api")


class Channel(Protocol):
    """A channel on which something is said once, to whoever listens then."""

    async def listen(self, heard: Callable[[bytes], Any]) -> NoReturn:
        """Hand on each message until the connection is lost."""
        ...

    async def say(self, data: bytes) -> None:
        """Say something; raises `StreamError` if nobody takes it."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class Revocations:
    """Tells others, and forgets here, what is no longer to be believed.

    Parameters
    ----------
    channel : Channel or None
        None without Redis: then only this replica is told.
    forget : callable
        Forgets the credentials that were kept.
    clock : Clock
        Measures how long a connection stood.
    """

    def __init__(
        self, channel: Channel | None, forget: Callable[[], None], *, clock: Clock
    ) -> None:
        self._channel = channel
        self._forget = forget
        self._clock = clock
        self.heard = False
        """Whether all that others revoke is told here at once."""

    async def tell(self, what: str) -> None:
        """Forget here and say it to the others; never raises: they look again within 30 s.

        Parameters
        ----------
        what : str
            What was changed, such as ``token:<uuid>``; for whoever watches the channel.
        """
        self._forget()
        if self._channel is None:
            return
        try:
            await self._channel.say(json.dumps({"revoked": what}).encode())
        except StreamError as error:
            log.warning("revocation_not_told", error=str(error))

    async def run(self) -> None:
        """Listen for ever; what was missed while not listening is made good by forgetting."""
        if self._channel is None:
            return
        backoff = Backoff(*RETRY)
        trouble = RepeatLog(log, "revocations_unheard", clock=self._clock)
        while True:
            began = self._clock.monotonic()
            self._forget()
            try:
                self.heard = True
                await self._channel.listen(self._hear)
            except CitadelError as error:
                trouble.failed(error=str(error))
            finally:
                self.heard = False
            if self._clock.monotonic() - began > STEADY:
                backoff.reset()
                trouble.recovered()
            await asyncio.sleep(backoff.pause())

    async def close(self) -> None:
        """Let go of the connections; never raises."""
        if self._channel is not None:
            with suppress(CitadelError):
                await self._channel.close()

    async def _hear(self, _data: bytes) -> None:
        # All of it: a list of what is kept is filled again by one indexed look for each.
        self._forget()
