"""How the stream fares before it is read: an operator remembers first, and that may take long."""

from dataclasses import dataclass
from typing import Protocol


class Reading(Protocol):
    """Who reads the stream; `operator.reader.Reader` does."""

    @property
    def proved_until(self) -> float | None:
        """Monotonic seconds; None before any proof."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why it cannot be read now; None if it can, or was not tried."""
        ...


class Remembering(Protocol):
    """Who has to be done before; `operator.memory.Snapshot` is."""

    @property
    def trouble(self) -> str | None:
        """Why it is not; None if it is, or was not tried."""
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """The reader with what keeps it from beginning, or Redis away at a start would be no trouble.

    Parameters
    ----------
    reader : Reading
        Whose proof counts.
    memory : Remembering
        What comes before it, from the same server.
    """

    reader: Reading
    memory: Remembering

    @property
    def proved_until(self) -> float | None:
        """Moment up to which the stream was read to its end; None before the first."""
        return self.reader.proved_until

    @property
    def trouble(self) -> str | None:
        """Why nothing can be read now; None if it can, as far as is known."""
        if self.reader.trouble is not None or self.reader.proved_until is not None:
            return self.reader.trouble
        return self.memory.trouble
