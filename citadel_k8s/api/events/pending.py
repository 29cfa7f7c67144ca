"""What one client has still to be sent: at most one message per node, in an order that can be cut.

Messages leave in the order of their ids, and whatever was merged stands where its newest part
stood. So the id of the last message that a client got says all that it got, however it was cut
off, and it goes on from there with nothing lost and nothing twice.

A node is sent at most once a second. Everything waits for the node that must wait the longest,
because what leaves late must not be overtaken; that is never longer than a second after the last
time that anything left.
"""

import math
from collections.abc import Callable
from typing import Final

from citadel_k8s.api.events.messages import Message, merge
from citadel_k8s.stores.entries import EntryId

HOLD: Final = 1.0
"""Seconds between two messages of one node to one client. Source: the control plane's design."""

GAP: Final = 0.25
"""Seconds between two writes to one client: four a second instead of one for each of a fleet's
messages, which a person does not tell apart; a quarter of the time that a message may take."""

EVENTS_MAX: Final = 256
"""Events that wait for one client: they are never merged, and a client that is as far behind is
better told everything anew."""

NODES_MAX: Final = 20_000
"""Nodes whose messages wait for one client: twice the largest fleet."""


def everything(_message: Message) -> bool:
    """Let every message through."""
    return True


class Pending:
    """The messages that wait for one client.

    Parameters
    ----------
    position : EntryId
        The client has everything up to this id.
    wanted : callable
        Whether the client asked for a message.

    Attributes
    ----------
    position
        The newest id that was offered, wanted or not.
    overflowed
        Too much waits: nothing does any more, and the client has to begin anew.
    """

    def __init__(
        self,
        position: EntryId,
        *,
        wanted: Callable[[Message], bool] = everything,
        hold: float = HOLD,
        gap: float = GAP,
        events_max: int = EVENTS_MAX,
        nodes_max: int = NODES_MAX,
    ) -> None:
        self.position = position
        self.overflowed = False
        self._wanted = wanted
        self._hold, self._gap = hold, gap
        self._events_max, self._nodes_max = events_max, nodes_max
        self._waiting: dict[str | EntryId, Message] = {}
        self._went: dict[str, Message] = {}
        self._events = 0
        self._sent: dict[str, float] = {}
        self._due = -math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def due(self) -> float | None:
        """The moment at which what waits may leave; None if nothing waits."""
        return self._due if self._waiting else None

    def offer(self, message: Message) -> None:
        """Take a message of the stream; one that the client has already is passed over."""
        if message.id is None or message.id <= self.position or self.overflowed:
            return
        self.position = message.id
        if not self._wanted(message):
            return
        if message.kind == "event":
            self._waiting[message.id] = message
            self._events += 1
        else:
            self._replace(message)
        if self._events > self._events_max or len(self._waiting) > self._nodes_max:
            self.overflowed = True
            self._waiting, self._went, self._sent = {}, {}, {}

    def take(self, now: float) -> list[Message]:
        """Give all that waits, oldest id first; it has been sent then."""
        taken: list[Message] = []
        # Those that were sent a second ago need not be remembered.
        self._sent = {node: at for node, at in self._sent.items() if now - at < self._hold}
        for message in self._waiting.values():
            if message.kind == "event":
                taken.append(message)
                continue
            if gone := self._went.get(message.node):
                # No place to go on from: its second half is still to come.
                taken.append(gone.unmarked())
            taken.append(message)
            self._sent[message.node] = now
        self._waiting, self._went, self._events = {}, {}, 0
        self._due = now + self._gap
        return taken

    def _replace(self, message: Message) -> None:
        node = message.node
        before = self._waiting.pop(node, None)
        if message.kind == "gone":
            self._went.pop(node, None)
        elif before is not None and before.kind == "gone":
            # A node that came back has nothing of the one that went.
            self._went[node] = before
        elif before is not None:
            message = merge(before, message)
        self._waiting[node] = message
        if (sent := self._sent.get(node)) is not None:
            self._due = max(self._due, sent + self._hold)
