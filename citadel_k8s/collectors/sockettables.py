"""Reading the tables of listening sockets as often as they are worth it.

The kernel writes the listening sockets first, and then walks its hash of all connections of the
machine for those of this network namespace. In one with few connections that is the whole hash:
4 ms for each of two tables on a machine of 24 GiB. So a table that was read is kept for as many
looks as keep the cost of all of them small, unless there is reason to believe that it has changed.
"""

from __future__ import annotations

import time

from citadel_k8s.collectors.nettables import read_listeners
from citadel_k8s.collectors.procfs import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TypeAlias

    Socket: TypeAlias = tuple[str, int, int]

COST_PER_LOOK: Final = 0.0015
"""Seconds of CPU that all tables together may cost per look: a twentieth of what the agent may
use at its usual pace."""

KEPT_LOOKS_MAX: Final = 20
"""Looks after which a table is read again, whatever it costs: ten minutes at the usual pace."""

EAGER_LOOKS: Final = 40
"""Looks for which a server that does not listen yet is waited for without sparing: the largest
models load for a quarter of an hour, and its first answer should be seen at once."""

_TABLES: Final = ("tcp", "tcp6")


class SocketTables:
    """Gives the listening sockets of network namespaces.

    Parameters
    ----------
    proc : str
        The host's ``/proc``.
    cpu : callable
        Gives the seconds of CPU that this thread has used.
    """

    def __init__(self, proc: str, cpu: Callable[[], float] = time.thread_time) -> None:
        self._proc = proc
        self._cpu = cpu
        self._look = 0
        self._interval = 1
        self._kept: dict[int, _Table] = {}
        self._used: dict[int, _Table] = {}

    def begin(self) -> None:
        """Begin a look."""
        self._look += 1
        total = sum(table.cost for table in self._kept.values())
        self._interval = min(KEPT_LOOKS_MAX, 1 + int(total / COST_PER_LOOK))
        self._used = {}

    def end(self) -> None:
        """Forget the namespaces that this look did not ask for."""
        self._kept = self._used

    def of(
        self, network: int, pid: int, marks: list[tuple[int, int]], awaited: frozenset[int]
    ) -> list[Socket]:
        """Give the sockets of one namespace.

        Parameters
        ----------
        network : int
            The namespace.
        pid : int
            A process in it.
        marks : list
            Its known processes; others than before may listen elsewhere.
        awaited : frozenset of int
            Ports of which one should be listened on; empty if none is expected.
        """
        table = self._kept.get(network)
        if table is None or table.marks != marks:
            table = _Table(marks, self._look)
        self._used[network] = table
        # Namespaces that began together take turns.
        due = (self._look + network) % self._interval == 0
        young = self._look - table.since < EAGER_LOOKS
        waiting = young and bool(awaited) and not any(row[1] in awaited for row in table.rows)
        if table.since == self._look or due or waiting:
            before = self._cpu()
            found = [known(read_listeners, f"{self._proc}/{pid}/net/{name}") for name in _TABLES]
            table.rows = [row for rows in found if rows is not None for row in rows]
            table.cost = self._cpu() - before
            if all(rows is None for rows in found):
                del self._used[network]  # its process has ended; there may be another
        return table.rows


class _Table:
    """What was read of one namespace."""

    __slots__ = ("cost", "marks", "rows", "since")

    def __init__(self, marks: list[tuple[int, int]], since: int) -> None:
        self.marks = marks
        self.since = since
        self.rows: list[Socket] = []
        self.cost = 0.0
