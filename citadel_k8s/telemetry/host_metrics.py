"""Series of the host and of the containers of this node's pods."""

from collections.abc import Iterator
from typing import Final

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.naming import place_of
from citadel_k8s.models.readings import ContainerUsage
from citadel_k8s.telemetry.exposed import Exposed, family
from citadel_k8s.telemetry.exposition import Family

_HOST: Final = (
    ("cpu_ratio", "Busy share of all CPUs.", "cpu_ratio"),
    ("cpus", "Logical CPUs.", "cpu_count"),
    ("load1", "Load average over one minute.", "load_1m"),
    ("load5", "Load average over five minutes.", "load_5m"),
    ("load15", "Load average over fifteen minutes.", "load_15m"),
    ("memory_used_bytes", "Memory without buffers and cache.", "memory_used_bytes"),
    ("memory_total_bytes", "Memory installed.", "memory_total_bytes"),
    ("swap_used_bytes", "Swap in use.", "swap_used_bytes"),
    ("swap_total_bytes", "Swap configured.", "swap_total_bytes"),
    ("disk_used_bytes", "Used on the root file system.", "disk_used_bytes"),
    ("disk_available_bytes", "Available on the root file system.", "disk_available_bytes"),
    ("disk_total_bytes", "Size of the root file system.", "disk_total_bytes"),
    ("kubelet_disk_used_bytes", "Used on the kubelet's file system.", "kubelet_disk_used_bytes"),
    ("kubelet_disk_available_bytes", "Available on the kubelet's file system.",
     "kubelet_disk_available_bytes"),
    ("kubelet_disk_total_bytes", "Size of the kubelet's file system.",
     "kubelet_disk_total_bytes"),
    ("uptime_seconds", "Time since the host booted.", "uptime_seconds"),
)  # fmt: skip

_CONTAINER: Final = (
    ("cpu_cores", "CPU in use.", "cpu_cores"),
    ("cpu_limit_cores", "CPU that it may use.", "cpu_limit_cores"),
    ("working_set_bytes", "Memory that cannot be dropped at once.", "working_set_bytes"),
    ("memory_limit_bytes", "Memory that it may use.", "memory_limit_bytes"),
)

_CONTAINER_COUNTERS: Final = (
    ("cpu_seconds_total", "CPU time used.", "cpu_seconds"),
    ("oom_kills_total", "Processes killed for lack of memory.", "oom_kills"),
)

_SHORT_ID: Final = 12


def host_metrics(now: Exposed) -> Iterator[Family]:
    """Give the host's series while its readings are fresh."""
    host = now.snapshot.host.good
    if host is None or not now.fresh(now.snapshot.host):
        return
    for name, text, attribute in _HOST:
        yield from family(f"citadel_host_{name}", text, [((), getattr(host, attribute))])
    yield from family(
        "citadel_host_pressure_ratio",
        "Share of the last ten seconds in which some task waited for the resource.",
        [
            ((resource,), getattr(host, f"{resource}_pressure_ratio"))
            for resource in ("cpu", "memory", "io")
        ],
        ("resource",),
    )
    for name, value in (("receive", host.network_rx_bytes), ("transmit", host.network_tx_bytes)):
        text = f"Bytes that real interfaces {name}."
        full = f"citadel_host_network_{name}_bytes_total"
        yield from family(full, text, [((), value)], kind="counter")


def container_metrics(now: Exposed) -> Iterator[Family]:
    """Give the containers' series while their readings are fresh."""
    if not now.fresh(now.snapshot.containers):
        return
    labels = ("namespace", "pod", "container")
    containers = now.snapshot.known_containers(now.moment.monotonic) or ()
    told = [(_place(now, one), one) for one in containers]
    for name, text, attribute in _CONTAINER:
        samples = [(key, getattr(one, attribute)) for key, one in told]
        yield from family(f"citadel_container_{name}", text, samples, labels)
    for name, text, attribute in _CONTAINER_COUNTERS:
        samples = [(key, getattr(one, attribute)) for key, one in told]
        yield from family(f"citadel_container_{name}", text, samples, labels, kind="counter")


def _place(now: Exposed, one: ContainerUsage) -> tuple[str, str, str]:
    place = place_of(now.snapshot.names, one.pod_uid, one.container_id)
    # What nobody can name is still told apart by its ids.
    container = place.container or one.container_id[:_SHORT_ID]
    return clip(place.namespace or ""), clip(place.pod or one.pod_uid), clip(container)
