"""Configuration messages: for whom they are, what they ask for, what is kept of refused ones.

Every node reads the same stream, so that a message must say for whom it is; one that names nobody
is nobody's, and so is one that names two. A message that this node refuses goes to a dead-letter
stream with the reason, and without its secrets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, cast

import pydantic_core

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.configfields import CheckEngine
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.nodeconfig import Change, check, revision_of
from citadel_k8s.errors import WireError

APPLY: Final = "APPLY_DEVICE_CONFIG"
"""Type of the one kind of entry that is a configuration. Source: the wire contract."""

UPDATED: Final = "config_updated"
"""Type of a message on a node's channel. Source: the wire contract."""

REASON_MAX: Final = 512
"""Characters kept of the reason for a refusal: one log line."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is; without an id no message is for it."""

    node_id: str
    headscale_node_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One entry of the stream.

    ``fields`` is empty where the entry was trimmed away before it was read again; ``attempts``
    counts how often it was delivered, this time included; ``replayed`` marks one that this node
    has read in an earlier life.
    """

    id: str
    fields: Mapping[str, bytes]
    attempts: int = 1
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry that is for this node, parsed: what surrounds the configuration, and itself."""

    outer: Mapping[str, Any]
    config: Mapping[str, Any]
    revision: str | None = None


class Skip(Enum):
    """Why an entry is passed over."""

    OTHER_NODE = "other-node"
    NO_TARGET = "no-target"
    OTHER_TYPE = "other-type"


def open_entry(entry: ConfigEntry, identity: Identity) -> Opened | Skip:
    """Open an entry if it is for this node; else say why it is to be passed over.

    An entry that names other nodes, or none, is passed over before anything in it can be wrong.

    Raises
    ------
    WireError
        With reason ``Oversized``, ``NotJson``, ``BadField`` or ``MissingConfig``, if it names
        this node and cannot be read.
    """
    outside = _targets({key: _plain(entry.fields.get(key)) for key in _TARGET_KEYS})
    if not _may_be_for(identity, outside):
        return Skip.OTHER_NODE
    if _plain(entry.fields.get("type")) != APPLY:
        return Skip.OTHER_TYPE
    try:
        documents = _documents(entry.fields)
    except WireError:
        if outside:
            raise
        return Skip.NO_TARGET
    inside = [target for document in documents for target in _targets(document)]
    if not outside and not inside:
        return Skip.NO_TARGET
    if not _may_be_for(identity, inside):
        return Skip.OTHER_NODE
    revision = entry.fields.get("revision")
    return Opened(documents[0], documents[-1], None if revision is None else _plain(revision))


def read_entry(opened: Opened, check_engine: CheckEngine) -> Change:
    """Read what an entry asks for.

    Raises
    ------
    WireError
        As `citadel_k8s.domain.nodeconfig.check`.
    """
    change = check(opened.config, check_engine)
    revision = change.revision or revision_of(opened.outer.get("revision"), "revision")
    dated = opened.outer.get("updatedAt")
    updated_at = change.updated_at or (clip(dated) if isinstance(dated, str) and dated else None)
    return replace(
        change,
        revision=revision or revision_of(opened.revision, "revision"),
        updated_at=updated_at,
    )


def read_hint(data: bytes, identity: Identity, check_engine: CheckEngine) -> Change:
    """Read a message of the node's channel.

    Raises
    ------
    WireError
        As `read_entry`, and with reason ``OtherType`` or ``OtherNode``.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise _oversized(len(data))
    document = _parsed(data, "")
    if document.get("type") != UPDATED:
        raise WireError("OtherType", "type", f"must be {UPDATED}")
    if not identity.node_id or document.get("nodeId") != identity.node_id:
        raise WireError("OtherNode", "nodeId", "is not this node")
    config = document.get("config")
    if not isinstance(config, dict):
        raise WireError("MissingConfig", "config", "an object is needed")
    inner = cast("dict[str, Any]", config)
    if not _may_be_for(identity, _targets(inner)):
        raise WireError("OtherNode", "config.nodeId", "is not this node")
    return read_entry(Opened(document, inner), check_engine)


_TARGET_KEYS: Final = ("nodeId", "target", "target_node")


def _targets(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    named = [(key, document.get(key)) for key in _TARGET_KEYS]
    return [(key, value) for key, value in named if value is not None and value != ""]


def _may_be_for(identity: Identity, targets: list[tuple[str, Any]]) -> bool:
    """Say whether no target names somebody else; this node's own unknown id matches nothing."""
    for key, value in targets:
        if key == "target_node":
            if isinstance(value, bool) or str(value) != identity.headscale_node_id:
                return False
        elif not identity.node_id or value != identity.node_id:
            return False
    return True


def _documents(fields: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Give the objects of an entry from the outside in; the last one is the configuration."""
    size = sum(len(value) for value in fields.values())
    if size > MAX_ENTRY_BYTES:
        raise _oversized(size)
    if fields.get("config"):
        inner = _parsed(fields["config"], "config")
        try:
            return [_parsed(fields.get("payload", b""), "payload"), inner]
        except WireError:
            return [inner]
    payload = fields.get("payload", b"")
    if not payload.strip():
        raise WireError("MissingConfig", "payload", "it is empty")
    document = _parsed(payload, "payload")
    if "config" not in document:
        return [document]
    config = document["config"]
    if isinstance(config, str):
        config = _parsed(config.encode(errors="surrogatepass"), "payload.config")
    if not isinstance(config, dict):
        raise WireError("MissingConfig", "payload.config", "an object is needed")
    return [document, cast("dict[str, Any]", config)]


def _parsed(data: bytes, field: str) -> dict[str, Any]:
    try:
        document = pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise WireError("NotJson", field, clip(str(error), REASON_MAX)) from error
    if not isinstance(document, dict):
        raise WireError("BadField", field, "an object is needed")
    return cast("dict[str, Any]", document)


def _oversized(size: int) -> WireError:
    return WireError("Oversized", "", f"{size} bytes; at most {MAX_ENTRY_BYTES}")


def _plain(value: bytes | None) -> str:
    return "" if value is None else value.decode(errors="replace")
