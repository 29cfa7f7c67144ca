"""One node's voice, for tests of what is made of it."""

from citadel_k8s.domain.liveness import Beat, Liveness, Policy, beaten, created
from citadel_k8s.domain.verdicts import Fault

FAST = Policy(interval=10, missed=3, skew=5)
LOST = Fault("GpuLost", "GPU 3: GpuLost", definite=True)
FULL = Fault("DiskFull", "disk 97% full", definite=False)


def hear(
    node: Liveness, at: float, *, age: float = 0.0, boot: str | None = "a", **kwargs
) -> Liveness:
    """Let the node be heard; its sequence number is the moment unless one is given."""
    seq = kwargs.pop("seq", int(at) if boot else None)
    return beaten(node, Beat(at=at - age, boot_id=boot, seq=seq, **kwargs), at)


def online(at: float = 100.0) -> Liveness:
    """Give a node that has just spoken for the first time."""
    return hear(created(FAST, at - 1), at)


def said(node: Liveness) -> tuple[str, str]:
    """Give state and reason."""
    return node.state.value, node.reason
