"""Which of two messages of a node is the newer one, and what is left of many.

The same rule stands in the statement that writes a node's row (`stores.postgres.statuses`), where
it decides between workers; a test holds the two together. The sender's time has no part in it.
"""

from typing import Final, NamedTuple

from citadel_k8s.constants import HEARTBEAT_INTERVAL, STALE_INTERVALS
from citadel_k8s.domain.liveness import FORMER_BOOTS_MAX

RETURN_AFTER: Final = STALE_INTERVALS
"""Intervals of silence of the present process after which a former one counts again. A straggler
is long in by then; whoever still speaks is the node's own agent, after a second one was tried out
or after two workers took in the change of processes in the wrong order."""


class Position(NamedTuple):
    """Where a message stands.

    Attributes
    ----------
    epoch, ms, number
        The stream's epoch, and the two halves of the entry's id.
    boot_id, seq
        The process that spoke, and its count of messages; None of a sender that has none.
    """

    epoch: int
    ms: int
    number: int
    boot_id: str | None = None
    seq: int | None = None

    @property
    def place(self) -> tuple[int, int]:
        """The entry's id."""
        return self.ms, self.number


class Standing(NamedTuple):
    """What the next message of a node is held against.

    ``interval`` is in seconds, None if the node names none; ``former`` are the processes before,
    oldest first.
    """

    last: Position
    interval: float | None = None
    former: tuple[str, ...] = ()


def wins(new: Position, old: Standing, *, interval: float = HEARTBEAT_INTERVAL) -> bool:
    """Say whether a message is at least as new as what is known.

    The very same message wins too: it was taken in by somebody who may not have told of it.

    Parameters
    ----------
    new : Position
        The message.
    old : Standing
        What is known.
    interval : float
        That of nodes that name none, in seconds.
    """
    last = old.last
    if new.epoch != last.epoch:
        return new.epoch > last.epoch
    if new.boot_id == last.boot_id:
        if new.seq is None or last.seq is None:
            return new.place >= last.place
        return new.seq > last.seq or (new.seq == last.seq and new.place == last.place)
    if new.place <= last.place:
        return False
    silent = new.ms - last.ms
    patience = RETURN_AFTER * 1000 * (interval if old.interval is None else old.interval)
    return new.boot_id not in old.former or silent >= patience


def followed(new: Position, old: Standing, *, interval: float | None = None) -> Standing:
    """Give what is known after a message that won."""
    if new.boot_id == old.last.boot_id:
        return Standing(new, interval, old.former)
    kept = [boot for boot in old.former if boot not in {new.boot_id, old.last.boot_id}]
    left = [] if old.last.boot_id is None else [old.last.boot_id]
    former = tuple([*kept, *left][-FORMER_BOOTS_MAX:])
    return Standing(new, interval, former)
