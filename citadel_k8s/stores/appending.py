"""Appends to streams and speaks on channels on behalf of nodes."""

from collections.abc import Mapping

from citadel_k8s.errors import StreamError
from citadel_k8s.stores.relay import Relay


class Appender:
    """Writes once, and never again by itself: a repeated XADD would be a second heartbeat."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def append(self, stream: str, fields: Mapping[str, str], max_length: int) -> str:
        """Append an entry and give its id.

        Parameters
        ----------
        stream : str
            Key in Redis.
        max_length : int
            Approximate length to which the stream is trimmed, in entries.

        Raises
        ------
        StreamError
            If it is not known to be in the stream.
        """
        pairs = [part.encode(errors="replace") for pair in fields.items() for part in pair]
        answer: bytes = await self._relay.ask(
            "XADD", stream, "MAXLEN", "~", max_length, "*", *pairs
        )
        if not isinstance(answer, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise StreamError(f"{stream}: the answer to XADD is no id")
        return answer.decode()

    async def publish(self, channel: str, message: bytes) -> int:
        """Say something on a channel; give how many connections heard it."""
        return int(await self._relay.ask("PUBLISH", channel, message))
