"""Names that nodes use for streams, channels, queues and keys, and what they are in Redis.

What is not on these lists does not exist for a node. Each org has names of its own: what a node
calls ``jobs:v1:config`` is ``org:<org>:jobs:v1:config``, so that no name reaches another's.
"""

import re
from dataclasses import dataclass
from typing import Final

from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.api.proxy.bounds import Claims
from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.domain.keys import org_key

USAGE_STREAM: Final = "node:usage:stream"
"""What jobs used. Source: the wire contract."""

ACTIVITY_STREAM: Final = "node:activity:stream"
"""What nodes tell people. Source: the wire contract."""

CONFIG_QUEUE: Final = "jobs:v1:config"
"""The queue that each node reads whole. Source: the wire contract."""

CONFIG_GROUP: Final = "citadel-config-"
"""How the group of one node on it begins."""

NAME_SHOWN: Final = 80
"""Characters quoted of a name that is refused."""

_NODE: Final = r"[a-zA-Z0-9._-]{1,64}"
_ORG: Final = r"[a-zA-Z0-9._-]{1,128}"
_ID: Final = r"[a-zA-Z0-9._-]{1,128}"
_MESH_ID: Final = r"[0-9]{1,20}"

_QUEUE: Final = re.compile(
    r"jobs:v1:(?P<suffix>gpu-general|cpu-general|config"
    rf"|shell:org_(?P<shell>{_ORG})(?::node:(?P<mesh>{_MESH_ID}))?"
    rf"|tag:meeting:org_(?P<meeting>{_ORG})"
    r"|tag:(?!meeting:org_)[a-z0-9][a-z0-9:._-]{0,127})"
)
_LETTERS: Final = "dlq:v1:"
_CHANNEL: Final = re.compile(
    rf"(?P<kind>node:status|node:presence|config:node):(?P<node>{_NODE})"
    rf"|(?P<own>node:status:org):(?P<org>{_ORG}):(?P<member>{_NODE})"
    rf"|(?P<wake>wake:v1:node):(?P<mesh>{_MESH_ID})"
    rf"|(?P<job>stream:v1):{_ID}"
)
_KEY: Final = re.compile(rf"job:{_ID}:status|job:cancelled:{_ID}")
_GROUP: Final = re.compile(r"[a-zA-Z0-9._:-]{1,128}")
_ENTRY_ID: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")

_SPOKEN: Final = frozenset({"node:status", "node:presence", "node:status:org", "stream:v1"})
"""Kinds of channels on which nodes speak; on the others they are spoken to."""

_MAXLEN: Final = {USAGE_STREAM: 50_000, ACTIVITY_STREAM: 10_000}
"""Approximate lengths of streams of an org's own, in entries. Source: the wire contract."""

_LETTERS_MAXLEN: Final = 1000


@dataclass(frozen=True, slots=True)
class StreamName:
    """A stream: its key in Redis, its length, whether all orgs share it, or it holds letters."""

    name: str
    key: str
    max_length: int
    shared: bool = False
    is_letters: bool = False


@dataclass(frozen=True, slots=True)
class QueueName:
    """A queue: its keys in Redis, and how its consumers know it."""

    name: str
    key: str
    letters: str

    @property
    def is_config(self) -> bool:
        """Whether each node reads all of it, in a group of its own."""
        return self.name == CONFIG_QUEUE


@dataclass(frozen=True, slots=True)
class ChannelName:
    """A channel: what it is in Redis, and whose node it tells of (None: no node's)."""

    name: str
    key: str
    node_id: str | None = None
    is_status: bool = False


def stream_of(name: str, claims: Claims, status_max_length: int) -> StreamName:
    """Give the stream that a node means.

    Raises
    ------
    RefusalError
        400 if there is none of that name, 403 if it is another org's.
    """
    if name == STATUS_STREAM:
        return StreamName(name, name, status_max_length, shared=True)
    if name in _MAXLEN:
        return StreamName(name, org_key(claims.org_id, name), _MAXLEN[name])
    if name.startswith(_LETTERS):
        queue = queue_of(f"jobs:v1:{name.removeprefix(_LETTERS)}", claims)
        return StreamName(name, queue.letters, _LETTERS_MAXLEN, is_letters=True)
    raise bad_request(f"there is no stream {shown(name)} here; see the contract's list")


def queue_of(name: str, claims: Claims) -> QueueName:
    """Give the queue that a node means; see `stream_of` for the errors."""
    found = _QUEUE.fullmatch(name)
    if found is None:
        raise bad_request(f"there is no queue {shown(name)} here; see the contract's list")
    for org_id in (found["shell"], found["meeting"]):
        if org_id is not None:
            claims.check_org(org_id, "queue")
    if found["mesh"] is not None:
        claims.check_mesh_id(found["mesh"])
    letters = f"{_LETTERS}{found['suffix']}"
    return QueueName(name, org_key(claims.org_id, name), org_key(claims.org_id, letters))


def group_of(queue: QueueName, group: str, claims: Claims) -> tuple[str, str | None]:
    """Give a group's name in Redis, and for which node it reads if it is one node's.

    On the queue of configuration each node has a group of its own, whatever it calls it: what one
    node takes is not lost to the others.
    """
    check_group(group, "group")
    if not queue.is_config:
        return group, None
    node_id = group.removeprefix(CONFIG_GROUP) if group.startswith(CONFIG_GROUP) else None
    if node_id in {None, "consumers"} and claims.node_id is not None:
        return f"{CONFIG_GROUP}{claims.node_id}", claims.node_id
    if node_id is None:
        raise claims.refused("queue", f"{CONFIG_QUEUE} is read in the group {CONFIG_GROUP}<node>")
    return group, claims.check_node(node_id, "group")


def check_group(name: str, what: str) -> str:
    """Give a group's or a consumer's name back if it is one, or refuse with a 400."""
    if _GROUP.fullmatch(name) is None:
        raise bad_request(f"{what} is not 1-128 of A-Z a-z 0-9 . _ : -")
    return name


def check_entry_id(text: str) -> str:
    """Give an entry's id back if it is one, or refuse with a 400."""
    parts = text.split("-")
    if _ENTRY_ID.fullmatch(text) is None or any(int(part) >= 2**64 for part in parts):
        raise bad_request("messageId is not the id of an entry, such as 1700000000000-0")
    return text


def spoken_channel(name: str, claims: Claims) -> ChannelName:
    """Give the channel on which a node means to speak; see `stream_of` for the errors."""
    return _channel(name, claims, speaks=True)


def heard_channel(name: str, claims: Claims) -> ChannelName:
    """Give the channel to which a node means to listen; see `stream_of` for the errors."""
    return _channel(name, claims, speaks=False)


def key_of(name: str, claims: Claims) -> str:
    """Give the key in Redis for a key that a node means; 400 if there is none of that name."""
    if _KEY.fullmatch(name) is None:
        raise bad_request(f"there is no key {shown(name)} here; see the contract's list")
    return org_key(claims.org_id, name)


def shown(name: str) -> str:
    """Give a name fit to be quoted in an answer."""
    return ascii(name[:NAME_SHOWN]) + ("…" if len(name) > NAME_SHOWN else "")


def _channel(name: str, claims: Claims, *, speaks: bool) -> ChannelName:
    found = _CHANNEL.fullmatch(name)
    if found is None:
        raise bad_request(f"{shown(name)} is no channel of the contract")
    kind = found["kind"] or found["own"] or found["wake"] or found["job"]
    if speaks and kind not in _SPOKEN:
        raise claims.refused("channel", f"nodes do not speak on {kind}:…")
    if found["org"] is not None:
        claims.check_org(found["org"], "channel")
    node_id = found["node"] or found["member"]
    if node_id is not None:
        claims.check_node(node_id, "channel")
    if found["mesh"] is not None:
        claims.check_mesh_id(found["mesh"])
    is_status = kind in {"node:status", "node:status:org"}
    return ChannelName(name, org_key(claims.org_id, name), node_id, is_status)
