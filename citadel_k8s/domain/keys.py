"""Names: node ids, object names, stream and channel names."""

import hashlib
import re

from citadel_k8s.constants import NODE_ID_MAX
from citadel_k8s.errors import WireError

_NODE_ID = re.compile(rf"[a-zA-Z0-9._-]{{1,{NODE_ID_MAX}}}")
_NODE_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_LABEL_MAX = 63
_HASH_DIGITS = 6
"""Hex digits of a hash behind a changed name: 16 million, enough to keep one fleet apart; two
nodes that still collide are told apart by ``spec.nodeId`` and the second is refused."""


def check_node_id(text: str) -> str:
    """Give the node id back if it is one.

    Raises
    ------
    WireError
        With reason ``BadNodeId``.
    """
    if not _NODE_ID.fullmatch(text):
        raise WireError(
            "BadNodeId", "nodeId", f"{text[:80]!r} is not 1-{NODE_ID_MAX} of A-Z a-z 0-9 . _ -"
        )
    return text


def node_id_from_name(name: str) -> str:
    """Give the node id of a Kubernetes node name; longer ones are cut and get a hash.

    Raises
    ------
    WireError
        If the name is empty or has characters that no Kubernetes node name has.
    """
    if len(name) <= NODE_ID_MAX:
        return check_node_id(name)
    if not _NODE_NAME.fullmatch(name):
        raise WireError("BadNodeId", "nodeId", f"{name[:80]!r}… is no Kubernetes node name")
    return f"{name[: NODE_ID_MAX - _HASH_DIGITS - 1]}-{_digest(name)}"


def object_name(node_id: str) -> str:
    """Give the name of the FabricNode of a node id.

    Lower case, ``_`` becomes ``-``; a name that had to change, or is longer than 63 characters,
    gets a hash of the id behind it, so that ``GPU_1`` and ``gpu-1`` stay two objects.
    """
    check_node_id(node_id)
    parts = node_id.lower().replace("_", "-").split(".")
    plain = ".".join(part.strip("-") for part in parts if part.strip("-")) or "node"
    if plain == node_id and len(plain) <= _LABEL_MAX:
        return plain
    head = plain[: _LABEL_MAX - _HASH_DIGITS - 1].rstrip("-.")
    return f"{head}-{_digest(node_id)}"


def status_channel(node_id: str) -> str:
    """Give the pub/sub channel on which a node's status is announced."""
    return f"node:status:{node_id}"


def config_channel(node_id: str) -> str:
    """Give the pub/sub channel on which a change of a node's configuration is announced."""
    return f"config:node:{node_id}"


def presence_channel(node_id: str) -> str:
    """Give the pub/sub channel on which agents of one node id hear of each other."""
    return f"node:presence:{node_id}"


def org_events_channel(org_id: str) -> str:
    """Give the pub/sub channel on which changes of an org's nodes are announced."""
    return f"fabric:org:{org_id}:events"


def org_events_stream(org_id: str) -> str:
    """Give the short stream of an org's changes, from which a reader goes on where it was."""
    return f"fabric:org:{org_id}:stream"


def org_key(org_id: str, name: str) -> str:
    """Give the key in Redis for a name that a node uses: each org has names of its own."""
    return f"org:{org_id}:{name}"


def last_status_key(org_id: str, node_id: str) -> str:
    """Give the key of the last status that a node sent, whole."""
    return org_key(org_id, f"node:{node_id}:status")


def arrivals_key(org_id: str, node_id: str) -> str:
    """Give the key of the list of when a node's last heartbeats arrived."""
    return org_key(org_id, f"node:{node_id}:arrivals")


def heartbeat_phase(node_id: str, interval: float) -> float:
    """Give the node's own offset on the heartbeat grid, in seconds, so that a fleet spreads."""
    # 32 bits: a quotient of 64 would round up to 1, which is not on the grid.
    fraction = int.from_bytes(hashlib.sha256(node_id.encode()).digest()[:4]) / 2**32
    return fraction * interval


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
