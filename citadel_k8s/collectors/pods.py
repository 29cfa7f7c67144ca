"""The pods of this node: what they are called, and which devices the kubelet gave them."""

import asyncio
import errno
from pathlib import Path
from typing import Final

from citadel_k8s.collectors.kubelet import Kubelet
from citadel_k8s.collectors.podlist import NodePods
from citadel_k8s.collectors.podlogs import PodLogs
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.models.readings import Absent, Allocation, Failed, Outcome, Pods, Reading

MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
"""Errors of a socket that is not there."""


class PodCollector:
    """Puts together the kubelet's socket and the names from its API or its folder of logs.

    Parameters
    ----------
    socket : Path
        The kubelet's pod-resources socket.
    logs : PodLogs
        Names pods where the kubelet's API does not.
    kubelet : Kubelet or None
        The kubelet's API, where the agent may ask it.
    """

    name = "pods"

    def __init__(self, socket: Path, logs: PodLogs, kubelet: Kubelet | None = None) -> None:
        self._socket = socket
        self._logs = logs
        self._kubelet = kubelet
        self.problems: tuple[tuple[str, Absent | Failed], ...] = ()
        """What did not answer at the last collection, and why: ``pod-resources``, ``kubelet`` or
        ``pod-logs``. Told beside a reading, since one part may be missing and the other not."""

    async def collect(self) -> Outcome[Pods]:
        """Ask for names and devices at the same time.

        Returns
        -------
        Outcome
            A reading if anything is known, with ``allocations`` None where the socket did not
            answer. Absent where neither source exists.
        """
        self.problems = ()
        async with asyncio.TaskGroup() as group:
            names = group.create_task(self._names(), name="names of pods")
            given = group.create_task(self._granted(), name="pod-resources")
        return self._joined(names.result(), given.result())

    async def close(self) -> None:
        """Close the connections."""
        if self._kubelet is not None:
            await self._kubelet.close()

    async def _names(self) -> Outcome[NodePods]:
        if self._kubelet is not None:
            answer = await self._kubelet.collect()
            if isinstance(answer, Reading):
                return answer
            self._note("kubelet", answer)
        match await self._logs.collect():
            case Reading(pods):
                return Reading(NodePods(pods, frozenset()))
            case outcome:
                self._note("pod-logs", outcome)
                return outcome

    async def _granted(self) -> Outcome[Pods]:
        answer = await self._ask()
        if not isinstance(answer, Reading):
            self._note("pod-resources", answer)
        return answer

    async def _ask(self) -> Outcome[Pods]:
        try:
            if not self._socket.is_socket():
                return self._absent()
            # HTTP/2 costs 2 MiB for good, and only nodes with a kubelet need it.
            from citadel_k8s.collectors.podresources import ask  # noqa: PLC0415

            answer = await ask(self._socket)
        except PermissionError:
            why = f"{self._socket} belongs to root; the agent has to run as user 0 to ask it"
            return Failed("NoPermission", why)
        except OSError as error:
            if error.errno in MISSING:
                return self._absent()
            return Failed("PodResourcesRefused", f"{self._socket}: {error.strerror or error}")
        match answer:
            case Reading(granted):
                return Reading(Pods((), granted.allocations, granted.allocatable))
            case outcome:
                return outcome

    def _absent(self) -> Absent:
        missing = f"{self._socket} is not there; mount its folder to know who holds which GPU"
        return Absent("NoPodResources", missing)

    def _joined(self, names: Outcome[NodePods], given: Outcome[Pods]) -> Outcome[Pods]:
        match names, given:
            case Reading(node), Reading(granted):
                allocations = _alive(granted.allocations, node.ended)
                return Reading(Pods(node.pods, allocations, granted.allocatable))
            case Reading(node), _ if node.pods:
                return Reading(Pods(node.pods))
            case _, Absent() if isinstance(names, Failed):
                return names
            case _, outcome:
                return outcome

    def _note(self, source: str, outcome: Absent | Failed) -> None:
        self.problems = (*self.problems, (source, outcome))


def pod_collector(settings: AgentSettings) -> PodCollector:
    """Give the collector that the settings ask for."""
    source = settings.pods
    return PodCollector(
        settings.host_root / settings.pod_resources_socket,
        PodLogs(settings.host_root),
        Kubelet(source.kubelet_url, source) if source.kubelet_url else None,
    )


def _alive(
    allocations: tuple[Allocation, ...] | None, ended: frozenset[tuple[str, str]]
) -> tuple[Allocation, ...] | None:
    # Older kubelets go on listing pods that have run to their end; their devices are free.
    if allocations is None or not ended:
        return allocations
    return tuple(a for a in allocations if (a.namespace, a.pod) not in ended)
