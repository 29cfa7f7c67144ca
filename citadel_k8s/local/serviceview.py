"""The engines and containers of a host's status."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from citadel_k8s.local.glyphs import HEALTH_STYLES, WIDE, Glyphs, notes, row, spans, table
from citadel_k8s.models.wire import ContainerInfo, ServiceInfo

CONTAINERS_SHOWN: Final = 5
"""Containers that are shown: those with the most to do."""

_GIB: Final = 1024**3

_RIGHT: Final = ("PORT", "RUN", "WAIT", "TOK/S", "KV", "TTFT", "E2E", "CPU", "RESTARTS")


def service_parts(
    services: Sequence[ServiceInfo], glyphs: Glyphs, width: int
) -> Iterator[RenderableType]:
    """Give the services with their figures, their models, and what is wrong with them."""
    wide = width >= WIDE
    headers = ["SERVICE", "PORT", "HEALTH", "GPUS", "RUN", "WAIT", "TOK/S", "KV", "TTFT"]
    view = table(*headers, *(["E2E", "MODELS"] if wide else []), right=_RIGHT)
    for one in services:
        health = one.health or one.status
        cells: list[Text | str] = [
            _name(one),
            glyphs.figure(one.port, "d"),
            Text(health, style=HEALTH_STYLES.get(health, "yellow")),
            glyphs.unknown if one.gpus is None else spans(one.gpus) or "none",
            glyphs.figure(one.requests_running),
            glyphs.figure(one.requests_waiting),
            glyphs.figure(one.generation_tokens_per_second),
            glyphs.figure(one.kv_cache_percent, ".0f", "%"),
            _milliseconds(one.ttft_ms_p50, glyphs),
        ]
        if wide:
            cells += [_milliseconds(one.e2e_ms_p50, glyphs), _models(one, glyphs)]
        row(view, *cells)
    yield Text("")
    yield view
    told = Table.grid(padding=(0, 2, 0, 0))
    told.add_column(overflow="fold", max_width=24)
    told.add_column(overflow="fold", ratio=1)
    if not wide:
        for one in services:
            if one.type in {"llm", "embedding"}:
                row(told, one.name, _models(one, glyphs))
    if told.row_count:
        yield Text("\nMODELS", style="bold")
        yield told
    yield from _wrong(services)


def container_parts(
    containers: Sequence[ContainerInfo], glyphs: Glyphs
) -> Iterator[RenderableType]:
    """Give the containers with the most to do."""
    view = table("CONTAINER", "CPU", "OF", "MEMORY", "RESTARTS", right=_RIGHT)
    busiest = sorted(containers, key=lambda one: -(one.cpu_cores or 0.0))
    for one in busiest[:CONTAINERS_SHOWN]:
        row(
            view,
            _place(one),
            glyphs.figure(one.cpu_cores, ".2f"),
            glyphs.figure(one.cpu_limit_cores, "g"),
            glyphs.share(_gib(one.working_set_bytes), _gib(one.memory_limit_bytes), " G"),
            glyphs.figure(one.restarts, "d"),
        )
    if len(containers) > CONTAINERS_SHOWN:
        view.add_row(Text(f"and {len(containers) - CONTAINERS_SHOWN} more", style="dim"))
    yield Text("")
    yield view


def _name(one: ServiceInfo) -> Text:
    text = Text(one.name)
    version = one.engine_version
    kind = "" if one.engine in {None, one.name} else f" {one.engine}"
    return text.append(f"{kind} {version}" if version else kind, style="dim")


def _models(one: ServiceInfo, glyphs: Glyphs) -> Text:
    if one.models is None:
        return Text(glyphs.unknown)
    if not one.models:
        return Text("none")
    loaded = one.loaded_models
    text = Text()
    for model in dict.fromkeys((*(loaded or []), *one.models)):
        sign = "" if loaded is None else glyphs.loaded if model in loaded else glyphs.pulled
        style = "" if loaded is None or model in loaded else "dim"
        text.append("  " if text else "").append(f"{sign} {model}".lstrip(), style=style)
    return text


def _wrong(services: Sequence[ServiceInfo]) -> Iterator[RenderableType]:
    view = notes()
    for one in services:
        if one.reason is not None:
            style = HEALTH_STYLES.get(one.health or "unknown", "yellow")
            row(view, one.name, Text(one.reason, style=style), one.message or "")
    if view.row_count:
        yield Text("")
        yield view


def _place(one: ContainerInfo) -> str:
    named = [part for part in (one.namespace, one.pod, one.container) if part]
    return "/".join(named) or f"{one.pod_uid} {one.container_id[:12]}"


def _milliseconds(value: float | None, glyphs: Glyphs) -> str:
    if value is None or value < 1000:  # noqa: PLR2004 - a second
        return glyphs.figure(value, ".0f", " ms")
    return glyphs.figure(value / 1000, ".1f", " s")


def _gib(value: int | None) -> float | None:
    return None if value is None else value / _GIB
