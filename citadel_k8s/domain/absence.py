"""What people and the cluster say of a node, beside its own words."""

from dataclasses import replace
from typing import Final

from citadel_k8s.constants import GOODBYE_SECONDS
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.life import NEVER, Liveness, Phase, Policy, Words, shown

TERMINATING: Final = "Terminating"
"""Reason of an agent that was asked to stop and does not know why."""

UPGRADE_SECONDS: Final = GOODBYE_SECONDS
"""Seconds after a goodbye within which another version of the agent makes it an upgrade: as long
as the roll-out of a DaemonSet may take for one node."""

REJUDGE_SECONDS: Final = 1.0
"""Seconds before a node that is down is judged when maintenance ends: long enough for the question
whether it answers to be under way, which the judge then waits for."""


def governed(node: Liveness, policy: Policy) -> Liveness:
    """Give the node under another policy; the silence so far counts by the new one."""
    if policy == node.policy:
        return node
    if node.deadline is None or node.phase in {Phase.LEAVING, Phase.ANSWERING}:
        return replace(node, policy=policy)
    deadline = max(node.quiet_since + policy.timeout, node.not_before)
    return replace(node, policy=policy, deadline=deadline)


def instructed(node: Liveness, *, maintenance: bool, decommission: bool, now: float) -> Liveness:
    """Take what people want of the node.

    What ends brings a node that is down before the judge; until then it is shown as it was, for
    it may answer by now.
    """
    if (maintenance, decommission) == (node.maintenance, node.decommission):
        return node
    over = (node.maintenance and not maintenance) or (node.decommission and not decommission)
    wanted = replace(node, maintenance=maintenance, decommission=decommission)
    if over and not decommission and node.phase is Phase.DOWN:
        return replace(wanted, deadline=max(now + REJUDGE_SECONDS, node.deadline or NEVER))
    return shown(wanted, now)


def noticed(node: Liveness, now: float, *, ready: bool | None) -> Liveness:
    """Take what the cluster says of its Node: Ready, not, or nothing."""
    if ready is node.node_ready:
        return node
    told = replace(node, node_ready=ready)
    return shown(told, now) if node.phase is Phase.SPEAKING else told


def drained(node: Liveness, now: float) -> Liveness:
    """Take note that the Node of a leaving agent is cordoned: somebody empties it."""
    if node.phase is not Phase.LEAVING or node.words is None or node.words.reason != TERMINATING:
        return node
    words = Words("Drain", f"{node.words.message}; its Node is cordoned")
    return shown(replace(node, words=words), now)


def upgraded(node: Liveness, before: str | None, after: str | None, now: float) -> Liveness:
    """Take note, after the fact, that an agent left to make room for another version."""
    if node.phase is not Phase.LEAVING or node.left_at is None or node.words is None:
        return node
    recent = now - node.left_at <= UPGRADE_SECONDS
    if not recent or before is None or after is None or before == after:
        return node
    words = Words("Upgrade", f"agent {clip(after)} comes after {clip(before)}")
    return shown(replace(node, words=words), now)
