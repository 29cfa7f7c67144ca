"""The status that a FabricNode should have, as a function of what is known."""

import json
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from citadel_k8s.constants import LIST_MAX, STATUS_MAX_BYTES
from citadel_k8s.domain.conditions import conditions_of
from citadel_k8s.domain.facts import NodeFacts, ServiceFact
from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.domain.summary import summarise
from citadel_k8s.models.fabricnode import (
    AgentStatus,
    FabricNodeStatus,
    GpuStatus,
    Hardware,
    NodeState,
    ServiceStatus,
)

_QUIET = frozenset({NodeState.ONLINE, NodeState.DEGRADED})


@dataclass(frozen=True, slots=True)
class View:
    """All that a projection looks at. Times are RFC 3339 of the operator's wall clock."""

    node: Liveness
    facts: NodeFacts | None
    previous: FabricNodeStatus
    generation: int | None
    now: str
    last_heartbeat: str | None


def desired_status(view: View) -> FabricNodeStatus:
    """Give the full status; at most ``STATUS_MAX_BYTES`` of JSON."""
    node, facts, previous = view.node, view.facts, view.previous
    online = node.state is NodeState.ONLINE
    status = FabricNodeStatus(
        state=node.state,
        conditions=conditions_of(
            node, facts, previous.conditions, now=view.now, generation=view.generation
        ),
        agent=AgentStatus(version=facts.agent_version if facts else None, boot_id=node.boot_id),
        addresses=list(facts.addresses[:LIST_MAX]) or None if facts else None,
        hardware=_hardware(facts),
        **_gpu_lists(facts),
        **_service_lists(facts.services if facts else None),
        summary=summarise(facts, previous.summary, None if online else node.reason),
        confirmed_time=view.now,
        # While a node speaks this would change with every heartbeat.
        last_heartbeat_time=None if node.state in _QUIET else view.last_heartbeat,
        config_revision=previous.config_revision,
        observed_generation=view.generation,
    )
    return _fitting(status, view)


def as_document(status: FabricNodeStatus) -> dict[str, Any]:
    """Give the status as a merge patch needs it: null where an object has nothing.

    Inside lists a null would be stored as one, so there it is left out.
    """
    return _nulled(status)


def _nulled(model: BaseModel) -> dict[str, Any]:
    known = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        key = field.alias or name
        if isinstance(value, BaseModel):
            known[key] = _nulled(value)
        else:
            known.setdefault(key, None)
    return known


def _hardware(facts: NodeFacts | None) -> Hardware | None:
    if facts is None:
        return None
    return Hardware(
        gpu_count=len(facts.gpus) if facts.gpus is not None else None,
        gpu_model=facts.gpu_model,
        gpu_memory_bytes=facts.vram_total,
        driver=facts.driver,
        cpu_count=facts.cpu_count,
        memory_bytes=facts.memory_total,
    )


def _gpu_lists(facts: NodeFacts | None) -> dict[str, Any]:
    if facts is None or facts.gpus is None:
        return {}
    kept = [
        GpuStatus(index=g.index, uuid=g.uuid, health=g.health, reason=g.reason)
        for g in facts.gpus[:LIST_MAX]
    ]
    return {"gpus": kept, "more_gpus": len(facts.gpus) - len(kept) or None}


def _service_lists(services: tuple[ServiceFact, ...] | None) -> dict[str, Any]:
    if services is None:
        return {}
    kept = [
        ServiceStatus(
            name=s.name,
            type=s.type,
            health=s.health,
            port=s.port,
            models=list(s.models[:LIST_MAX]) if s.models is not None else None,
        )
        for s in services[:LIST_MAX]
    ]
    return {"services": kept, "more_services": len(services) - len(kept) or None}


def _fitting(status: FabricNodeStatus, view: View) -> FabricNodeStatus:
    """Leave services out from the end until the status fits; each one left out is counted."""
    facts = view.facts
    while _size(status) > STATUS_MAX_BYTES and facts and facts.services and status.services:
        fewer = status.services[:-1]
        more = len(facts.services) - len(fewer)
        status = status.model_copy(update={"services": fewer, "more_services": more})
    if _size(status) > STATUS_MAX_BYTES and facts:
        bare = replace(facts, gpus=facts.gpus[:1] if facts.gpus else facts.gpus, addresses=())
        dropped = len(facts.gpus or ()) - 1
        lists = _gpu_lists(bare) | {"more_gpus": dropped or None, "addresses": None}
        status = status.model_copy(update=lists)
    return status


def _size(status: FabricNodeStatus) -> int:
    document = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())
