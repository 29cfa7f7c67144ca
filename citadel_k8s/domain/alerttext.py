"""Messages about alerts, in words for people and in fields for machines."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from citadel_k8s.domain.alertgroups import Message
from citadel_k8s.domain.alerts import Alert
from citadel_k8s.models.codec import format_timestamp

NODES_MAX: Final = 50
"""Nodes named in a message to a machine; the rest is counted."""

NAMES_MAX: Final = 10
"""Nodes named in a message to a person; the rest is counted."""


def document(message: Message, labels: Mapping[str, str], sent: str) -> dict[str, Any]:
    """Give a message as the webhook sends it; ``sent`` is RFC 3339."""
    return {
        "version": "1",
        "id": message.id,
        "status": message.status,
        "alert": message.key.name,
        "reason": message.key.reason,
        "severity": message.severity,
        "labels": dict(labels),
        "count": len(message.firing),
        "new": message.fresh,
        "nodes": [_told(alert) for alert in message.firing[:NODES_MAX]],
        "more": max(0, len(message.firing) - NODES_MAX),
        "resolved": list(message.over[:NODES_MAX]),
        "resolvedCount": len(message.over),
        "sentAt": sent,
        "text": text(message),
    }


def text(message: Message) -> str:
    """Give a message in one or two lines."""
    key = message.key
    lines: list[str] = []
    if message.firing:
        nodes = [alert.node for alert in message.firing if alert.node]
        whom = f"{_count(len(nodes))}: {_names(nodes, NAMES_MAX)}" if nodes else "the fleet"
        lines.append(f"[{message.severity.upper()}] {key.name} ({key.reason}): {whom}")
        if len(message.firing) == 1:
            lines.append(message.firing[0].message)
    if message.over:
        nodes = [node for node in message.over if node]
        whom = f"{_count(len(nodes))}: {_names(nodes, NAMES_MAX)}" if nodes else "the fleet"
        lines.append(f"[RESOLVED] {key.name} ({key.reason}): {whom}")
    return "\n".join(lines)


def _count(number: int) -> str:
    return "1 node" if number == 1 else f"{number:,} nodes"


def _told(alert: Alert) -> dict[str, Any]:
    return {"node": alert.node, "since": format_timestamp(alert.started), "message": alert.message}


def _names(nodes: Iterable[str], most: int) -> str:
    named = list(nodes)
    more = f" and {len(named) - most:,} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more
