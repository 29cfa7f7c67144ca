"""A message of an org's stream: read once, written down once, shared by all who are sent it.

What a client does with the messages of one node, one after another, is the rule by which two of
them become one while it cannot take them (`merge`): a message that names a state says all of the
state, so that a reason which it leaves out is no more; of everything else what is left out stays
as it was. ``gone`` forgets the node.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast

import pydantic_core

from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgfeed import FeedEntry

DELTA_MAX: Final = 64 * 1024
"""Longest delta that is passed on, in bytes: one with its profile has under 2 kB."""

ID_MAX: Final = 256
"""Longest name of a node that is passed on, in characters: four times what a node id may have."""

Kind: TypeAlias = Literal["snapshot", "node", "gone", "event", "time", "reset"]

DELTAS: Final = frozenset({"node", "gone", "event"})
"""The kinds that lie in the stream; the others are of the connection."""

_RESET_DATA: Final = b'{"reason":"missed"}'


@dataclass(slots=True)
class Message:
    """One message. ``id`` is None where it marks no place to go on from.

    Attributes
    ----------
    node
        Which node's it is; empty for those of the connection.
    data
        JSON text in one line.
    keys
        What a ``node`` message has, at its top.
    """

    kind: Kind
    data: bytes
    id: EntryId | None = None
    node: str = ""
    keys: frozenset[str] = frozenset()
    _sse: bytes | None = field(default=None, repr=False)
    _text: bytes | None = field(default=None, repr=False)

    @property
    def sse(self) -> bytes:
        """The message as an event of `text/event-stream`; made once."""
        if self._sse is None:
            mark = b"" if self.id is None else b"id: %s\n" % str(self.id).encode()
            kind = self.kind.encode()
            self._sse = b"%sevent: %s\ndata: %s\n\n" % (mark, kind, self.data)
        return self._sse

    @property
    def text(self) -> bytes:
        """The message as the text of a WebSocket frame; made once."""
        if self._text is None:
            mark = b"" if self.id is None else b'"id":"%s",' % str(self.id).encode()
            kind = self.kind.encode()
            self._text = b'{"type":"%s",%s"data":%s}' % (kind, mark, self.data)
        return self._text

    def unmarked(self) -> "Message":
        """Give the same message as one that marks no place."""
        return Message(self.kind, self.data, None, self.node, self.keys)


def reset() -> Message:
    """Give the message that says: forget all rows, what follows begins anew."""
    return Message("reset", _RESET_DATA)


def read(entry: FeedEntry) -> Message | None:
    """Give the message that lies in an entry; None if there is none that a client could use."""
    if not 0 < len(entry.data) <= DELTA_MAX:
        return None
    try:
        document: Any = pydantic_core.from_json(entry.data, allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    delta = cast("dict[str, Any]", document)
    kind, node = delta.get("type"), delta.get("id")
    if not isinstance(kind, str) or kind not in DELTAS:
        return None
    if not isinstance(node, str) or not 0 < len(node) <= ID_MAX:
        return None
    data = entry.data
    if None in delta.values() or b"\n" in data or b"\r" in data:
        # A line break would end the event in the middle, and null would undo what stays.
        delta = {key: value for key, value in delta.items() if value is not None}
        data = pydantic_core.to_json(delta)
    return Message(cast("Kind", kind), data, entry.id, node, frozenset(delta))


def merge(old: Message, new: Message) -> Message:
    """Give the one message that does to a row what two ``node`` messages do one after another."""
    missing = old.keys - new.keys
    if "state" in new.keys:
        missing -= {"reason"}
    if not missing:
        return new
    before: dict[str, Any] = pydantic_core.from_json(old.data)
    after: dict[str, Any] = pydantic_core.from_json(new.data)
    merged = {**{key: before[key] for key in before if key in missing}, **after}
    return Message("node", pydantic_core.to_json(merged), new.id, new.node, frozenset(merged))
