"""Passes a change of a node's state on to whoever tells it, once and by one operator alone.

An operator that has not read the stream to its end yet, or does not lead, holds back what it
sees. When its turn comes it tells what the objects do not say yet: the operator before it tells a
change first and writes it then, so what stands in an object has been told.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.roster import OnTransition
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator")

SPARE: Final = 1024
"""Changes held back of nodes that are gone: an operator that stands by for months, where Nodes come
and go all day, would keep one of each."""


@dataclass(slots=True)
class Broadcast:
    """One way in, many ways out.

    Parameters
    ----------
    may_tell : callable
        Whether this operator knows enough and leads.
    listeners : iterable of OnTransition
        Whom to tell. One that fails keeps nobody else from hearing it.
    nodes : mapping
        All nodes by id: what is held back of others is nobody's news any more.
    """

    may_tell: Callable[[], bool]
    listeners: Iterable[OnTransition] = ()
    nodes: Mapping[str, NodeRecord] = field(default_factory=dict[str, NodeRecord])
    _untold: dict[str, Liveness] = field(default_factory=dict[str, Liveness])
    _trouble: RepeatLog = field(default_factory=lambda: RepeatLog(_log, "listener_failed"))

    def __call__(self, record: NodeRecord, before: Liveness) -> None:
        """Tell a change of state or reason, or keep it until this operator may."""
        before = self._untold.pop(record.node_id, before)
        if self.may_tell():
            self._tell(record, before)
        else:
            self._untold[record.node_id] = before
            if len(self._untold) > len(self.nodes) + SPARE:
                held = self._untold.items()
                self._untold = {id_: live for id_, live in held if id_ in self.nodes}

    def catch_up(
        self, nodes: Mapping[str, NodeRecord], told: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        """Tell what has not been told, by the one before or by us.

        Parameters
        ----------
        nodes : mapping
            All nodes by id.
        told : mapping or None
            State and reason as they were told last, by node id, where that is known. Where it is
            not, what was held back is told unless the node's object says it already.
        """
        held, self._untold = self._untold, {}
        known = told or {}
        for node_id, record in list(nodes.items()):
            certain = node_id in known
            before = _as_told(record.live, known[node_id]) if certain else held.get(node_id)
            if before is not None and _is_news(record, before, certain=certain):
                self._tell(record, before)

    def _tell(self, record: NodeRecord, before: Liveness) -> None:
        for listener in self.listeners:
            try:
                listener(record, before)
            except Exception as error:  # noqa: BLE001 - one way out must not close the others
                self._trouble.failed(listener=repr(listener), error=repr(error), exc_info=error)


def _as_told(live: Liveness, told: tuple[str, str]) -> Liveness:
    state, reason = told
    return replace(live, state=NodeState(state), reason=reason, message="")


def _is_news(record: NodeRecord, before: Liveness, *, certain: bool) -> bool:
    live = record.live
    if before.state is not live.state:
        return not _written(record)
    # Of a reason the object is no witness: only who knows what was told can say.
    return certain and before.reason != live.reason


def _written(record: NodeRecord) -> bool:
    observed = record.observed
    return observed is not None and observed.status_document().get("state") == record.live.state
