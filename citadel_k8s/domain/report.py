"""From what is known of the sources to the status message.

Units change on this way and nowhere else: the program keeps bytes and ratios, the wire GiB, MiB
and percent. Nothing from outside travels unclipped, and no message is larger than a bound.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.domain import units
from citadel_k8s.domain.bounds import bounded
from citadel_k8s.domain.capabilities import capabilities_of, no_permissions
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.known import Known, rounded_age, state_of
from citadel_k8s.domain.report_gpus import gpu_infos
from citadel_k8s.domain.report_services import container_infos, service_infos
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.domain.stats import stats_of
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.readings import Absent, Failed, Host
from citadel_k8s.models.wire import (
    AgentInfo,
    CollectorInfo,
    ConfigInfo,
    Goodbye,
    NodeInfo,
    NodeStatus,
    StatusMessage,
    SystemInfo,
)

ADDRESSES_MAX: Final = 16
"""Addresses told of one node."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks. ``addresses`` are where the agent serves, besides those on the mesh.

    ``mesh_address`` is the configured one; None where the host's own is to be told. ``transport``
    is the way that heartbeats take, such as ``redis``, ``websocket`` or ``http``.
    """

    node_id: str
    node_name: str
    boot_id: str
    interval_seconds: float
    version: str
    gpu_source: str = "nvml"
    status_port: int | None = None
    tags: tuple[str, ...] = ()
    display_name: str | None = None
    headscale_node_id: str | None = None
    mesh_address: str | None = None
    addresses: tuple[str, ...] = ()
    transport: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on three clocks, in seconds: the date, the clock of durations, the uptime."""

    date: float
    monotonic: float
    uptime: float


def status_message(
    speaker: Speaker,
    snapshot: Snapshot,
    moment: Moment,
    *,
    seq: int | None = None,
    goodbye: Goodbye | None = None,
    config: ConfigInfo | None = None,
    notices: tuple[CollectorInfo, ...] = (),
) -> StatusMessage:
    """Give the message that tells a snapshot, within the bound of its size.

    Parameters
    ----------
    speaker, snapshot, moment : Speaker, Snapshot, Moment
        Who tells what, and when.
    seq : int or None
        Number of this heartbeat in the process, from 1.
    goodbye : Goodbye or None
        The last word.
    config : ConfigInfo or None
        Which configuration is applied.
    notices : tuple of CollectorInfo
        What else is wrong that no source tells.
    """
    host = snapshot.host.good
    message = StatusMessage(
        timestamp=format_timestamp(moment.date),
        node_id=speaker.node_id,
        headscale_node_id=speaker.headscale_node_id,
        status=node_status(speaker, snapshot, moment, config=config, notices=notices),
        permissions=no_permissions(),
        stats=stats_of(snapshot, date=moment.date, now=moment.monotonic),
        boot_id=speaker.boot_id,
        host_boot_id=clip(host.boot_id, 64) if host and host.boot_id else None,
        seq=seq,
        interval_seconds=speaker.interval_seconds,
        agent=AgentInfo(version=speaker.version, transport=speaker.transport),
        goodbye=goodbye,
        addresses=_addresses(speaker, host) or None,
        status_port=speaker.status_port,
    )
    return bounded(message)


def node_status(
    speaker: Speaker,
    snapshot: Snapshot,
    moment: Moment,
    *,
    config: ConfigInfo | None = None,
    notices: tuple[CollectorInfo, ...] = (),
) -> NodeStatus:
    """Give the inner status. A list that is None is not known; an empty one is known to be so."""
    now = moment.monotonic
    return NodeStatus(
        timestamp=format_timestamp(moment.date, fraction=True),
        node=_node(speaker, snapshot.host.good, moment),
        system=_system(snapshot.host.good or Host()),
        gpu=gpu_infos(snapshot, now),
        services=service_infos(snapshot),
        capabilities=capabilities_of(snapshot, speaker.tags),
        vnc_port=0,
        collectors=[*_collectors(speaker, snapshot, now), *notices],
        containers=container_infos(snapshot, now),
        config=config,
        truncated=sorted(snapshot.cut) or None,
    )


def sources(speaker: Speaker, snapshot: Snapshot) -> Iterator[tuple[str, Known[Any]]]:
    """Give each source by its name; those that not every node has, once they have answered."""
    yield "host", snapshot.host
    yield speaker.gpu_source, snapshot.gpus
    yield "engines", snapshot.engines
    optional: tuple[tuple[str, Known[Any]], ...] = (
        ("drm", snapshot.drm),
        ("pods", snapshot.pods),
        ("processes", snapshot.processes),
        ("containers", snapshot.containers),
    )
    for name, known in optional:
        if known.outcome is not None:
            yield name, known


def mesh_addresses(speaker: Speaker, host: Host | None) -> tuple[str, ...]:
    """Give the node's addresses on the mesh, the one to dial first."""
    own = () if speaker.mesh_address is None else (speaker.mesh_address,)
    found = sorted((host.mesh_addresses if host else None) or (), key=lambda a: ":" in a)
    return tuple(dict.fromkeys(a for a in (*own, *found) if _is_address(a)))


def _addresses(speaker: Speaker, host: Host | None) -> list[str]:
    wanted = (*mesh_addresses(speaker, host), *speaker.addresses)
    return list(dict.fromkeys(a for a in wanted if _is_address(a)))[:ADDRESSES_MAX]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _node(speaker: Speaker, host: Host | None, moment: Moment) -> NodeInfo:
    mesh = next(iter(mesh_addresses(speaker, host)), None)
    return NodeInfo(
        name=speaker.node_name,
        network_ip=mesh,
        tailscale_ip=mesh,
        uptime_seconds=int(moment.uptime),
        display_name=units.sentence(speaker.display_name),
    )


def _collectors(speaker: Speaker, snapshot: Snapshot, now: float) -> Iterator[CollectorInfo]:
    for name, known in sources(speaker, snapshot):
        outcome = known.outcome
        bad = outcome if isinstance(outcome, Absent | Failed) else None
        yield CollectorInfo(
            name=name,
            state=state_of(outcome)[0],
            reason=units.name(bad.reason) if bad else None,
            message=units.sentence(bad.message) if bad else None,
            age_seconds=rounded_age(known.good_at, now),
        )


def _system(host: Host) -> SystemInfo:
    return SystemInfo(
        cpu_percent=units.percent(host.cpu_ratio),
        memory_used_gb=units.gib(host.memory_used_bytes),
        memory_total_gb=units.gib(host.memory_total_bytes),
        memory_percent=units.share(host.memory_used_bytes, host.memory_total_bytes),
        disk_used_gb=units.gib(host.disk_used_bytes),
        disk_total_gb=units.gib(host.disk_total_bytes),
        disk_percent=units.share(
            host.disk_used_bytes, _usable(host.disk_used_bytes, host.disk_available_bytes)
        ),
        swap_used_gb=units.gib(host.swap_used_bytes),
        swap_total_gb=units.gib(host.swap_total_bytes),
        load_1m=units.figure(host.load_1m),
        load_5m=units.figure(host.load_5m),
        load_15m=units.figure(host.load_15m),
        kubelet_disk_used_gb=units.gib(host.kubelet_disk_used_bytes),
        kubelet_disk_total_gb=units.gib(host.kubelet_disk_total_bytes),
        kubelet_disk_percent=units.share(
            host.kubelet_disk_used_bytes,
            _usable(host.kubelet_disk_used_bytes, host.kubelet_disk_available_bytes),
        ),
        cpu_pressure_percent=units.percent(host.cpu_pressure_ratio),
        memory_pressure_percent=units.percent(host.memory_pressure_ratio),
        io_pressure_percent=units.percent(host.io_pressure_ratio),
        kernel=units.name(host.kernel),
        cpu_count=units.count(host.cpu_count),
        host_uptime_seconds=units.count(host.uptime_seconds),
        network_rx_bytes=units.count(host.network_rx_bytes),
        network_tx_bytes=units.count(host.network_tx_bytes),
    )


def _usable(used: int | None, available: int | None) -> int | None:
    # As df does: what is kept for root counts neither as used nor as available.
    return None if used is None or available is None else used + available
