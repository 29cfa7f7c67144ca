"""What a status says, in the sections of ``describe``."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from citadel_k8s.cli.fabric.printing import table
from citadel_k8s.domain.fleetrows import part, parts
from citadel_k8s.domain.summary import UNKNOWN
from citadel_k8s.domain.terminal import shown

INDENT: Final = "  "
"""Before the lines of a section. Source: kubectl describe."""

_KEY: Final = 18


def pair(key: str, value: Any) -> str:
    """Give a line with a key and what is known of it."""
    text = shown(value) if value is not None and value != "" else UNKNOWN
    return f"{key + ':':{_KEY}}{text}"


def section(title: str, lines: Sequence[str]) -> list[str]:
    """Give a section; ``none`` where it has no lines."""
    if not lines:
        return [f"{title + ':':{_KEY}}none"]
    return [f"{title}:", *(INDENT + line for line in lines)]


def figures(status: Any) -> list[str]:
    """Give the sections of a status message, or of a bare status."""
    if not isinstance(status, dict):
        return []
    message = cast("Mapping[str, Any]", status)
    said = part(message, "status") or message
    system = part(said, "system")
    lines = [
        pair("CPU", _cpu(system)),
        pair("Memory", _amount(system, "memory")),
        pair("Disk", _amount(system, "disk")),
    ]
    if said.get("gpu") is None:
        lines.append(pair("GPUs", None))
    else:
        lines += section("GPUs", gpus(parts(said, "gpu")))
    if said.get("services") is None:
        lines.append(pair("Services", None))
    else:
        lines += section("Services", services(parts(said, "services")))
    silent = [c for c in parts(said, "collectors") if c.get("state") != "ok"]
    if silent:
        headers = ("SOURCE", "STATE", "REASON", "MESSAGE")
        rows = [[c.get(key) for key in ("name", "state", "reason", "message")] for c in silent]
        lines += section("Silent sources", table(headers, rows))
    return lines


def gpus(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give a table of GPUs, and under it what is wrong with them."""
    if not found:
        return []
    headers = ("GPU", "MODEL", "HEALTH", "UTIL", "MEMORY", "TEMP", "POWER", "HELD BY")
    lines = table(headers, [_gpu(gpu) for gpu in found])
    for gpu in found:
        lines += [
            shown(
                f"GPU {gpu.get('index')}: {v.get('reason')}: {v.get('message')} {v.get('remedy')}"
            )
            for v in parts(gpu, "verdicts")
        ]
    return lines


def services(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give a table of services."""
    if not found:
        return []
    headers = ("NAME", "TYPE", "STATUS", "HEALTH", "PORT", "RUN/WAIT", "MODELS", "REASON")
    return table(headers, [_service(service) for service in found])


def _gpu(gpu: Mapping[str, Any]) -> list[str]:
    used, total = gpu.get("memory_used_mb"), gpu.get("memory_total_mb")
    watts, limit = gpu.get("power_watts"), gpu.get("power_limit_watts")
    health = str(gpu.get("health") or UNKNOWN)
    reason = gpu.get("reason")
    return [
        str(gpu.get("index")),
        str(gpu.get("name") or UNKNOWN),
        health + (f" ({reason})" if reason else ""),
        _figure(gpu.get("utilization_percent"), "%"),
        _pair_of(_gib(used), _gib(total), "GiB"),
        _figure(gpu.get("temperature_celsius"), "C"),
        _pair_of(watts, limit, "W", digits=0),
        _held(gpu),
    ]


def _held(gpu: Mapping[str, Any]) -> str:
    if gpu.get("holders") is None and gpu.get("processes") is None:
        return UNKNOWN
    processes = parts(gpu, "processes")
    # Outside of pods the processes say more than that somebody of the host holds it.
    holders = [one for one in parts(gpu, "holders") if one.get("pod") or not processes]
    names = [_holder(one) for one in (*holders, *processes)]
    return ", ".join(dict.fromkeys(names)) or "nobody"


def _holder(one: Mapping[str, Any]) -> str:
    if one.get("pod"):
        return "/".join(str(one[key]) for key in ("namespace", "pod") if one.get(key))
    if one.get("pid"):
        return str(one.get("name") or f"pid {one['pid']}")
    return str(one.get("how") or UNKNOWN)


def _service(service: Mapping[str, Any]) -> list[str]:
    found = service.get("models")
    models: list[Any] | None = found if isinstance(found, list) else None  # pyright: ignore[reportUnknownVariableType]
    running, waiting = service.get("requests_running"), service.get("requests_waiting")
    return [
        str(service.get("name")),
        str(service.get("type") or UNKNOWN),
        str(service.get("status") or UNKNOWN),
        str(service.get("health") or UNKNOWN),
        str(service.get("port") or UNKNOWN),
        _pair_of(running, waiting, ""),
        UNKNOWN if models is None else ", ".join(map(str, models)) or "none",
        str(service.get("reason") or ""),
    ]


def _cpu(system: Mapping[str, Any]) -> str | None:
    percent, count = system.get("cpu_percent"), system.get("cpu_count")
    if percent is None and count is None:
        return None
    return f"{_figure(percent, '%')} of {UNKNOWN if count is None else f'{count} CPUs'}"


def _amount(system: Mapping[str, Any], what: str) -> str | None:
    used, total = system.get(f"{what}_used_gb"), system.get(f"{what}_total_gb")
    percent = system.get(f"{what}_percent")
    if used is None and total is None and percent is None:
        return None
    share = f" ({percent:.0f}%)" if isinstance(percent, int | float) else ""
    return _pair_of(used, total, "GiB") + share


def _pair_of(used: Any, total: Any, unit: str, digits: int = 1) -> str:
    if used is None and total is None:
        return UNKNOWN
    known = [
        f"{v:.{digits}f}".removesuffix(".0") if isinstance(v, int | float) else "?"
        for v in (used, total)
    ]
    return f"{'/'.join(known)} {unit}".rstrip()


def _figure(value: Any, unit: str) -> str:
    return f"{value:.0f}{unit}" if isinstance(value, int | float) else UNKNOWN


def _gib(mib: Any) -> float | None:
    return mib / 1024 if isinstance(mib, int | float) else None
