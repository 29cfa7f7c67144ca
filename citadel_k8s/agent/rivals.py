"""Listening for a second agent of the same name, and telling of it.

Agents say their boot id on a channel of their node id, where nothing else is said: an agent may
not read statuses, its own included.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from citadel_k8s.agent.following import Channel, follow
from citadel_k8s.aio.clock import Clock
from citadel_k8s.aio.periodic import Ticker
from citadel_k8s.constants import HEARTBEAT_INTERVAL
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.report import Speaker
from citadel_k8s.domain.rivals import Rival, hear, still
from citadel_k8s.errors import CitadelError
from citadel_k8s.models.wire import CollectorInfo
from citadel_k8s.telemetry.log import get_logger

SOURCE: Final = "identity"
"""Name under which a rival is told among the sources."""

WORD_MAX: Final = 1024
"""Bytes of a message on the channel that is looked at: a boot id has 36."""

log = get_logger("agent")


class SpokenChannel(Channel, Protocol):
    """A channel that can be spoken on, too."""

    async def say(self, data: bytes) -> None:
        """Say something to whoever listens; raises `StreamError` if nobody takes it."""
        ...


class RivalWatch:
    """Knows whether another agent speaks for this node.

    Parameters
    ----------
    speaker : callable
        Gives who this agent is.
    channel : SpokenChannel or None
        Where agents of this node id hear of each other; closed by `close`.
    clock : Clock
        Measures how long a rival speaks.
    """

    def __init__(
        self, speaker: Callable[[], Speaker], channel: SpokenChannel | None, *, clock: Clock
    ) -> None:
        self._speaker = speaker
        self._channel = channel
        self._clock = clock
        self._rival: Rival | None = None
        self._told = False

    async def run(self) -> None:
        """Say who this is and hear who else there is, for ever."""
        if self._channel is None:
            return
        async with asyncio.TaskGroup() as group:
            following = follow(self._channel, self._heard, clock=self._clock)
            group.create_task(following, name="presence")
            group.create_task(self._say(self._channel), name="say presence")

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take what an agent of this node id said: its presence, or a whole status."""
        boot_id = message.get("bootId")
        now = self._clock.monotonic()
        speaker = self._speaker()
        self._rival = hear(
            still(self._rival, interval=speaker.interval_seconds, now=now),
            boot_id=clip(boot_id, 64) if isinstance(boot_id, str) else None,
            own=speaker.boot_id,
            goodbye=bool(message.get("goodbye")),
            now=now,
            interval=message.get("intervalSeconds"),
        )
        self._tell_once()

    def notices(self) -> tuple[CollectorInfo, ...]:
        """Give what a heartbeat tells of a rival; nothing if none is proven."""
        rival = self._proven()
        if rival is None:
            return ()
        message = (
            f"another agent (boot id {rival.boot_id}) speaks for node id "
            f"{self._speaker().node_id}; give one of them another nodeName"
        )
        return (
            CollectorInfo(name=SOURCE, state="failed", reason="DuplicateAgent", message=message),
        )

    async def close(self) -> None:
        """Let go of the connections; never raises."""
        if self._channel is not None:
            with suppress(CitadelError):
                await self._channel.close()

    async def _say(self, channel: SpokenChannel) -> None:
        while True:
            speaker = self._speaker()
            word = {"bootId": speaker.boot_id, "intervalSeconds": speaker.interval_seconds}
            # Whoever is not heard now is heard with the next word; the channel tells of trouble.
            with suppress(CitadelError):
                await channel.say(json.dumps(word).encode())
            # Not for longer than usual: the interval may change from afar meanwhile.
            await Ticker(min(HEARTBEAT_INTERVAL, speaker.interval_seconds)).wait()

    async def _heard(self, data: bytes) -> None:
        try:
            message = json.loads(data) if len(data) <= WORD_MAX else None
        except (ValueError, RecursionError):
            return
        if isinstance(message, dict):
            self.hear(message)  # pyright: ignore[reportUnknownArgumentType]

    def _proven(self) -> Rival | None:
        speaker = self._speaker()
        now = self._clock.monotonic()
        self._rival = still(self._rival, interval=speaker.interval_seconds, now=now)
        return self._rival if self._rival is not None and self._rival.proven else None

    def _tell_once(self) -> None:
        rival = self._proven()
        if rival is not None and not self._told:
            log.warning("duplicate_agent", boot_id=rival.boot_id, hint="set another nodeName")
        self._told = rival is not None
