"""Kubernetes Events and served models, in the shapes in which the API tells them."""

from collections.abc import Iterable, Mapping
from typing import Any

from citadel_k8s.domain.fleetrows import part, parts

SERVING = frozenset({"Online", "Degraded", "Draining"})
"""States of a node whose models can be asked; as the API's, which knows Stale too."""


def event_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Give an Event as `models.views.FleetEvent`, with ``type`` for ``kind``."""
    metadata, series = part(raw, "metadata"), part(raw, "series")
    last = series.get("lastObservedTime") or raw.get("lastTimestamp") or raw.get("eventTime")
    return {
        "id": str(metadata.get("uid") or metadata.get("name") or ""),
        "time": str(last or metadata.get("creationTimestamp") or ""),
        "node": str(part(raw, "involvedObject").get("name") or ""),
        "type": str(raw.get("type") or ""),
        "reason": str(raw.get("reason") or ""),
        "message": str(raw.get("message") or ""),
        "count": series.get("count") or raw.get("count") or 1,
    }


def served_of(objects: Iterable[Mapping[str, Any]], wanted: str | None) -> list[dict[str, Any]]:
    """Give the models of some FabricNodes and who serves them, as `models.views.ModelView`."""
    found: dict[str, dict[str, Any]] = {}
    for raw in objects:
        status = part(raw, "status")
        if status.get("state") not in SERVING:
            continue
        name = str(part(raw, "spec").get("nodeId") or part(raw, "metadata").get("name"))
        for service in parts(status, "services"):
            _add(found, name, service)
    folded = (wanted or "").casefold()
    return [found[model] for model in sorted(found) if folded in model.casefold()]


def _add(found: dict[str, dict[str, Any]], node: str, service: Mapping[str, Any]) -> None:
    health = service.get("health")
    for name in dict.fromkeys(str(model) for model in service.get("models") or ()):
        model = found.setdefault(name, {"model": name, "nodes": [], "replicas": 0, "engines": []})
        if node not in model["nodes"]:
            model["nodes"] = sorted([*model["nodes"], node])
        model["replicas"] += 1
        engine = str(service.get("type") or service.get("name"))
        model["engines"] = sorted({*model["engines"], engine})
        # A health that nobody knows is neither good nor bad.
        if health and health != "unknown":
            model["healthy"] = model.get("healthy", 0) + (health == "ok")
