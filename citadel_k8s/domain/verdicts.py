"""From what a node says to what is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass

from citadel_k8s.constants import CLOCK_SKEW_MAX, DISK_FULL_RATIO
from citadel_k8s.domain.facts import NodeFacts, ServiceFact


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. A definite one counts at once, a soft one when it is repeated."""

    reason: str
    message: str
    definite: bool


def faults_of(facts: NodeFacts) -> tuple[Fault, ...]:
    """Give what is wrong with a node, the gravest first; empty if nothing is known to be."""
    found = [*_gpu_faults(facts), *_service_faults(facts), *_host_faults(facts)]
    return tuple(sorted(found, key=lambda fault: not fault.definite))


def _gpu_faults(facts: NodeFacts) -> Iterator[Fault]:
    for gpu in facts.gpus or ():
        if gpu.health == "failed":
            reason = gpu.reason or "GpuFailed"
            # A call that gave no answer may be a moment's stall; a lost GPU says so itself.
            definite = reason != "Unresponsive"
            yield Fault(reason, f"GPU {gpu.index}: {reason}", definite)
        elif gpu.health == "degraded":
            yield Fault(gpu.reason or "GpuDegraded", f"GPU {gpu.index} is degraded", definite=False)


def _service_faults(facts: NodeFacts) -> Iterator[Fault]:
    for service in facts.services or ():
        if _refused(service):
            yield Fault("ServiceDown", f"{service.name}: connection refused", definite=True)
        elif service.status == "error" or service.health in {"unhealthy", "degraded"}:
            why = service.reason or service.health
            yield Fault("ServiceUnhealthy", f"{service.name}: {why}", definite=False)


def _refused(service: ServiceFact) -> bool:
    # "stopped" alone is no fault: a bare-metal node lists what it could start.
    return service.status == "stopped" and service.reason == "ConnectionRefused"


def _host_faults(facts: NodeFacts) -> Iterator[Fault]:
    if facts.disk_ratio is not None and facts.disk_ratio >= DISK_FULL_RATIO:
        yield Fault("DiskFull", f"disk {facts.disk_ratio:.0%} full", definite=False)
    if facts.clock_offset is not None and abs(facts.clock_offset) > CLOCK_SKEW_MAX:
        yield Fault("ClockSkew", f"clock off by {facts.clock_offset:+.0f} s", definite=False)
    for source in facts.sources:
        if source.state == "failed":
            message = f"source {source.name}: {source.reason}"
            yield Fault("CollectorFailed", message, definite=False)
