"""Status entries that no worker could take: kept whole, with the reason, until somebody acts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.constants import STATUS_LETTERS, STATUS_LETTERS_MAXLEN
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import WireError
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection
from citadel_k8s.stores.entries import Entry, EntryId

DETAIL_MAX: Final = 300
"""Characters kept of what is wrong with an entry."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An entry that could not be taken.

    Attributes
    ----------
    entry
        As it lay in the stream, id and all.
    epoch
        The stream's epoch of then.
    reason, detail
        A CamelCase word, and a sentence.
    id
        Its own id among the letters; empty before it is kept.
    """

    entry: Entry
    epoch: int
    reason: str
    detail: str
    id: str = ""


class StatusLetters:
    """The stream of dead letters."""

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        stream: str = STATUS_LETTERS,
        max_length: int = STATUS_LETTERS_MAXLEN,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self.stream = stream
        self._max_length = max_length
        self._server = RedisConnection(
            url,
            purpose=stream,
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis: Any = self._server.redis

    async def append(self, letters: Sequence[Letter]) -> None:
        """Keep letters; StreamError if the server did not take them all."""
        if not letters:
            return
        async with self._server.edge("burying"):
            pipeline: Any = self._redis.pipeline(transaction=False)
            for letter in letters:
                pipeline.xadd(self.stream, _fields(letter), maxlen=self._max_length)
            await pipeline.execute()

    async def list(self, count: int = 100, after: str = "-") -> list[Letter]:
        """Give letters behind one's id, oldest first."""
        start = after if after == "-" else f"({after}"
        async with self._server.edge("listing"):
            rows: Any = await self._redis.xrange(self.stream, start, "+", count)
        return [_letter(key, fields) for key, fields in rows]

    async def get(self, letter_id: str) -> Letter | None:
        """Give one letter, None if there is none of that id."""
        try:
            EntryId.parse(letter_id)
        except WireError:
            return None
        async with self._server.edge("fetching"):
            rows: Any = await self._redis.xrange(self.stream, letter_id, letter_id)
        return _letter(*rows[0]) if rows else None

    async def take(self, ids: Sequence[str]) -> int:
        """Take letters out; give how many were there."""
        if not ids:
            return 0
        async with self._server.edge("taking out"):
            return int(await self._redis.xdel(self.stream, *ids))

    async def count(self) -> int:
        """Give how many there are."""
        async with self._server.edge("counting"):
            return int(await self._redis.xlen(self.stream))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()


def _fields(letter: Letter) -> dict[str, str | bytes]:
    entry = letter.entry
    fields: dict[str, str | bytes] = {
        "id": str(entry.id),
        "epoch": str(letter.epoch),
        "reason": letter.reason,
        "detail": clip(letter.detail, DETAIL_MAX),
        "nodeId": entry.node_id,
        "payload": entry.payload,
    }
    stamps = {"orgId": entry.org_id, "principal": entry.principal}
    return fields | {key: value for key, value in stamps.items() if value is not None}


def _letter(key: bytes, fields: dict[bytes, bytes]) -> Letter:
    plain = fields.get(b"epoch", b"0").decode(errors="replace")
    return Letter(
        entry=Entry.from_fields(_entry_id(fields.get(b"id", b"")), fields),
        epoch=int(plain) if plain.isdecimal() else 0,
        reason=fields.get(b"reason", b"").decode(errors="replace"),
        detail=fields.get(b"detail", b"").decode(errors="replace"),
        id=key.decode(),
    )


def _entry_id(text: bytes) -> EntryId:
    try:
        return EntryId.parse(text)
    except WireError:
        return EntryId.ZERO
