"""What is alerted of, as it stands now: alerts are made from states, never from transitions.

So whoever becomes the leader goes on where the one before it ended: it knows the same states.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.hardware import is_hardware_fault, remedy_of
from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.fabricnode import NodeState

LABEL_MAX: Final = 128
"""Characters kept of a label's value: node ids have at most 64, reasons too."""

TEXT_MAX: Final = 512
"""Characters kept of an annotation: what a person reads in a message."""

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN: Final = frozenset({"alertname", "node", "reason", "severity", "org"})


class AlertKey(NamedTuple):
    """What makes an alert one and the same; ``node`` is empty for one about the whole fleet."""

    name: str
    reason: str
    node: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know of. ``started``: seconds since the epoch."""

    name: str
    reason: str
    severity: str
    message: str
    started: float
    node: str = ""

    @property
    def key(self) -> AlertKey:
        """Its identity."""
        return AlertKey(self.name, self.reason, self.node)


def alert_of(node_id: str, live: Liveness, started: float) -> Alert | None:
    """Give the alert of a node as it is now; None if there is nothing to be told.

    Under maintenance nothing is. A node that flaps has one alert that says so, in place of a new
    one with each change.
    """
    if live.maintenance or live.state is NodeState.DECOMMISSIONED:
        return None
    if live.flapping:
        message = f"changes its state again and again, now {live.state}: {live.reason}"
        return Alert(
            "NodeFlapping", "Flapping", "warning", clip(message, TEXT_MAX), started, node_id
        )
    message = clip(live.message, TEXT_MAX)
    match live.state:
        case NodeState.OFFLINE:
            return Alert("NodeOffline", live.reason, "critical", message, started, node_id)
        case NodeState.DEGRADED:
            severity = "critical" if is_hardware_fault(live.reason) else "warning"
            return Alert("NodeDegraded", live.reason, severity, message, started, node_id)
        case _:
            return None


def pipeline_alert(reason: str, message: str, started: float) -> Alert:
    """Give the alert that heartbeats cannot arrive: no node is called Offline for it."""
    return Alert("HeartbeatPipelineDown", reason, "critical", clip(message, TEXT_MAX), started)


@dataclass(frozen=True, slots=True)
class Labels:
    """What all alerts of this operator carry: the org, and what its settings add.

    Raises
    ------
    ConfigError
        If a name is none that Prometheus knows, or one that alerts have already.
    """

    org: str | None = None
    external: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, org: str | None, external: Mapping[str, str]) -> "Labels":
        """Check the settings' labels."""
        for name in external:
            if not _LABEL.fullmatch(name) or name in _OWN or name.startswith("__"):
                raise ConfigError(
                    f"alerts.externalLabels: {clip(name)} cannot be a label; use a-z A-Z 0-9 _ and "
                    f"none of {', '.join(sorted(_OWN))}"
                )
        return cls(org, tuple(sorted(external.items())))

    def of(self, alert: Alert) -> dict[str, str]:
        """Give an alert's labels; empty ones are left out, as Alertmanager does."""
        own = {
            "alertname": alert.name,
            "node": alert.node,
            "reason": alert.reason,
            "severity": alert.severity,
            "org": self.org or "",
        }
        return {
            name: clip(value, LABEL_MAX) for name, value in (*self.external, *own.items()) if value
        }


def posted(alert: Alert, labels: Labels, ends_at: float) -> bytes:
    """Give an alert as Alertmanager's API v2 takes it; ``ends_at`` in the past resolves it."""
    remedy = remedy_of(alert.reason)
    document: dict[str, Any] = {
        "labels": labels.of(alert),
        "annotations": {
            "summary": summary(alert),
            "description": alert.message,
            **({"remedy": remedy} if remedy else {}),
        },
        "startsAt": format_timestamp(min(alert.started, ends_at)),
        "endsAt": format_timestamp(ends_at),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def summary(alert: Alert) -> str:
    """Give an alert in one line."""
    about = f"{alert.node}: " if alert.node else ""
    return clip(f"{about}{alert.name} ({alert.reason})", TEXT_MAX)
