"""Small texts by key, with an end: the status of a job, the wish to cancel it."""

from dataclasses import dataclass
from typing import Final

from citadel_k8s.stores.relay import Relay, judged

ABSENT: Final = -2
"""Time to live of what is not there. Source: Redis, and the wire contract after it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What lies under a key: ``value`` is None if nothing does; ``ttl`` in seconds, -1 for ever."""

    value: str | None
    ttl: int


class KeyValues:
    """Reads and writes; each call raises `StreamError` if Redis does not answer."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def get(self, key: str) -> Kept:
        """Give what lies under a key."""
        value, ttl = judged(await self._relay.ask_all([("GET", key), ("TTL", key)]))
        # Between the two it may have gone, or come.
        if value is None or ttl == ABSENT:
            return Kept(None, ABSENT)
        return Kept(value.decode(errors="replace"), int(ttl))

    async def put(self, key: str, value: str, ttl: int | None) -> None:
        """Lay a text under a key, for so many seconds; None is for ever."""
        # A lone surrogate, which JSON can spell, has no UTF-8.
        content = value.encode(errors="replace")
        end = () if ttl is None else ("EX", ttl)
        await self._relay.ask("SET", key, content, *end)

    async def delete(self, key: str) -> bool:
        """Take away what lies under a key; say whether something did."""
        return int(await self._relay.ask("DEL", key)) > 0
