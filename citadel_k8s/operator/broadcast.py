"""Passes a change of a node's state on to whoever tells it, once and by one operator alone.

An operator that has not read the stream to its end yet, or does not lead, holds back what it
sees. When its turn comes it tells what the objects do not say yet: the operator before it tells a
change first and writes it then, so what stands in an object has been told.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import OnTransition
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator")


@dataclass(slots=True)
class Broadcast:
    """One way in, many ways out.

    Parameters
    ----------
    may_tell : callable
        Whether this operator knows enough and leads.
    listeners : iterable of OnTransition
        Whom to tell. One that fails keeps nobody else from hearing it.
    """

    may_tell: Callable[[], bool]
    listeners: Iterable[OnTransition] = ()
    _untold: dict[str, Liveness] = field(default_factory=dict[str, Liveness])
    _trouble: RepeatLog = field(default_factory=lambda: RepeatLog(_log, "listener_failed"))

    def __call__(self, record: NodeRecord, before: Liveness) -> None:
        """Tell a change of state or reason, or keep it until this operator may."""
        before = self._untold.pop(record.node_id, before)
        if self.may_tell():
            self._tell(record, before)
        else:
            self._untold[record.node_id] = before

    def catch_up(self, nodes: dict[str, NodeRecord]) -> None:
        """Tell what was held back, unless the node's object says it already."""
        held, self._untold = self._untold, {}
        for node_id, before in held.items():
            record = nodes.get(node_id)
            if record is None or record.live.state is before.state:
                continue
            if not _written(record):
                self._tell(record, before)

    def _tell(self, record: NodeRecord, before: Liveness) -> None:
        for listener in self.listeners:
            try:
                listener(record, before)
            except Exception as error:  # noqa: BLE001 - one way out must not close the others
                self._trouble.failed(listener=repr(listener), error=repr(error), exc_info=error)


def _written(record: NodeRecord) -> bool:
    observed = record.observed
    return observed is not None and observed.status_document().get("state") == record.live.state
