"""Rules about what the operator tells: who leads, whether heartbeats arrive, nodes' clocks."""

from collections.abc import Sequence
from typing import Final

from citadel_k8s.cli.doctor.cluster import NTP
from citadel_k8s.cli.doctor.finding import Finding, failure, listed, ok, unknown, warning
from citadel_k8s.cli.doctor.objects import Object, condition, count, moment, name, part, text
from citadel_k8s.models.fabricstatus import PIPELINE

LEASE_DURATION: Final = 15
"""Seconds that a Lease holds that names no duration, as `domain.election` has it."""

LEASE_GRACE: Final = 5.0
"""Seconds by which a Lease may look run out before that counts: clocks differ, and the holder
renews each 2 s. `clock` tells of more."""

STATUS_OLD: Final = 345.0
"""Age of a FabricStatus in seconds from which nobody writes it: the operator renews it after at
most five minutes and a half."""

SPEAKING: Final = frozenset({"Online", "Degraded", "Draining"})
"""States of nodes whose heartbeats arrive."""


def writes(status: Object | None, now: float) -> bool:
    """Tell whether an operator has written the FabricStatus lately."""
    written = moment(text(status, "status", "confirmedTime"))
    return written is not None and now - written <= STATUS_OLD


def heard(node: Object) -> bool:
    """Tell whether the heartbeats of a node arrive."""
    return text(node, "status", "state") in SPEAKING


def leader(lease: Object | None, now: float, space: str, *, written: bool = False) -> Finding:
    """Judge the Lease of the operator that writes; ``written``: whether one did lately."""
    check = "leader"
    if lease is None and written:
        return warning(
            check,
            "an operator writes and holds no Lease: it must stay the only one",
            "set election.enabled: true in the operator's settings",
        )
    look = f"kubectl -n {space} logs deployment/citadel-operator --tail 20"
    if lease is None:
        return failure(check, "no operator ever took the Lease: nobody writes FabricNodes", look)
    spec = part(lease, "spec")
    holder = text(spec, "holderIdentity")
    if holder is None:
        return failure(check, "nobody holds the operator's Lease: nobody writes FabricNodes", look)
    renewed = moment(text(spec, "renewTime"))
    if renewed is None:
        return unknown(check, f"{holder} holds the Lease and does not say since when")
    age = now - renewed
    duration = count(spec, "leaseDurationSeconds") or LEASE_DURATION
    if age > duration + LEASE_GRACE:
        return failure(
            check, f"{holder} holds the Lease and renewed it {age:.0f} s ago, not {duration}", look
        )
    return ok(check, f"{holder} leads, renewed {max(0.0, age):.0f} s ago")


def fabric(status: Object | None, now: float, space: str) -> Finding:
    """Judge the FabricStatus: whether heartbeats can arrive."""
    check = "pipeline"
    look = f"kubectl -n {space} logs deployment/citadel-operator --tail 20"
    if status is None:
        return failure(check, "there is no FabricStatus: no operator ever ran here", look)
    told = condition(status, PIPELINE)
    written = moment(text(status, "status", "confirmedTime"))
    if told is None or written is None:
        return unknown(check, "the operator has not yet said how the pipeline fares", look)
    if now - written > STATUS_OLD:
        return failure(
            check, f"the FabricStatus was last written {(now - written) / 60:.0f} min ago", look
        )
    said = f"{told.get('reason')}: {told.get('message')}"
    if told.get("status") == "True":
        return ok(check, f"the operator reads heartbeats ({said})")
    if told.get("status") == "False":
        return failure(check, said, look)
    return unknown(check, said, look)


def heartbeats(nodes: Sequence[Object], space: str) -> Finding:
    """Judge whether nodes are heard."""
    check = "heartbeats"
    if not nodes:
        return failure(
            check,
            "there is no FabricNode: no agent was ever heard",
            f"kubectl -n {space} logs daemonset/citadel-agent --tail 20",
        )
    speaking = [node for node in nodes if heard(node)]
    if not speaking:
        return failure(
            check,
            f"none of {len(nodes)} nodes is heard",
            f"kubectl -n {space} logs daemonset/citadel-agent --tail 20",
        )
    silent = [
        name(node)
        for node in nodes
        if not heard(node) and text(node, "status", "state") != "Decommissioned"
    ]
    if silent:
        return warning(
            check,
            f"{len(speaking)} of {len(nodes)} nodes are heard; silent: {listed(silent)}",
            f"kubectl describe fabricnode {silent[0]}",
        )
    return ok(check, f"{len(speaking)} of {len(nodes)} nodes are heard")


def node_clocks(nodes: Sequence[Object]) -> Finding:
    """Judge the nodes' clocks, by what the operator found."""
    check = "node-clocks"
    told = {name(node): condition(node, "ClockSynced") for node in nodes}
    wrong = {n: c for n, c in told.items() if c is not None and c.get("status") == "False"}
    if wrong:
        said = listed(f"{node} {found.get('message')}" for node, found in wrong.items())
        return warning(check, f"{len(wrong)} nodes have a wrong clock: {said}", f"{NTP} (there)")
    known = sum(c is not None and c.get("status") == "True" for c in told.values())
    if not known:
        return unknown(check, "no node's clock is known")
    return ok(check, f"the clocks of {known} of {len(nodes)} nodes are right")
