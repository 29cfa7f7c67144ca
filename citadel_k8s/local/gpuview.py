"""The GPUs of a host's status: how they fare, what is wrong, and who holds them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from citadel_k8s.local.glyphs import (
    HEALTH_STYLES,
    WIDE,
    Glyphs,
    duration,
    gib,
    notes,
    ratio,
    row,
    spans,
)
from citadel_k8s.models.wire_gpu import GpuInfo, GpuProcessInfo, HolderInfo, VerdictInfo

_SEVERITY_STYLES: Final = {"fatal": "bold red", "warning": "yellow", "info": "dim"}

_HELD: Final = {
    "host": "outside any pod",
    "unknown": "unknown process",
}
"""How a holder without a pod is told."""

_RIGHT: Final = {
    "time-sliced": "shared",
    "mps": "shared by MPS",
    "unallocated": "not given to it",
    "process": "by its process",
    "claim": "by claim",
}
"""What is worth saying of how a pod holds a GPU; holding it alone is the rule."""

_BOTH: Final = 2


def gpu_parts(gpus: Sequence[GpuInfo], glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Give a heading and a table for each kind of GPU, what is wrong, and who is on them."""
    for (name, driver), group in groupby(gpus, key=lambda gpu: (gpu.name, gpu.driver)):
        same = list(group)
        words = f"{len(same)} {glyphs.times} {name}" if len(same) > 1 else name
        yield Text("")
        heading = Text.assemble(("GPU  ", "bold"), words)
        yield heading.append(f"  driver {driver}" if driver else "", style="dim")
        yield _table(same, glyphs, width)
    wrong = list(_wrong(gpus, glyphs))
    if wrong:
        view = notes()
        for cells in wrong:
            row(view, *cells)
        yield Text("")
        yield view
    yield from _on_gpus(gpus, glyphs)


def _table(gpus: Sequence[GpuInfo], glyphs: Glyphs, width: int) -> Table:
    wide = width >= WIDE
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("#", min_width=2, justify="right")
    view.add_column("HEALTH", min_width=8)
    view.add_column("UTIL", min_width=5 + (11 if wide else 0), justify="right")
    view.add_column("MEMORY", min_width=29 if wide else 18)
    view.add_column("TEMP", min_width=5, justify="right")
    view.add_column("POWER", min_width=9, justify="right")
    if wide:
        view.add_column("SM", min_width=8, justify="right")
    view.add_column("HELD BY", overflow="fold")
    for gpu in gpus:
        cells: list[Text | str] = [
            str(gpu.index),
            _health(gpu),
            _utilization(gpu, glyphs, 10 if wide else 0),
            _memory(gpu, glyphs, 14 if wide else 5),
            glyphs.figure(gpu.temperature_celsius, "d", glyphs.degree),
            glyphs.share(gpu.power_watts, gpu.power_limit_watts, " W", ".0f"),
            Text("\n").join(_holders(gpu, glyphs)),
        ]
        if wide:
            cells.insert(-1, glyphs.figure(gpu.clock_sm_mhz, "d", " MHz"))
        row(view, *cells)
    return view


def _health(gpu: GpuInfo) -> Text:
    health = gpu.health or "unknown"
    text = Text(health, style=HEALTH_STYLES.get(health, "yellow"))
    if gpu.age_seconds is not None:
        text.append(f"\n{duration(gpu.age_seconds)} ago", style="dim")
    return text


def _utilization(gpu: GpuInfo, glyphs: Glyphs, bar: int) -> Text:
    value = gpu.utilization_percent
    figure = glyphs.figure(value, ".0f", "%")
    if not bar:
        return Text(figure)
    return glyphs.bar(ratio(value, 100), bar, "cyan").append(f" {figure:>5}")


def _memory(gpu: GpuInfo, glyphs: Glyphs, bar: int) -> Text:
    used, total = gpu.memory_used_mb, gpu.memory_total_mb
    text = glyphs.bar(ratio(used, total), bar, "cyan")
    return text.append(f" {glyphs.share(gib(used), gib(total), ' G')}")


def _holders(gpu: GpuInfo, glyphs: Glyphs) -> list[Text]:
    if gpu.holders is None:
        return [Text(glyphs.unknown)]
    profiles = {one.uuid: one.profile for one in gpu.mig or []}
    told = [_holder(one, profiles.get(one.device), glyphs) for one in gpu.holders]
    return told or [Text("free", style="dim")]


def _holder(one: HolderInfo, profile: str | None, glyphs: Glyphs) -> Text:
    place = "/".join(part for part in (one.namespace, one.pod) if part)
    text = Text(place or _HELD.get(one.how, one.how))
    remarks = [profile, _RIGHT.get(one.how) if place else None]
    if one.idle_seconds is not None:
        # The first look cannot say since when.
        remarks.append(f"idle {duration(one.idle_seconds)}" if one.idle_seconds else "idle")
    said = glyphs.list(remark for remark in remarks if remark)
    style = "yellow" if one.how in {"unallocated", "unknown"} else "dim"
    return text.append(f" {said}" if said else "", style=style)


def _wrong(gpus: Sequence[GpuInfo], glyphs: Glyphs) -> Iterator[tuple[Text, Text, Text]]:
    """Give a line per verdict, and per GPU that is not well without one."""
    for gpu in gpus:
        who = Text(f"GPU {gpu.index}")
        verdicts = gpu.verdicts or []
        if gpu.reason is not None and gpu.reason not in {one.reason for one in verdicts}:
            style = HEALTH_STYLES.get(gpu.health or "unknown", "yellow")
            yield who, Text(gpu.reason, style=style), Text(gpu.message or "")
        for one in verdicts:
            style = _SEVERITY_STYLES.get(one.severity, "yellow")
            yield who, Text(one.reason, style=style), _verdict(one, glyphs)


def _verdict(one: VerdictInfo, glyphs: Glyphs) -> Text:
    return Text(one.message).append(f"\n{glyphs.arrow} {one.remedy}", style="italic")


def _on_gpus(gpus: Sequence[GpuInfo], glyphs: Glyphs) -> Iterator[RenderableType]:
    """Give who has processes on the GPUs; all processes of one container in one line."""
    silent = [gpu.index for gpu in gpus if gpu.processes is None]
    parties: defaultdict[str, list[tuple[int, GpuProcessInfo]]] = defaultdict(list)
    for gpu in gpus:
        for one in gpu.processes or []:
            parties[_place(one)].append((gpu.index, one))
    if not parties and not silent:
        return
    view = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("PROCESSES", "OF"):
        view.add_column(header, overflow="fold")
    for header in ("GPUS", "MEMORY"):
        view.add_column(header, justify="right", overflow="fold")
    for place, found in parties.items():
        sizes = [one.memory_used_mb for _, one in found]
        # A sum over some of the processes would pass for the whole.
        known = [size for size in sizes if size is not None]
        total = gib(sum(known)) if len(known) == len(sizes) else None
        row(
            view,
            _names([one for _, one in found], glyphs),
            place,
            spans(index for index, _ in found),
            glyphs.figure(total, ".1f", " G"),
        )
    if silent:
        row(view, glyphs.unknown, Text("the driver does not say", style="dim"), spans(silent))
    yield Text("")
    yield view


def _place(one: GpuProcessInfo) -> str:
    parts = [part for part in (one.namespace, one.pod, one.container) if part]
    return "/".join(parts) or "outside any pod"


def _names(processes: Sequence[GpuProcessInfo], glyphs: Glyphs) -> str:
    stems: dict[str, dict[int, str]] = {}
    for one in processes:
        name = one.name or f"pid {one.pid}"
        # Workers are told apart by a number at the end of their names.
        stem = (one.name or "").rstrip("0123456789") or name
        stems.setdefault(stem, {})[one.pid] = name
    names = {
        stem if len(set(found.values())) > 1 else next(iter(found.values())): found
        for stem, found in stems.items()
    }
    words = [f"{n} {glyphs.times}{len(p)}" if len(p) > 1 else n for n, p in names.items()]
    shown = words[:_BOTH]
    return ", ".join(shown) + (f" +{len(words) - _BOTH}" if len(words) > _BOTH else "")
