"""The status that a FabricNode should have, as a function of what is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from citadel_k8s.constants import LIST_MAX, STATUS_MAX_BYTES
from citadel_k8s.domain.conditions import NOTHING_WANTED, OURS, Wanted, conditions_of
from citadel_k8s.domain.facts import GpuFact, NodeFacts, ServiceFact, clip
from citadel_k8s.domain.life import Liveness
from citadel_k8s.domain.summary import summarise
from citadel_k8s.models.fabricnode import (
    AgentStatus,
    FabricNodeStatus,
    GpuStatus,
    Hardware,
    NodeState,
    ServiceStatus,
)

MESSAGE_MIN: Final = 40
"""Characters left of a condition's message where all else that can be left out has been."""


@dataclass(frozen=True, slots=True)
class View:
    """All that a projection looks at. Times are RFC 3339 of the operator's wall clock."""

    node: Liveness
    facts: NodeFacts | None
    previous: FabricNodeStatus
    generation: int | None
    now: str
    last_heartbeat: str | None
    wanted: Wanted = NOTHING_WANTED


def desired_status(view: View) -> FabricNodeStatus:
    """Give the full status; at most ``STATUS_MAX_BYTES`` of JSON."""
    node, facts, previous = view.node, view.facts, view.previous
    fresh = node.fresh
    reason = None if node.state is NodeState.ONLINE else node.reason
    status = FabricNodeStatus(
        state=node.state,
        conditions=conditions_of(
            node,
            facts,
            previous.conditions,
            now=view.now,
            generation=view.generation,
            wanted=view.wanted,
        ),
        agent=_agent(node.boot_id or _boot_of(previous), facts, previous),
        **(_inventory(facts, fresh=fresh) if facts else _last_inventory(previous)),
        summary=summarise(facts, previous.summary, reason, fresh=fresh),
        confirmed_time=view.now,
        # While a node speaks this would change with every heartbeat.
        last_heartbeat_time=None if fresh else view.last_heartbeat,
        config_revision=_revision(facts, previous, fresh=fresh),
        observed_generation=view.generation,
    )
    return _fitting(status)


def as_document(model: BaseModel) -> dict[str, Any]:
    """Give a status as a merge patch needs it: null where an object has nothing.

    Inside lists a null would be stored as one, so there it is left out.
    """
    known = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        key = field.alias or name
        if isinstance(value, BaseModel):
            known[key] = as_document(value)
        else:
            known.setdefault(key, None)
    return known


def _agent(
    boot_id: str | None, facts: NodeFacts | None, previous: FabricNodeStatus
) -> AgentStatus | None:
    before = previous.agent.version if previous.agent else None
    version = facts.agent_version if facts else before
    return AgentStatus(version=version, boot_id=boot_id) if version or boot_id else None


def _revision(facts: NodeFacts | None, previous: FabricNodeStatus, *, fresh: bool) -> str | None:
    """Give what the node says that it has applied; of a silent one, what it said last."""
    told = facts.config_revision if facts else None
    return told if fresh and facts else told or previous.config_revision


def _boot_of(status: FabricNodeStatus) -> str | None:
    return status.agent.boot_id if status.agent else None


def _inventory(facts: NodeFacts, *, fresh: bool) -> dict[str, Any]:
    return {
        "addresses": list(facts.addresses[:LIST_MAX]) or None,
        "hardware": _hardware(facts),
        **_gpu_lists(facts.gpus, fresh=fresh),
        **_service_lists(facts.services, fresh=fresh),
    }


def _last_inventory(previous: FabricNodeStatus) -> dict[str, Any]:
    """Keep what an operator before this one knew; how it fares now, nobody knows."""
    return {
        "addresses": previous.addresses,
        "hardware": previous.hardware,
        "gpus": _unknown_health(previous.gpus),
        "more_gpus": previous.more_gpus,
        "services": _unknown_health(previous.services),
        "more_services": previous.more_services,
    }


def _unknown_health(items: Sequence[BaseModel] | None) -> list[BaseModel] | None:
    if items is None:
        return None
    return [item.model_copy(update={"health": "unknown"}) for item in items]


def _hardware(facts: NodeFacts) -> Hardware:
    return Hardware(
        gpu_count=len(facts.gpus) if facts.gpus is not None else None,
        gpu_model=facts.gpu_model,
        gpu_memory_bytes=facts.vram_total,
        driver=facts.driver,
        cpu_count=facts.cpu_count,
        memory_bytes=facts.memory_total,
    )


def _gpu_lists(gpus: tuple[GpuFact, ...] | None, *, fresh: bool) -> dict[str, Any]:
    if gpus is None:
        return {}
    kept = [
        GpuStatus(
            index=g.index, uuid=g.uuid, health=g.health if fresh else "unknown", reason=g.reason
        )
        for g in gpus[:LIST_MAX]
    ]
    return {"gpus": kept, "more_gpus": len(gpus) - len(kept) or None}


def _service_lists(services: tuple[ServiceFact, ...] | None, *, fresh: bool) -> dict[str, Any]:
    if services is None:
        return {}
    kept = [
        ServiceStatus(
            name=s.name,
            type=s.type,
            health=s.health if fresh else "unknown",
            port=s.port,
            models=list(s.models[:LIST_MAX]) if s.models is not None else None,
        )
        for s in services[:LIST_MAX]
    ]
    return {"services": kept, "more_services": len(services) - len(kept) or None}


def _fitting(status: FabricNodeStatus) -> FabricNodeStatus:
    """Leave services, then GPUs, out from the end until it fits; what is left out is counted."""
    services, gpus = status.services or [], status.gpus or []
    while _size(status) > STATUS_MAX_BYTES and services:
        services = services[:-1]
        more = (status.more_services or 0) + 1
        status = status.model_copy(update={"services": services, "more_services": more})
    while _size(status) > STATUS_MAX_BYTES and gpus:
        gpus = gpus[:-1]
        more = (status.more_gpus or 0) + 1
        status = status.model_copy(update={"gpus": gpus, "more_gpus": more})
    if _size(status) > STATUS_MAX_BYTES:
        status = status.model_copy(update={"addresses": None})
    if _size(status) > STATUS_MAX_BYTES:
        short = [
            condition.model_copy(update={"message": clip(condition.message, MESSAGE_MIN)})
            for condition in status.conditions
        ]
        status = status.model_copy(update={"conditions": short})
    return status


def _size(status: FabricNodeStatus) -> int:
    """Give the bytes of what is ours: another program's words must not cost a node its GPUs."""
    ours = [condition for condition in status.conditions if condition.type in OURS]
    if len(ours) < len(status.conditions):
        status = status.model_copy(update={"conditions": ours})
    return len(status.model_dump_json(by_alias=True, exclude_none=True).encode())
