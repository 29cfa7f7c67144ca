"""Which reasons of a Degraded node speak of broken hardware, and what to do about each."""

import re
from collections.abc import Iterator
from typing import Final

from citadel_k8s.domain.facts import NodeFacts
from citadel_k8s.domain.findings import RULES
from citadel_k8s.domain.xids import rule_of

_XID: Final = re.compile(r"Xid([0-9]{1,4})")
_FAILED: Final = "failed"
_HARDWARE: Final = "hardware"


def is_hardware_fault(reason: str) -> bool:
    """Say whether a GPU with this reason has failed, and its hardware is to blame for certain.

    A driver that hangs or wants a reset is none, and neither is what only slows a GPU down.
    """
    if xid := _XID.fullmatch(reason):
        rule = rule_of(int(xid[1]))
        return rule.cause == _HARDWARE and rule.marks == _FAILED
    known = RULES.get(reason)
    return known is not None and known[1:3] == (_HARDWARE, _FAILED)


def remedy_of(reason: str) -> str | None:
    """Give what to do about a fault of a GPU; None for a reason of another kind."""
    if xid := _XID.fullmatch(reason):
        return rule_of(int(xid[1])).remedy
    known = RULES.get(reason)
    return known[3] if known else None


def hardware_faults(facts: NodeFacts | None) -> tuple[str, ...]:
    """Give the definite hardware faults of a node, each as ``GPU 3 GpuLost``, sorted."""
    return tuple(sorted(_faults(facts))) if facts is not None else ()


def _faults(facts: NodeFacts) -> Iterator[str]:
    for gpu in facts.gpus or ():
        if gpu.health == _FAILED and gpu.reason and is_hardware_fault(gpu.reason):
            yield f"GPU {gpu.index} {gpu.reason}"
