"""Asks a few nodes that live, in turn, to know what the silence of a door is worth.

Where living nodes cannot be reached, one that cannot be reached is no news. Of each node that was
asked while it lived it is remembered whether that is so.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from citadel_k8s.domain.witness import Control, Outcome, Probe
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry

QUESTION_MAX: Final = 4.0
"""Seconds for a question with all its addresses: the client's own 3 s, and a second of delay."""

CONTROL_EVERY: Final = 15.0
"""Seconds between two rounds of questions to nodes that live."""

CONTROL_RETRY: Final = 2.0
"""Seconds before the next look for such nodes when there was none."""

CONTROL_NODES: Final = 4
"""Least nodes of each kind, of the cluster or not, that are asked in a round."""

CONTROL_ROUNDS: Final = 64
"""Rounds after which every node has been asked once, in 16 min: an operator is to know of each
whether it can be reached at all. 10,000 nodes make it ten questions a second, 0.4 % of a core."""

CONTROL_CANDIDATES: Final = 64
"""Least nodes looked at to find those."""


GOLDEN: Final = 0.618
"""Share of a circle by which steps fall most evenly on it."""


class Controls:
    """The answers of nodes that beat, those of the cluster apart from all others.

    Parameters
    ----------
    registry : Registry
        The nodes.
    addresses : callable
        Gives where a node may be asked; empty if nowhere.
    """

    def __init__(
        self, registry: Registry, addresses: Callable[[NodeRecord], tuple[str, ...]]
    ) -> None:
        self._registry = registry
        self._addresses = addresses
        self._results = {True: Control(), False: Control()}
        self._places = {True: 0, False: 0}
        self._unsure: dict[str, Probe] = {}
        self._closed: set[str] = set()
        self._once_more: deque[str] = deque()

    def vouches(self, node_id: str, outcome: Outcome, now: float) -> bool:
        """Say whether such an outcome tells this node, if dead, from one that lives."""
        if node_id in self._closed:
            return False  # its door was closed while it lived
        return self._results[self._of_cluster(node_id)].vouches(outcome, now)

    def choose(self, *, few: bool) -> list[NodeRecord]:
        """Give the next nodes to ask: those whose door is closed of late, and all in turn.

        One question that was lost must not make a door count as closed for a whole turn.

        Parameters
        ----------
        few : bool
            Whether there is no room for more than the least.
        """
        ids = list(self._registry.nodes)
        wanted = max(CONTROL_NODES, 0 if few else len(ids) // CONTROL_ROUNDS)
        found = [record for kind in self._results for record in self._living(ids, kind, wanted)]
        return [*self._asked_once_more(wanted, {record.node_id for record in found}), *found]

    def note(self, node_id: str, probe: Probe) -> None:
        """Take what a node answered that seemed to live."""
        if probe.outcome in {Outcome.ANSWERS, Outcome.UNPROVED}:
            self._count(node_id, probe)
        elif probe.outcome is not Outcome.VOID:
            # It may be dying just now. If it speaks afterwards, it was alive.
            self._unsure[node_id] = probe

    def stand_in(self, node_id: str, probe: Probe, now: float) -> None:
        """Take the answer of a silent node where nobody else is left that could be asked."""
        control = self._results[self._of_cluster(node_id)]
        if control.is_silent(now, 2 * CONTROL_EVERY):
            control.note(probe.asked_at, probe.outcome)

    def settle(self) -> None:
        """Count the failures of those that have spoken since; forget those of the others."""
        nodes = self._registry.nodes
        for node_id, probe in list(self._unsure.items()):
            record = nodes.get(node_id)
            if record is None or not record.live.fresh or node_id in self._registry.late:
                del self._unsure[node_id]
            elif (record.live.last_beat or 0.0) > probe.asked_at + QUESTION_MAX:
                del self._unsure[node_id]
                self._count(node_id, probe)
        self._closed &= nodes.keys()

    def _asked_once_more(self, wanted: int, chosen: set[str]) -> list[NodeRecord]:
        found = list[NodeRecord]()
        while self._once_more and len(found) < wanted:
            node_id = self._once_more.popleft()
            record = self._registry.nodes.get(node_id)
            if record is None or node_id in chosen or node_id in self._registry.late:
                continue
            if record.live.fresh and self._addresses(record):
                found.append(record)
        return found

    def _living(self, ids: list[str], of_cluster: bool, wanted: int) -> list[NodeRecord]:  # noqa: FBT001
        stride, first, found = _stride(len(ids)), self._places[of_cluster], list[NodeRecord]()
        for place in range(first, first + min(len(ids), max(CONTROL_CANDIDATES, 2 * wanted))):
            self._places[of_cluster] = place + 1
            record = self._registry.nodes[ids[place * stride % len(ids)]]
            speaks = record.live.fresh and record.node_id not in self._registry.late
            mine = self._of_cluster(record.node_id) is of_cluster
            if speaks and mine and self._addresses(record):
                found.append(record)
                if len(found) == wanted:
                    break
        return found

    def _count(self, node_id: str, probe: Probe) -> None:
        self._results[self._of_cluster(node_id)].note(probe.asked_at, probe.outcome)
        if probe.outcome in {Outcome.ANSWERS, Outcome.UNPROVED}:
            self._closed.discard(node_id)
        elif node_id not in self._closed:
            self._closed.add(node_id)
            self._once_more.append(node_id)

    def _of_cluster(self, node_id: str) -> bool:
        return node_id in self._registry.kube_nodes


def _stride(count: int) -> int:
    """Give a step that visits all of so many places, those in a row (a rack) at different times."""
    step = max(1, round(count * GOLDEN))
    while math.gcd(step, count) > 1:
        step += 1
    return step
