"""What happened to a node, taken from its messages before only the newest is kept.

Each has a key by which it is told once, however often, and by however many workers, the message
that tells of it is read.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple, cast

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.position import Position
from citadel_k8s.domain.verdicts import Fault
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.lean import LeanGpu, LeanMessage

DAY_MS: Final = 86_400_000
"""Milliseconds after which a fault that lasts is told once more."""

PER_MESSAGE_MAX: Final = 32
"""Happenings taken of one message: a broken node must not fill the table of all."""

TEXT_MAX: Final = 256
"""Characters kept of a message."""

Kind = Literal["state", "fault", "xid", "config", "node"]
"""As in `models.views.FleetEvent`."""


class Happening(NamedTuple):
    """One thing that happened. ``at_ms`` is a moment of the stream's clock."""

    org_id: str
    node_id: str
    at_ms: int
    kind: Kind
    dedup: str
    reason: str
    message: str = ""
    times: int = 1
    state: NodeState | None = None
    before: NodeState | None = None


def told_by(
    org_id: str,
    said: LeanMessage,
    faults: tuple[Fault, ...],
    position: Position,
) -> tuple[Happening, ...]:
    """Give the errors and definite faults that a message tells of.

    The same count of the same error, and the same fault of the same process within a day, have
    the same key in each message.
    """
    gpus = said["status"].get("gpu") or ()
    found: list[Happening] = []
    if any("xids" in gpu for gpu in gpus):
        found += _xids(org_id, said, gpus, position)
    day = position.ms // DAY_MS
    boot = position.boot_id or ""
    found += [
        Happening(
            org_id, said["node_id"], position.ms, "fault",
            f"fault:{boot}:{day}:{fault.reason}:{clip(fault.message)}",
            fault.reason, clip(fault.message, TEXT_MAX),
        )
        for fault in faults
        if fault.definite
    ]  # fmt: skip
    return tuple(found[:PER_MESSAGE_MAX])


def changed(
    position: Position, node: tuple[str, str], before: NodeState | None, now: tuple[NodeState, str]
) -> Happening:
    """Give a change of state that a message made.

    Parameters
    ----------
    position : Position
        Where the message lay.
    node : tuple of str
        Org and node.
    before : NodeState or None
        What was said of the node before; None if nothing was.
    now : tuple
        The state and its reason.
    """
    state, reason = now
    key = f"state:{position.epoch}:{position.ms}-{position.number}:{state}"
    return Happening(*node, position.ms, "state", key, reason, "", 1, state, before)


def _xids(
    org_id: str, said: LeanMessage, gpus: list[LeanGpu] | tuple[()], position: Position
) -> Iterator[Happening]:
    for gpu in gpus:
        for xid in cast("dict[str, Any]", gpu).get("xids") or ():
            which = gpu.get("uuid") or str(gpu["index"])
            key = f"xid:{position.boot_id or ''}:{clip(which)}:{xid['xid']}:{xid['count']}"
            name = clip(xid.get("name") or "")
            text = f"GPU {gpu['index']}: XID {xid['xid']}{f' {name}' if name else ''}"
            count = min(max(xid["count"], 1), 2**31 - 1)
            yield Happening(
                org_id, said["node_id"], position.ms, "xid", key,
                f"Xid{xid['xid']}", text, count,
            )  # fmt: skip
