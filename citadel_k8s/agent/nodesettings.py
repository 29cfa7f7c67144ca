"""What holds on a node now: its own settings, and over them what it was told from afar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from citadel_k8s.config.agent import AgentSettings, EngineEndpoint, check_engine
from citadel_k8s.domain.configfields import ENGINES_MAX
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.nodeconfig import Values, check
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.stores.entries import EntryId


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What holds now.

    ``services`` should be there whether or not they are found. The three switches are None where
    nobody ever said; they are kept for whoever alerts, and nothing on the node is switched off
    by them.
    """

    display_name: str | None
    tags: tuple[str, ...]
    services: tuple[str, ...]
    interval_seconds: float
    engines: tuple[EngineEndpoint, ...]
    health_monitoring: bool | None = None
    alert_on_offline: bool | None = None
    alert_on_high_temp: bool | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What the node was told so far: the sum of all changes, and which was the last."""

    values: Values = field(default_factory=dict[str, Any])
    revision: str | None = None
    applied_at: str | None = None
    unsupported: tuple[str, ...] = ()
    last_id: EntryId | None = None


def node_config(settings: AgentSettings, values: Values) -> NodeConfig:
    """Lay what the node was told over its own settings.

    Engines told from afar are asked beside the node's own; one of the same name takes its place.
    """
    engines = {engine.name: engine for engine in settings.engines}
    engines |= {e["name"]: EngineEndpoint.model_validate(e) for e in values.get("engines", ())}
    tags = values.get("customTags")
    return NodeConfig(
        display_name=values.get("deviceName", settings.display_name),
        tags=settings.tags if tags is None else tuple(tags),
        services=tuple(values.get("services", ())),
        interval_seconds=values.get("intervalSeconds", settings.interval_seconds),
        engines=tuple(engines.values())[:ENGINES_MAX],
        health_monitoring=values.get("healthMonitoringEnabled"),
        alert_on_offline=values.get("alertOnOffline"),
        alert_on_high_temp=values.get("alertOnHighTemp"),
    )


def told_document(told: Told) -> dict[str, Any]:
    """Give what is saved of what the node was told."""
    return {
        "revision": told.revision,
        "appliedAt": told.applied_at,
        "unsupported": list(told.unsupported),
        "lastId": None if told.last_id is None else str(told.last_id),
        "values": dict(told.values),
    }


def told_from(document: Mapping[str, Any]) -> Told:
    """Read what was saved; nothing in it is trusted.

    Raises
    ------
    WireError
        If it does not fit.
    """
    values, last, unsupported = (document.get(k) for k in ("values", "lastId", "unsupported"))
    if not isinstance(values, dict) or not isinstance(unsupported, list):
        raise WireError("BadField", "values", "an object and a list of names are needed")
    applied_at = document.get("appliedAt")
    if not isinstance(applied_at, str):
        raise WireError("BadField", "appliedAt", "a date is needed")
    parse_timestamp(applied_at)
    # The same rules as for a message: with "revision" beside them as it is in one.
    change = check(
        {**values, "revision": document.get("revision")},  # pyright: ignore[reportUnknownArgumentType]
        check_engine,
        at="values",
    )
    return Told(
        values={key: value for key, value in change.values.items() if value is not None},
        revision=change.revision,
        applied_at=applied_at,
        unsupported=tuple(clip(str(name)) for name in unsupported[:ENGINES_MAX]),  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        last_id=None if last is None else EntryId.parse(str(last)),
    )
