"""The newest messages of an org's stream: whoever was away briefly goes on from here."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from citadel_k8s.api.events.messages import Message
from citadel_k8s.constants import ORG_STREAM_MAXLEN
from citadel_k8s.stores.entries import EntryId

RING_MAX: Final = ORG_STREAM_MAXLEN + 1000
"""Messages kept: the whole of a stream, which is trimmed in blocks; about 5 MB of an org."""


class Ring:
    """A run of messages without a gap.

    Parameters
    ----------
    start : EntryId
        An id of the stream. The ring holds everything after it.

    Attributes
    ----------
    start, end
        The ring holds everything after the one and up to the other.
    """

    def __init__(self, start: EntryId, *, size: int = RING_MAX) -> None:
        self.start = start
        self.end = start
        self._size = size
        self._messages: deque[tuple[EntryId, Message | None]] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def append(self, entry_id: EntryId, message: Message | None) -> None:
        """Take the next entry; None for one that says nothing, which still is a place."""
        self._messages.append((entry_id, message))
        self.end = entry_id
        while len(self._messages) > self._size:
            self.start = self._messages.popleft()[0]

    def prepend(self, start: EntryId, older: Sequence[tuple[EntryId, Message | None]]) -> bool:
        """Take what lies between an id and the start; False if that is too much to keep."""
        if len(self._messages) + len(older) > self._size:
            return False
        self._messages.extendleft(reversed(older))
        self.start = start
        return True

    def reaches(self, after: EntryId) -> bool:
        """Say whether everything after an id is here."""
        return self.start <= after

    def has(self, entry_id: EntryId) -> bool:
        """Say whether an id is one of this very run, which its size alone does not prove."""
        if entry_id in (self.start, self.end):
            return True
        return any(held == entry_id for held, _ in reversed(self._messages))

    def after(self, after: EntryId) -> Iterator[Message]:
        """Give the messages after an id, oldest first."""
        return (message for held, message in self._messages if held > after and message)
