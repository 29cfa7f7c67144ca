"""One host's status for people."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from citadel_k8s.models.wire import StatusMessage, SystemInfo
from citadel_k8s.models.wire_gpu import GpuInfo

_UNKNOWN = "unknown"


def render(message: StatusMessage) -> RenderableType:
    """Give the host, its GPUs, its services and the sources that did not deliver."""
    status = message.status
    parts: list[RenderableType] = [Text(message.node_id, style="bold"), _host(status.system)]
    if status.gpu:
        parts += [Text(), _gpus(status.gpu)]
    if status.services:
        parts += [Text(), _services(message)]
    missing = [c for c in status.collectors or [] if c.state != "ok"]
    if missing:
        parts.append(Text())
    for source in missing:
        style = "dim" if source.state == "absent" else "yellow"
        words = f"{source.name}: {source.state} ({source.reason}) {source.message or ''}"
        parts.append(Text(words.rstrip(), style=style))
    return Group(*parts)


def _host(system: SystemInfo) -> Table:
    table = _table("CPU", "MEMORY", "DISK", "LOAD")
    table.add_row(
        _percent(system.cpu_percent),
        _share(system.memory_used_gb, system.memory_total_gb),
        _share(system.disk_used_gb, system.disk_total_gb),
        _UNKNOWN if system.load_1m is None else f"{system.load_1m:.2f}",
    )
    return table


def _gpus(gpus: list[GpuInfo]) -> Table:
    table = _table("GPU", "NAME", "HEALTH", "UTIL", "VRAM", "TEMP", "POWER")
    for gpu in gpus:
        used, total = gpu.memory_used_mb, gpu.memory_total_mb
        table.add_row(
            str(gpu.index),
            gpu.name,
            gpu.health if gpu.reason is None else f"{gpu.health} ({gpu.reason})",
            _percent(gpu.utilization_percent),
            _share(_gib(used), _gib(total)),
            _UNKNOWN if gpu.temperature_celsius is None else f"{gpu.temperature_celsius} °C",
            _UNKNOWN if gpu.power_watts is None else f"{gpu.power_watts:.0f} W",
        )
    return table


def _services(message: StatusMessage) -> Table:
    table = _table("SERVICE", "TYPE", "PORT", "STATUS", "HEALTH", "MODELS")
    for service in message.status.services or []:
        models = _UNKNOWN if service.models is None else ", ".join(service.models) or "none"
        port = "" if service.port is None else str(service.port)
        health = service.health or _UNKNOWN
        table.add_row(service.name, service.type, port, service.status, health, models)
    return table


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header)
    return table


def _gib(mib: int | None) -> float | None:
    return None if mib is None else mib / 1024


def _percent(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0f}%"


def _share(used: float | None, total: float | None) -> str:
    if total is None:
        return _UNKNOWN
    return f"{'?' if used is None else format(used, '.1f')}/{total:.1f} GiB"
