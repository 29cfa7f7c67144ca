"""What a status message says, reduced to what the operator needs, in base units."""

import functools
import math
from dataclasses import dataclass
from typing import Final

from citadel_k8s.constants import NAME_MAX
from citadel_k8s.models.lean import (
    LeanCollector,
    LeanGpu,
    LeanMessage,
    LeanService,
    lean,
)
from citadel_k8s.models.wire import StatusMessage

_GIB = 1024**3
_MIB = 1024**2

NOT_REPORTED = "NotReported"
"""Reason of whatever a message does not speak of."""


REASON_MAX = 64
"""Characters kept of a reason: the longest of Kubernetes' own have about forty."""

INT64_MAX = 2**63 - 1
"""Largest integer of an object's schema. Source: OpenAPI's int64."""

WORDS_KEPT: Final = 2048
"""Words of messages, such as names of models, kept as they are shown: a fleet shares a few hundred,
and each is then one object for all nodes. The rest costs what it would cost without."""

WORD_MAX: Final = 64
"""Longest word that is kept, in characters: what a hostile node makes up must not fill memory."""

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


def facts_from(
    message: StatusMessage | LeanMessage,
    *,
    clock_offset: float | None = None,
    before: "NodeFacts | None" = None,
) -> NodeFacts:
    """Reduce a message.

    Parameters
    ----------
    message : StatusMessage or LeanMessage
        As decoded; a lean one is what a reader of many messages has.
    clock_offset : float or None
        Sender's time minus the receiver's, in seconds.
    before : NodeFacts or None
        What the same node said before. What has not changed since is that very object, so that
        it is neither made nor compared anew.
    """
    said = lean(message) if isinstance(message, StatusMessage) else message
    status = said["status"]
    gpus, services, system = status.get("gpu"), status.get("services"), status["system"]
    agent, config = said.get("agent"), status.get("config")
    first = gpus[0] if gpus else None
    return NodeFacts(
        gpus=None if gpus is None else _gpu_facts(gpus, before.gpus if before else None),
        gpu_model=_clipped(first["name"]) if first else None,
        driver=_clipped(first.get("driver") or None) if first else None,
        services=None
        if services is None
        else _service_facts(services, before.services if before else None),
        utilization=_mean([g.get("utilization_percent") for g in gpus or ()], 100),
        vram_used=_total([g.get("memory_used_mb") for g in gpus or ()], _MIB),
        vram_total=_total([g.get("memory_total_mb") for g in gpus or ()], _MIB),
        running=_requests([s.get("requests_running") for s in services or ()]),
        waiting=_requests([s.get("requests_waiting") for s in services or ()]),
        cpu_count=system.get("cpu_count"),
        memory_total=_scaled(system.get("memory_total_gb"), _GIB),
        disk_ratio=_ratio(system.get("disk_percent")),
        sources=_silent_sources(status.get("collectors")),
        addresses=_addresses(said, before.addresses if before else ()),
        agent_version=_clipped(agent["version"]) if agent else None,
        clock_offset=clock_offset,
        config_revision=_clipped(config.get("revision")) if config else None,
        config_error=_clipped(config.get("error")) if config else None,
        status_port=said.get("status_port"),
    )


def clip(text: str, length: int = NAME_MAX) -> str:
    """Shorten a text from outside and take its control characters out."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def _word(text: str) -> str:
    return _kept_word(text) if len(text) <= WORD_MAX else clip(text)


@functools.lru_cache(WORDS_KEPT)
def _kept_word(text: str) -> str:
    return clip(text)


def _clipped(text: str | None) -> str | None:
    return None if text is None else _word(text)


def reason_word(text: str) -> str:
    """Give a condition's reason from words of any kind: ``host-shutdown`` is ``HostShutdown``."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text).split()
    word = "".join(word[0].upper() + word[1:] for word in words)[:REASON_MAX]
    return word if word[:1].isalpha() else NOT_REPORTED


def _gpu_facts(gpus: list[LeanGpu], before: tuple[GpuFact, ...] | None) -> tuple[GpuFact, ...]:
    if before is not None and len(before) == len(gpus) and all(map(_says, gpus, before)):
        return before
    return tuple(_gpu_fact(gpu) for gpu in gpus)


def _says(gpu: LeanGpu, fact: GpuFact) -> bool:
    """Say whether a GPU is plainly what it was; one whose words had to be changed is made anew."""
    return (
        gpu["index"] == fact.index
        and gpu.get("uuid") == fact.uuid
        and gpu.get("health") == fact.health
        and not gpu.get("reason")
        and fact.reason is None
    )


def _gpu_fact(gpu: LeanGpu) -> GpuFact:
    health, uuid, reason = gpu.get("health"), gpu.get("uuid"), gpu.get("reason")
    return GpuFact(
        index=gpu["index"],
        uuid=clip(uuid) if uuid else None,
        health=health if health in {"ok", "degraded", "failed"} else "unknown",
        reason=reason_word(reason) if reason else None,
    )


def _service_facts(
    services: list[LeanService], before: tuple[ServiceFact, ...] | None
) -> tuple[ServiceFact, ...]:
    facts = tuple(_service_fact(service) for service in services)
    return before if before is not None and facts == before else facts


def _service_fact(service: LeanService) -> ServiceFact:
    health, models, reason = service.get("health"), service.get("models"), service.get("reason")
    return ServiceFact(
        name=_word(service["name"]),
        type=_word(service["type"]),
        status=_word(service["status"]),
        # The first messages said "healthy" where all later ones say "ok".
        health="ok" if health == "healthy" else _word(health or "unknown"),
        port=service.get("port"),
        models=None if models is None else tuple(_word(model) for model in models),
        reason=reason_word(reason) if reason else None,
    )


def _silent_sources(collectors: list[LeanCollector] | None) -> tuple[SourceFact, ...]:
    return tuple(
        SourceFact(_word(c["name"]), c["state"], reason_word(c.get("reason") or NOT_REPORTED))
        for c in collectors or ()
        if c["state"] != "ok"
    )


def _addresses(message: LeanMessage, before: tuple[str, ...]) -> tuple[str, ...]:
    node = message["status"]["node"]
    known = [*(message.get("addresses") or ()), node.get("network_ip"), node.get("tailscale_ip")]
    found = tuple(dict.fromkeys(clip(address) for address in known if address))
    return before if found == before else found


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


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
