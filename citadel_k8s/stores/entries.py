"""What a status stream is made of, and what a reader needs of one; knows no server."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from typing_extensions import override

from citadel_k8s.errors import WireError

_ENTRY_ID: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_ID_PART_MAX: Final = 2**64 - 1
"""Largest value of either half of an entry id. Source: the Redis streams documentation."""

DEFAULT_COUNT: Final = 500
"""Entries asked for at once: 500 of 6 kB are 3 MB, read in about 10 ms, so that a backlog of
10,000 is worked off without holding up anything else."""

DEFAULT_BLOCK: Final = 2.0
"""Seconds that a read waits for entries: long enough to cost nothing, short enough that a reader
notices its own end."""


class _Halves(NamedTuple):
    ms: int
    seq: int


class EntryId(_Halves):
    """The id of an entry: milliseconds of the server's clock, and a count within them."""

    __slots__ = ()
    ZERO: ClassVar["EntryId"]

    @classmethod
    def parse(cls, text: str | bytes) -> "EntryId":
        """Read ``ms-seq``.

        Raises
        ------
        WireError
            With reason ``BadEntryId``.
        """
        plain = text.decode(errors="replace") if isinstance(text, bytes) else text
        match = _ENTRY_ID.fullmatch(plain)
        if match is None or max(int(match[1]), int(match[2])) > _ID_PART_MAX:
            raise WireError("BadEntryId", "id", f"{plain[:80]!r} is not <ms>-<seq>")
        return cls(int(match[1]), int(match[2]))

    @override
    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


EntryId.ZERO = EntryId(0, 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it lies there; whether it means anything is the reader's to judge.

    A field that is missing is empty (``node_id``, ``payload``) or None (``org_id``,
    ``principal``); bytes that are not UTF-8 become U+FFFD, which no node id has.
    """

    id: EntryId
    node_id: str
    payload: bytes
    org_id: str | None = None
    principal: str | None = None

    @classmethod
    def from_fields(cls, entry_id: EntryId, fields: Mapping[bytes, bytes]) -> "Entry":
        """Pick out of an entry's fields what is known."""
        return cls(
            id=entry_id,
            node_id=_text(fields.get(b"nodeId")) or "",
            payload=fields.get(b"payload", b""),
            org_id=_text(fields.get(b"orgId")),
            principal=_text(fields.get(b"principal")),
        )


@dataclass(frozen=True, slots=True)
class StreamHead:
    """Where the stream stands: last id ever given, the server's clock (ms), entries in it.

    ``added`` counts the entries that it ever got, those trimmed since among them; None where a
    server does not count.
    """

    last_id: EntryId
    now_ms: int
    length: int
    added: int | None = None


class StatusStream(Protocol):
    """A stream of status messages and, beside it, small hashes for a reader's own state.

    Every call raises `StreamError` when the server is away, silent, loading or refuses; the
    same object works again once the server does.
    """

    async def read(
        self, after: EntryId, *, count: int = DEFAULT_COUNT, block: float = DEFAULT_BLOCK
    ) -> list[Entry]:
        """Give the entries after an id, oldest first, at most ``count``.

        Waits up to ``block`` seconds for the first one; 0 does not wait. Empty if none came.
        """
        ...

    async def head(self) -> StreamHead:
        """Give the end of the stream and the server's clock, both of one moment.

        A stream that does not exist has the last id ``EntryId.ZERO`` and length 0.
        """
        ...

    async def append(self, node_id: str, payload: bytes) -> EntryId:
        """Add an entry with the fields ``nodeId``, ``timestamp`` and ``payload``."""
        ...

    async def trim(self, older_than_ms: int) -> int:
        """Drop the entries whose id is below ``older_than_ms``, a moment of the server's clock.

        Returns how many went.
        """
        ...

    async def load_snapshot(self, name: str) -> dict[str, bytes]:
        """Give all fields of a hash; empty if there is none."""
        ...

    async def save_snapshot(
        self, name: str, fields: Mapping[str, bytes], *, removed: Collection[str] = ()
    ) -> int:
        """Set and remove fields of a hash, all or nothing; others stay as they are.

        Returns how many it has then: fewer than the caller knows of were lost with the server.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
