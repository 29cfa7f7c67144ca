"""When a node's last heartbeats arrived: what is kept of each, and what its clock is by them."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

ARRIVALS_KEPT: Final = 60
"""Arrivals kept of a node: half an hour at the usual interval, what a strip of a page shows."""

CLOCK_ARRIVALS: Final = 5
"""Newest arrivals by which a clock is judged: one alone may have been on its way for long, and
older ones are from before somebody set it."""

_FIELDS_MAX: Final = 3
_DIGITS_MAX: Final = 20


class Arrival(NamedTuple):
    """One heartbeat's arrival.

    Attributes
    ----------
    ms
        When it came into the stream, in milliseconds by the stream's clock.
    seq
        The sender's own count; None if it does not count.
    offset_ms
        What its own clock said when it spoke, less ``ms``; None if it named no moment.
    """

    ms: int
    seq: int | None = None
    offset_ms: int | None = None

    def text(self) -> str:
        """Give it as it is kept: ``ms seq offset``, what is not known left empty."""
        seq = "" if self.seq is None else self.seq
        offset = "" if self.offset_ms is None else self.offset_ms
        return f"{self.ms} {seq} {offset}"


def read_arrivals(texts: Iterable[bytes]) -> list[Arrival]:
    """Give arrivals by their moment, each once, at most as many as are kept; oddities left out.

    One that was told twice, since nobody knew whether it had been, is one.
    """
    found = {one for text in texts if (one := _read(text)) is not None}
    return sorted(found, key=lambda one: (one.ms, one.seq or 0))[-ARRIVALS_KEPT:]


def skew_seconds(arrivals: Sequence[Arrival]) -> float | None:
    """Give by how much a node's clock is ahead of the stream's; None if that is not known.

    What lay somewhere before it came makes a clock seem late, and nothing makes it seem early: the
    largest of the newest offsets is the one that was delayed least.
    """
    offsets = [one.offset_ms for one in arrivals[-CLOCK_ARRIVALS:] if one.offset_ms is not None]
    return max(offsets) / 1000 if offsets else None


def _read(text: bytes) -> Arrival | None:
    fields = text.split(b" ")
    if len(fields) != _FIELDS_MAX or any(len(field) > _DIGITS_MAX for field in fields):
        return None
    try:
        ms, seq, offset = (int(field) if field else None for field in fields)
    except ValueError:
        return None
    return None if ms is None else Arrival(ms, seq, offset)
