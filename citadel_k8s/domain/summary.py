"""Text for the columns of ``kubectl get fabricnodes``, which cannot compute.

An unknown is the word ``unknown``, never a zero and never blank.
"""

from typing import Final

from citadel_k8s.domain.facts import NodeFacts
from citadel_k8s.models.fabricnode import Summary

UNKNOWN: Final = "unknown"
"""What a column says of what is not known."""

NONE: Final = "none"
"""What a column says where there is known to be nothing."""

_GIB: Final = 1024**3

_STEP: Final = 10
"""Step of the UTIL column in percent: a finer one would make every heartbeat a write."""

_HYSTERESIS: Final = 3
"""Percent beyond the middle between two steps before the text changes."""

_MODELS_MAX: Final = 24
"""Characters of the MODELS column: with all others, and names of 13, the table stays within 120."""


def summarise(
    facts: NodeFacts | None, previous: Summary | None, reason: str | None, *, fresh: bool
) -> Summary:
    """Give the columns of a node.

    Parameters
    ----------
    facts : NodeFacts or None
        The last message; None if there was none.
    previous : Summary or None
        What the object says now; the utilization keeps to it while it is near enough.
    reason : str or None
        Why the node is not Online.
    fresh : bool
        Whether the message is recent. If not, only what the node is made of is still told.
    """
    if facts is None:
        return _silent(previous or _BLANK, reason)
    summary = Summary(
        gpus=_gpus(facts),
        util=_util(facts, previous.util if previous else None),
        vram=_vram(facts),
        models=_models(facts),
        requests=_requests(facts),
        address=facts.addresses[0] if facts.addresses else None,
        gpu_model=facts.gpu_model,
        driver=facts.driver,
        agent=facts.agent_version,
        reason=reason,
    )
    return summary if fresh else _silent(summary, reason)


_BLANK: Final = Summary(gpus=UNKNOWN, util=UNKNOWN, vram=UNKNOWN, models=UNKNOWN, requests=UNKNOWN)


def _silent(last: Summary, reason: str | None) -> Summary:
    """Give what is left of a summary when the node is silent: 8 GPUs, nobody knows how they are."""
    return last.model_copy(
        update={
            "gpus": _unknown_part(last.gpus),
            "util": last.util if last.util == NONE else UNKNOWN,
            "vram": _unknown_part(last.vram),
            "models": UNKNOWN,
            "requests": UNKNOWN,
            "reason": reason,
        }
    )


def _unknown_part(text: str) -> str:
    _, slash, total = text.partition("/")
    return f"?/{total}" if slash else text


def _no_gpus(facts: NodeFacts) -> str | None:
    if facts.gpus:
        return None
    source = facts.gpu_source
    return NONE if source is not None and source.state == "absent" else UNKNOWN


def _gpus(facts: NodeFacts) -> str:
    missing = _no_gpus(facts)
    if missing or not facts.gpus:
        return missing or UNKNOWN
    states = [gpu.health for gpu in facts.gpus]
    healthy = "?" if "unknown" in states else str(states.count("ok"))
    return f"{healthy}/{len(states)}"


def _util(facts: NodeFacts, previous: str | None) -> str:
    if facts.utilization is None:
        return _no_gpus(facts) or UNKNOWN
    percent = facts.utilization * 100
    if previous and previous.endswith("%") and previous[:-1].isdigit():
        held = int(previous[:-1])
        if abs(percent - held) <= _STEP / 2 + _HYSTERESIS:
            return f"{held}%"
    return f"{min(100, round(percent / _STEP) * _STEP)}%"


def _vram(facts: NodeFacts) -> str:
    if facts.vram_total is None:
        return _no_gpus(facts) or UNKNOWN
    used = "?" if facts.vram_used is None else str(round(facts.vram_used / _GIB))
    return f"{used}/{round(facts.vram_total / _GIB)}Gi"


def _models(facts: NodeFacts) -> str:
    if facts.services is None:
        return UNKNOWN
    serving = [service for service in facts.services if service.serving]
    names = list(dict.fromkeys(m for service in serving for m in service.models or ()))
    if not names:
        known = all(service.models is not None for service in serving)
        return NONE if known else UNKNOWN
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    room = _MODELS_MAX - len(more)
    first = names[0].rpartition("/")[2]
    return (first if len(first) <= room else first[: room - 1] + "…") + more


def _requests(facts: NodeFacts) -> str:
    if facts.running is None and facts.waiting is None:
        return NONE if facts.services == () else UNKNOWN
    running = "?" if facts.running is None else facts.running
    waiting = "?" if facts.waiting is None else facts.waiting
    return f"{running}/{waiting}"
