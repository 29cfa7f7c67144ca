"""Which pod and container a cgroup belongs to, by its path.

The kubelet and the runtimes name cgroups in many ways: by systemd
(``kubepods-burstable-pod0d5f…_….slice/cri-containerd-4c1….scope``) or directly
(``kubepods/burstable/pod0d5f…-…/4c1…``), below other roots in nested nodes, and seen from a cgroup
namespace from some level on only (``/../../pod…``). So the pod's UID is looked for in every part.
A static pod's UID is a hash of 32 digits, which its mirror in the API server has as the
annotation ``kubernetes.io/config.hash``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

CONTAINER_ID_MIN: Final = 32
"""Shortest container id, in hexadecimal digits; all runtimes that the kubelet knows give 64."""

CONTAINER_ID_MAX: Final = 64
"""Longest container id, in hexadecimal digits."""

_HEX: Final = frozenset("0123456789abcdefABCDEF")
_UUID_DASHES: Final = (8, 13, 18, 23)
_UUID_LENGTH: Final = 36
_HASH_LENGTH: Final = 32
_DELETED: Final = " (deleted)"


def parse_cgroup(text: str) -> tuple[str | None, str | None, bool]:
    """Give pod, container, and whether that is all there is to know, of ``/proc/PID/cgroup``.

    Raises
    ------
    ValueError
        If there is no line of a cgroup in it.
    """
    paths = [columns[2] for line in text.splitlines() if len(columns := line.split(":", 2)) > 2]  # noqa: PLR2004 - number:controllers:path
    if not paths:
        raise ValueError("no cgroup")
    container: str | None = None
    sure = True
    for path in paths:
        pod, inside = pod_of(path)
        if pod is not None:
            return pod, inside, True
        container = container or inside
        sure = sure and not _is_a_sibling(path)
    return None, container, sure


def pod_of(path: str) -> tuple[str | None, str | None]:
    """Give the UID of the outermost pod in a cgroup's path, and the id of its container.

    Outside any pod there may still be a container, of a runtime without Kubernetes.
    """
    parts = path.removesuffix(_DELETED).split("/")
    for i, part in enumerate(parts):
        pod = pod_in(part)
        if pod is not None:
            own = _after_colon(part)
            return pod, _first_container([own] if own else parts[i + 1 :])
    return None, _first_container(parts)


def pod_in(name: str) -> str | None:
    """Give the pod's UID in the name of one cgroup, with dashes however it is written there."""
    at = name.find("pod")
    while at >= 0:
        if at == 0 or name[at - 1] == "-":
            uid = _leading_uid(name[at + 3 :].replace("\\x2d", "-"))
            if uid is not None:
                return uid
        at = name.find("pod", at + 1)
    return None


def container_in(name: str) -> str | None:
    """Give the container's id in the name of one cgroup; None if it is not a container's."""
    runtime, _, digits = name.removesuffix(".scope").rpartition("-")
    # CRI-O's conmon watches the container from a cgroup of its own, named alike.
    if runtime.endswith("conmon"):
        return None
    fits = CONTAINER_ID_MIN <= len(digits) <= CONTAINER_ID_MAX
    return digits if fits and _HEX.issuperset(digits) else None


def container_below(name: str) -> str | None:
    """Give the container's id in a pod's cgroup name that has one too.

    A kubelet that expects systemd's names and a runtime that makes its cgroups itself meet in
    ``kubepods-pod….slice:cri-containerd:4c1…``.
    """
    own = _after_colon(name)
    return container_in(own) if own else None


def _first_container(parts: list[str]) -> str | None:
    for part in parts:
        if "-conmon-" in part:
            return None
        container = container_in(part)
        if container is not None:
            return container
    return None


def _after_colon(name: str) -> str:
    return name.rpartition(":")[2] if ":" in name else ""


def _is_a_sibling(path: str) -> bool:
    # Seen from a container's own cgroup namespace, its pod's other containers are "/../…": the
    # part with the pod's UID is out of sight.
    if not path.startswith("/../"):
        return False
    inside = [part for part in path.split("/") if part not in {"", ".."}]
    return bool(inside) and container_in(inside[0].removesuffix(_DELETED)) is not None


def _leading_uid(text: str) -> str | None:
    uid = text[:_UUID_LENGTH]
    if len(uid) == _UUID_LENGTH and all(uid[i] in "-_" for i in _UUID_DASHES):
        uid = uid.replace("_", "-")
        if _HEX.issuperset(uid.replace("-", "")) and uid.count("-") == len(_UUID_DASHES):
            return uid if text[_UUID_LENGTH : _UUID_LENGTH + 1] not in _HEX else None
    digits = text[:_HASH_LENGTH]
    if len(digits) == _HASH_LENGTH and _HEX.issuperset(digits):
        return digits if text[_HASH_LENGTH : _HASH_LENGTH + 1] not in _HEX else None
    return None
