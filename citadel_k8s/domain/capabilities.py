"""What a node can do, in the words that jobs are matched by."""

import re
from collections.abc import Iterable
from typing import Final

from citadel_k8s.domain import units
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.readings import Engine, Gpu
from citadel_k8s.models.wire import Capabilities, CapabilityGpu, Permissions

TAG_MAX: Final = 128
"""Longest tag, in characters. Source: the wire contract."""

TAGS_MAX: Final = 128
"""Tags of one node: the hundred that can be configured, and those of its GPUs."""

_VRAM_MAX: Final = 100_000

_MODEL_TYPES: Final = frozenset({"llm", "embedding"})
_MAKERS: Final = frozenset({"nvidia", "geforce", "tesla", "quadro", "amd", "instinct", "intel"})
_FORMS: Final = re.compile(r"^([0-9]+g[bi]?b?|hbm[0-9a-z]*|sxm[0-9]*|pcie|nvl|graphics|gpu)$")


def capabilities_of(snapshot: Snapshot, tags: Iterable[str]) -> Capabilities:
    """Give what the node can do. ``tags`` are those that people gave it.

    A Kubernetes node offers no console, desktop or files, and starts no services by itself: what
    runs on it is the scheduler's business.
    """
    gpus = [one.gpu for one in snapshot.told]
    wanted = [*tags, *(tag for gpu in gpus for tag in _tags_of(gpu))]
    clean = dict.fromkeys(tag for text in wanted if (tag := tag_of(text)))
    return Capabilities(
        gpus=[_gpu(gpu) for gpu in gpus] if snapshot.gpus_known else None,
        engines=_engines(snapshot.services),
        tags=list(clean)[:TAGS_MAX],
        available_services=[],
        console=False,
        desktop=False,
        files=False,
        gpu=bool(gpus) if snapshot.gpus_known else None,
    )


def no_permissions() -> Permissions:
    """Give what a remote user may do on a Kubernetes node: nothing."""
    return Permissions(
        console=False,
        desktop=False,
        files=False,
        services=False,
        ssh=False,
        shell=False,
        has_passcode=False,
    )


def tag_of(text: str) -> str:
    """Give a tag of any text: lower case, other characters as dashes; empty if nothing is left."""
    low = re.sub(r"[^a-z0-9:._-]+", "-", text[: 2 * TAG_MAX].lower())
    return low.lstrip(":._-")[:TAG_MAX].rstrip(":._-")


def model_tag(name: str) -> str:
    """Give the short name of a GPU's model: ``h100`` of ``NVIDIA H100 80GB HBM3``."""
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).split()
    kept = [word for word in words if word not in _MAKERS and not _FORMS.match(word)]
    return tag_of("-".join(kept))


def _gpu(gpu: Gpu) -> CapabilityGpu:
    model, memory = _model(gpu), _memory(gpu)
    return CapabilityGpu(
        name=units.name(gpu.name),
        vram_mb=units.mib(gpu.memory_total_bytes),
        tag=model,
        vram_tag=memory,
    )


def _tags_of(gpu: Gpu) -> Iterable[str]:
    return (tag for tag in ("gpu", _model(gpu), _memory(gpu)) if tag)


def _model(gpu: Gpu) -> str | None:
    model = model_tag(gpu.name) if gpu.name else ""
    return f"gpu:{model}" if model else None


def _memory(gpu: Gpu) -> str | None:
    size = units.gib(gpu.memory_total_bytes)
    return f"vram:{round(size)}gb" if size is not None and 1 <= size <= _VRAM_MAX else None


def _engines(services: Iterable[Engine] | None) -> list[str | dict[str, object]] | None:
    if services is None:
        return None
    models = (one for one in services if one.type in _MODEL_TYPES)
    return [*sorted({clip(one.engine) for one in models if one.engine})]
