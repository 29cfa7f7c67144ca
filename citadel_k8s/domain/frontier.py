"""How far the stream was taken in, from what is seen of it: pure rules over looks at the server.

A look proves what it saw in the order in which it saw it: the server's time first, then the
stream's end, then how far entries were handed out, then which of them nobody has confirmed. What
was there at that time is handed out if the group is at the end, and taken in if it is not pending,
whoever it was handed to.
"""

from typing import Final, NamedTuple

from citadel_k8s.domain.freshness import Ingest

GAP_SECONDS: Final = 5.0
"""Seconds without a look after which the pipe counts as not seen open: five looks of a healthy
worker, and half of the shortest profile's interval. Also how far the server's clock may be off
between two looks before it counts as set."""

TRIM_AGE_SECONDS: Final = 15 * 60
"""Age, in seconds, beyond which an entry that every group has read is dropped. Source: the control
plane's design; ten thousand entries hold only 30 s of 10,000 nodes."""

TRIM_HOLD_SECONDS: Final = 60 * 60
"""Age, in seconds, beyond which an entry goes even if a group has not read it. Until then whoever
reads wins, a reader that is late included; after that the server's memory does, for a group that
somebody left behind would hold every entry for ever."""

Place = tuple[int, int]
"""The two halves of an entry's id."""


class View(NamedTuple):
    """One look at the stream.

    Attributes
    ----------
    now_ms
        The server's time before all else.
    last
        The id that was given last.
    delivered
        The id up to which the group has handed out entries.
    pending
        The oldest entry that was handed out and not confirmed; None if there is none.
    pending_count
        How many there are.
    length
        Entries in the stream.
    waiting
        Entries not handed out; None if the server cannot tell.
    lost
        Entries so far that went before they were handed out; None if the server cannot tell.
    """

    now_ms: int
    last: Place
    delivered: Place
    pending: Place | None
    pending_count: int = 0
    length: int = 0
    waiting: int | None = None
    lost: int | None = None


class Progress(NamedTuple):
    """What is kept of it: `Ingest`, the stream's end, and when somebody looked last."""

    epoch: int
    last: Place
    frontier_ms: int
    clear_since_ms: int
    looked_ms: int

    @property
    def ingest(self) -> Ingest:
        """What ages are counted with."""
        return Ingest(self.frontier_ms, self.clear_since_ms, self.epoch)


def frontier(view: View) -> int:
    """Give the moment up to which everything was taken in, as of a look."""
    # Within one and the same millisecond more may come.
    ahead = view.now_ms - 1
    if view.delivered < view.last:
        ahead = min(ahead, view.delivered[0] - 1)
    if view.pending is not None:
        ahead = min(ahead, view.pending[0] - 1)
    return max(0, ahead)


def advanced(
    kept: Progress | None, view: View, *, before: Progress | None, lost: bool = False
) -> Progress:
    """Give the progress after a look.

    Parameters
    ----------
    kept : Progress or None
        What is kept now; None if nothing is.
    view : View
        What was seen.
    before : Progress or None
        What was kept before the look: only what somebody knew of by then must still be there.
    lost : bool
        Whether entries were lost unread since the last look.
    """
    now = frontier(view)
    if kept is None:
        return Progress(0, view.last, now, view.now_ms, view.now_ms)
    if before is not None and before.epoch == kept.epoch and view.last < before.last:
        return Progress(kept.epoch + 1, view.last, now, view.now_ms, view.now_ms)
    apart = view.now_ms - kept.looked_ms
    gap = abs(apart) > GAP_SECONDS * 1000
    return Progress(
        epoch=kept.epoch,
        last=max(kept.last, view.last),
        frontier_ms=max(kept.frontier_ms, now),
        clear_since_ms=view.now_ms if gap or lost else kept.clear_since_ms,
        looked_ms=view.now_ms if gap else max(kept.looked_ms, view.now_ms),
    )


def trim_below(now_ms: int, unread: list[Place]) -> int:
    """Give the moment below which entries are dropped, in milliseconds.

    Parameters
    ----------
    now_ms : int
        The server's time.
    unread : list of Place
        The oldest entry of each group that it has not read or not confirmed.
    """
    oldest = min((place[0] for place in unread), default=now_ms)
    aged = min(now_ms - TRIM_AGE_SECONDS * 1000, oldest)
    return max(0, aged, now_ms - TRIM_HOLD_SECONDS * 1000)
