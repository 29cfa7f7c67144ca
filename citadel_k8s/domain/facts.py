"""What a status message says, reduced to what the operator needs, in base units."""

import math
from dataclasses import dataclass

from citadel_k8s.constants import NAME_MAX
from citadel_k8s.models.wire import ServiceInfo, StatusMessage
from citadel_k8s.models.wire_gpu import GpuInfo

_GIB = 1024**3
_MIB = 1024**2

NOT_REPORTED = "NotReported"
"""Reason of whatever a message does not speak of."""


REASON_MAX = 64
"""Characters kept of a reason: the longest of Kubernetes' own have about forty."""

INT64_MAX = 2**63 - 1
"""Largest integer of an object's schema. Source: OpenAPI's int64."""

GPU_SOURCES = frozenset({"nvml", "fake-gpu", "drm"})
"""Names of the agent's sources that see GPUs."""


@dataclass(frozen=True, slots=True)
class GpuFact:
    """One GPU: health is ``ok``, ``degraded``, ``failed`` or ``unknown``."""

    index: int
    uuid: str | None
    health: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class ServiceFact:
    """One service: health in the wire's words, models None if not known."""

    name: str
    type: str
    status: str
    health: str
    port: int | None
    models: tuple[str, ...] | None
    reason: str | None

    @property
    def serving(self) -> bool:
        """Whether its models can be asked now: running is not enough."""
        return self.health == "ok" and self.status == "running"


@dataclass(frozen=True, slots=True)
class SourceFact:
    """A source of the agent that did not deliver."""

    name: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One message; None is "not known". Bytes, ratios 0-1, seconds."""

    gpus: tuple[GpuFact, ...] | None
    gpu_model: str | None
    driver: str | None
    services: tuple[ServiceFact, ...] | None
    utilization: float | None
    vram_used: int | None
    vram_total: int | None
    running: int | None
    waiting: int | None
    cpu_count: int | None
    memory_total: int | None
    disk_ratio: float | None
    sources: tuple[SourceFact, ...]
    addresses: tuple[str, ...]
    agent_version: str | None
    clock_offset: float | None
    config_revision: str | None = None
    config_error: str | None = None
    status_port: int | None = None

    @property
    def gpu_source(self) -> SourceFact | None:
        """The source of GPUs that did not deliver, one that failed first; None if all did."""
        silent = [source for source in self.sources if source.name in GPU_SOURCES]
        # Few nodes have GPUs of other makers: that those are absent explains nothing.
        known = [s for s in silent if s.name != "drm" or s.state == "failed"]
        return next((s for s in known if s.state == "failed"), next(iter(known), None))


def facts_from(message: StatusMessage, *, clock_offset: float | None = None) -> NodeFacts:
    """Reduce a message.

    Parameters
    ----------
    message : StatusMessage
        As decoded.
    clock_offset : float or None
        Sender's time minus the receiver's, in seconds.
    """
    status = message.status
    gpus, services, system = status.gpu, status.services, status.system
    return NodeFacts(
        gpus=_gpu_facts(message),
        gpu_model=clip(gpus[0].name) if gpus else None,
        driver=clip(gpus[0].driver) if gpus and gpus[0].driver else None,
        services=tuple(_service_fact(s) for s in services) if services is not None else None,
        utilization=_mean([g.utilization_percent for g in gpus or []], 100),
        vram_used=_total([g.memory_used_mb for g in gpus or []], _MIB),
        vram_total=_total([g.memory_total_mb for g in gpus or []], _MIB),
        running=_requests([s.requests_running for s in services or []]),
        waiting=_requests([s.requests_waiting for s in services or []]),
        cpu_count=system.cpu_count,
        memory_total=_scaled(system.memory_total_gb, _GIB),
        disk_ratio=None if system.disk_percent is None else system.disk_percent / 100,
        sources=tuple(
            SourceFact(clip(c.name), c.state, reason_word(c.reason or NOT_REPORTED))
            for c in status.collectors or []
            if c.state != "ok"
        ),
        addresses=_addresses(message),
        agent_version=clip(message.agent.version) if message.agent else None,
        clock_offset=clock_offset,
        config_revision=_clipped(status.config.revision) if status.config else None,
        config_error=_clipped(status.config.error) if status.config else None,
        status_port=message.status_port,
    )


def clip(text: str, length: int = NAME_MAX) -> str:
    """Shorten a text from outside and take its control characters out."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def _clipped(text: str | None) -> str | None:
    return None if text is None else clip(text)


def reason_word(text: str) -> str:
    """Give a condition's reason from words of any kind: ``host-shutdown`` is ``HostShutdown``."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text).split()
    word = "".join(word[0].upper() + word[1:] for word in words)[:REASON_MAX]
    return word if word[:1].isalpha() else NOT_REPORTED


def _gpu_facts(message: StatusMessage) -> tuple[GpuFact, ...] | None:
    if message.status.gpu is None:
        return None
    return tuple(_gpu_fact(gpu) for gpu in message.status.gpu)


def _gpu_fact(gpu: GpuInfo) -> GpuFact:
    health = gpu.health if gpu.health in {"ok", "degraded", "failed"} else "unknown"
    return GpuFact(
        index=gpu.index,
        uuid=clip(gpu.uuid) if gpu.uuid else None,
        health=health,
        reason=reason_word(gpu.reason) if gpu.reason else None,
    )


def _service_fact(service: ServiceInfo) -> ServiceFact:
    # The first messages said "healthy" where all later ones say "ok".
    health = "ok" if service.health == "healthy" else clip(service.health or "unknown")
    models = service.models
    return ServiceFact(
        name=clip(service.name),
        type=clip(service.type),
        status=clip(service.status),
        health=health,
        port=service.port,
        models=tuple(clip(m) for m in models) if models is not None else None,
        reason=reason_word(service.reason) if service.reason else None,
    )


def _addresses(message: StatusMessage) -> tuple[str, ...]:
    node = message.status.node
    known = [*(message.addresses or []), node.network_ip, node.tailscale_ip]
    return tuple(dict.fromkeys(clip(address) for address in known if address))


def _mean(values: list[float | None], scale: float) -> float | None:
    known = [value for value in values if value is not None]
    # A mean over some of the GPUs would pass for the node's own.
    if not known or len(known) < len(values):
        return None
    mean = sum(known) / len(known) / scale
    return mean if 0 <= mean < math.inf else None


def _total(values: list[int | None], scale: int) -> int | None:
    known = [value for value in values if value is not None]
    return _whole(sum(known) * scale) if known and len(known) == len(values) else None


def _requests(values: list[float | None]) -> int | None:
    known = [value for value in values if value is not None]
    return _whole(sum(known)) if known else None


def _scaled(value: float | None, scale: int) -> int | None:
    return None if value is None else _whole(value * scale)


def _whole(value: float) -> int | None:
    """Give an integer that an object can hold; what is beyond is nobody's memory or queue."""
    return int(value) if 0 <= value <= INT64_MAX else None
