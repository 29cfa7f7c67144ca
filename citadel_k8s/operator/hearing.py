"""What liveness takes of a message, and what kind of write a change asks for."""

import operator
from typing import Final

from citadel_k8s.domain.facts import NodeFacts
from citadel_k8s.domain.liveness import Beat, Goodbye, Liveness
from citadel_k8s.domain.reconcile import WriteKind
from citadel_k8s.domain.verdicts import faults_of
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.models.fabricnode import FabricNodeStatus
from citadel_k8s.models.lean import LeanMessage
from citadel_k8s.stores.entries import Entry

_FIGURES: Final = frozenset(
    {"utilization", "vram_used", "running", "waiting", "disk_ratio", "clock_offset"}
)
"""What of facts moves with each heartbeat and shows as a column's text at most."""

_details = operator.attrgetter(*(NodeFacts.__dataclass_fields__.keys() - _FIGURES))
"""Gives of facts what is no figure."""


def beat_of(message: LeanMessage, facts: NodeFacts, at: float) -> Beat:
    """Give what liveness takes of a message that was sent at a moment (monotonic seconds)."""
    goodbye = message.get("goodbye")
    return Beat(
        at=at,
        boot_id=message.get("boot_id"),
        seq=message.get("seq"),
        interval=message.get("interval_seconds"),
        goodbye=Goodbye(goodbye["reason"], goodbye.get("expected_back_seconds"))
        if goodbye
        else None,
        faults=faults_of(facts),
    )


def continues(live: Liveness, beat: Beat) -> bool:
    """Say whether a word follows the last one of the same process: it cannot have been counted."""
    if beat.boot_id is None or beat.boot_id != live.boot_id or beat.seq is None:
        return False
    return live.seq is None or beat.seq > live.seq


def clock_offset(message: LeanMessage, entry: Entry) -> float | None:
    """Give the sender's time minus the stream server's, in seconds; None if it told none."""
    try:
        return parse_timestamp(message["timestamp"]) - entry.id.ms / 1000
    except WireError:
        return None  # a date that is none, such as 30 February: the node speaks all the same


def ready_claim(status: FabricNodeStatus) -> tuple[str, str]:
    """Give reason and message as they stand: a restart is nothing to write home about."""
    ready = next((c for c in status.conditions if c.type == "Ready"), None)
    if ready is None:
        return "Restored", f"was {status.state} before this operator started"
    return ready.reason, ready.message


def kind_of_news(
    before: Liveness, live: Liveness, old: NodeFacts | None, facts: NodeFacts | None
) -> WriteKind | None:
    """Say what kind of write a change asks for; None if for none."""
    if live.state is not before.state:
        return WriteKind.STATE
    if _differs(before, live):
        return WriteKind.DETAIL
    if old is facts:
        return None
    if old is None or facts is None or _details(old) != _details(facts):
        return WriteKind.DETAIL
    return None if old == facts else WriteKind.TEXT


def _differs(before: Liveness, live: Liveness) -> bool:
    return (
        live.reason != before.reason
        or live.boot_id != before.boot_id
        or live.flapping is not before.flapping
        or live.maintenance is not before.maintenance
    )
