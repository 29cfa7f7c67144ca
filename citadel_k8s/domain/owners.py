"""Whose a process is: of which pod and container, of the host, or of nobody known."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from citadel_k8s.models.readings import Pod, Process, Processes

MPS_PROGRAM: Final = "nvidia-cuda-mps"
"""Start of the name of the programs of MPS. The kernel keeps 15 characters of a name, which is
just this. The server is on the GPU for its clients, and is no use of its own."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a process is.

    ``where``: ``pod``, ``host`` (outside any pod), ``mps`` (the server that shares a GPU among
    others) or ``unknown``. A pod's names are None where only its UID is known.
    """

    pid: int
    where: str
    started: int | None = None
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    pod_uid: str | None = None
    container_id: str | None = None

    @property
    def named(self) -> bool:
        """Whether its pod has a name."""
        return self.pod is not None


class PodNames:
    """Pods by UID, and UIDs by name. A name may have two: of a pod and of the one before it."""

    def __init__(self, pods: Iterable[Pod]) -> None:
        self._pods: dict[str, Pod] = {}
        self._uids: dict[tuple[str, str], list[str]] = {}
        self._containers: dict[str, str] = {}
        self._by_container: dict[str, Pod] = {}
        for pod in pods:
            self._pods[_plain(pod.uid)] = pod
            self._uids.setdefault((pod.namespace, pod.name), []).append(pod.uid)
            self._containers.update(pod.containers)
            self._by_container.update(dict.fromkeys(dict(pod.containers), pod))

    def pod(self, uid: str) -> Pod | None:
        """Give the pod of a UID, in either of the forms that cgroups know."""
        return self._pods.get(_plain(uid))

    def pod_with(self, container: str | None) -> Pod | None:
        """Give the pod that a container is known to be of."""
        return self._by_container.get(_number(container))

    def uids(self, namespace: str, name: str) -> list[str]:
        """Give the UIDs of the pods of this name."""
        return self._uids.get((namespace, name), [])

    def container(self, number: str | None) -> str | None:
        """Give the name of a container."""
        return self._containers.get(_number(number))


def owner_of(pid: int, process: Process | None, names: PodNames) -> Owner:
    """Give whose a process is; ``process`` is None where nobody looked, or it is gone."""
    if process is None:
        return Owner(pid, "unknown")
    # A kubelet without cgroups of pods (``--cgroups-per-qos=false``) leaves a container's id alone.
    pod = names.pod(process.pod_uid) if process.pod_uid else names.pod_with(process.container_id)
    uid = process.pod_uid or (pod.uid if pod else None)
    if _is_mps(process):
        where = "mps"
    elif uid is not None:
        where = "pod"
    else:
        where = "host" if process.known else "unknown"
    return Owner(
        pid=pid,
        where=where,
        started=process.started,
        namespace=pod.namespace if pod else None,
        pod=pod.name if pod else None,
        container=names.container(process.container_id) if uid else None,
        pod_uid=uid,
        container_id=process.container_id,
    )


def owners_of(
    pids: Iterable[int], processes: Processes | None, names: PodNames
) -> dict[int, Owner]:
    """Give whose each of these processes is."""
    known = {process.pid: process for process in processes.processes} if processes else {}
    return {pid: owner_of(pid, known.get(pid), names) for pid in pids}


def _is_mps(process: Process) -> bool:
    program = (process.command or "").split(" ", 1)[0].rpartition("/")[2]
    return (process.name or "").startswith(MPS_PROGRAM) or program.startswith(MPS_PROGRAM)


def _number(container: str | None) -> str:
    return (container or "").rpartition("//")[2]


def _plain(uid: str) -> str:
    return uid.lower().replace("_", "-")
