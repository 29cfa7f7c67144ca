"""The TCP ports that programs on GPUs and known engines listen on, and how to reach them.

A pod's sockets are read through one of its processes; its network namespace is told apart by the
inode of its table of sockets, which differs from namespace to namespace and needs no right to
trace the process, as reading the link ``ns/net`` would.
"""

from __future__ import annotations

import os

from citadel_k8s.collectors.nettables import own_address
from citadel_k8s.collectors.socketowners import Group, OwnerSearch
from citadel_k8s.collectors.sockettables import SocketTables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, TypeAlias

    from citadel_k8s.collectors.processes import Seen

    Socket: TypeAlias = tuple[str, int, int]
    Chain: TypeAlias = tuple[Seen, list[Seen]]

LISTENERS_MAX: Final = 64
"""Listeners in one answer, three times the engines that a node is planned for."""

POD_LISTENERS_MAX: Final = 32
"""Listeners of one pod, so that one with a port per worker does not crowd out others."""

GUESSES_MAX: Final = 4
"""Ports of a pod that are worth asking where none is known to be an engine's."""

EPHEMERAL: Final = 32768
"""First port of those that the kernel gives to whoever asks for none; no service is behind one
by intention."""

_ANY: Final = frozenset({"0.0.0.0", "::"})


class ListenerSearch:
    """Finds the listeners.

    Parameters
    ----------
    proc : str
        The host's ``/proc``.
    """

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._addresses: dict[tuple[str, int], str] = {}
        self._owners = OwnerSearch(proc)
        self._tables = SocketTables(proc)

    def find(self, chains: list[Chain], ports: frozenset[int]) -> list[dict[str, Any]]:
        """Give the listeners of the pods of some processes, and the host's on known or told ports.

        Parameters
        ----------
        chains : list
            Each process with its ancestors.
        ports : frozenset of int
            Where known engines listen.
        """
        self._tables.begin()
        host_network = self._network(1)
        host, pods = self._grouped(chains, host_network)
        found: list[dict[str, Any]] = []
        addresses: dict[tuple[str, int], str] = {}
        for group, (pid, network) in pods:
            key = (group.pod_uid or "", network)
            address = self._addresses.get(key) or own_address(f"{self._proc}/{pid}/net")
            if address is not None:
                addresses[key] = address
            sockets = self._tables.of(network, pid, group.marks(), group.ports())
            likely = chosen(pod_sockets(sockets, address), ports | group.ports())
            found += self._told(group, likely)
        self._addresses = addresses
        found += self._told(host, self._host_sockets(host, host_network, ports))
        self._owners.end()
        self._tables.end()
        return found[:LISTENERS_MAX]

    def _grouped(
        self, chains: list[Chain], host_network: int | None
    ) -> tuple[Group, list[tuple[Group, tuple[int, int]]]]:
        host = Group(None)
        groups: dict[str, Group] = {}
        for seen, ancestors in chains:
            if seen.pod_uid is None:
                # Outside any pod, and yet in a network of its own: a container of another kind.
                if seen.known and self._network_of(seen) == host_network:
                    host.chains.append([seen, *ancestors])
            else:
                group = groups.setdefault(seen.pod_uid, Group(seen.pod_uid))
                inside = [a for a in ancestors if a.pod_uid == seen.pod_uid]
                group.chains.append([seen, *inside])
        apart: list[tuple[Group, tuple[int, int]]] = []
        for group in groups.values():
            through = self._through(group)
            if through is None:
                continue
            if through[1] == host_network:
                host.chains += group.chains
            else:
                apart.append((group, through))
        return host, apart

    def _through(self, group: Group) -> tuple[int, int] | None:
        for seen in group.members():
            network = self._network_of(seen)
            if network is not None:
                return seen.pid, network
        return None

    def _network_of(self, seen: Seen) -> int | None:
        # A process seldom moves to another; it is asked again when its command line is.
        if seen.network is None:
            seen.network = self._network(seen.pid)
        return seen.network

    def _network(self, pid: int | str) -> int | None:
        try:
            return os.stat(f"{self._proc}/{pid}/net/tcp").st_ino  # noqa: PTH116 - pathlib is 1 MiB
        except OSError:
            return None

    def _host_sockets(
        self, host: Group, network: int | None, ports: frozenset[int]
    ) -> list[Socket]:
        # Besides the ports that are known: those that a process on a GPU was told to listen on.
        wanted = ports | host.ports()
        if network is None or not wanted:
            return []
        every = self._tables.of(network, 1, host.marks(), host.ports())
        sockets = [socket for socket in every if socket[1] in wanted]
        if not sockets:
            return []
        own = self._network("self")
        if own is None or own == network:
            return host_sockets(sockets)
        # From a pod, the host's loopback is out of reach, and 127.0.0.1 is the pod itself.
        return pod_sockets(sockets, own_address(f"{self._proc}/1/net"))

    def _told(self, group: Group, sockets: list[Socket]) -> list[dict[str, Any]]:
        members = group.members()
        inner = {port for seen in members if seen.inner for port in seen.ports}
        told: list[dict[str, Any]] = []
        for address, port, inode in sockets[:POD_LISTENERS_MAX]:
            owner = self._owners.of(group, members, port, inode)
            if port in inner or (owner is not None and owner.inner):
                continue
            told.append(
                {
                    "port": port,
                    "address": address,
                    "pid": None if owner is None else owner.pid,
                    "command": None if owner is None else owner.command,
                    "pod_uid": group.pod_uid if owner is None else owner.pod_uid,
                    "container_id": None if owner is None else owner.container_id,
                }
            )
        return told


def pod_sockets(sockets: list[Socket], own: str | None) -> list[Socket]:
    """Give the sockets that can be reached from outside, at the address to ask, by port."""
    by_port: dict[int, Socket] = {}
    for address, port, inode in sockets:
        if address.startswith("127.") or address == "::1":
            continue
        asked = own if address in _ANY else address
        if asked is not None and (port not in by_port or address in _ANY):
            by_port[port] = (asked, port, inode)
    return [by_port[port] for port in sorted(by_port)]


def host_sockets(sockets: list[Socket]) -> list[Socket]:
    """Give the sockets at the address to ask on the host itself, by port."""
    by_port: dict[int, Socket] = {}
    for address, port, inode in sockets:
        near = address in _ANY or address.startswith("127.")
        if near or port not in by_port:
            by_port[port] = ("127.0.0.1" if near else address, port, inode)
    return [by_port[port] for port in sorted(by_port)]


def chosen(sockets: list[Socket], told: frozenset[int]) -> list[Socket]:
    """Give a pod's sockets that may be an engine's: known or told ports, else the lowest few."""
    likely = [socket for socket in sockets if socket[1] in told]
    return likely or [socket for socket in sockets if socket[1] < EPHEMERAL][:GUESSES_MAX]
