"""What nodes write into streams and say on channels: checked cheaply, stamped with who they are.

A payload is parsed once, by the parser of those who will read it, so that both see the same name
where one is given twice; three kilobytes take 30 microseconds.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import pydantic_core

from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.api.proxy.bounds import Claims
from citadel_k8s.api.proxy.names import ACTIVITY_STREAM, USAGE_STREAM, StreamName, shown
from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.facts import clip

FIELDS_MAX: Final = 32
"""Fields of an entry; the contract's largest has ten."""

FIELD_NAME_MAX: Final = 64
"""Characters of a field's name."""

TIMESTAMP_MAX: Final = 64
"""Characters of a date: RFC 3339 with nine digits and an offset has 35."""

LETTER_MAX: Final = 256 * 1024
"""Bytes of a dead letter: its payload is cut at 64 KiB."""

BESIDE_MAX: Final = 4096
"""Characters of what stands beside a payload of the largest size."""

NOTE_MAX: Final = 4096
"""Bytes of an entry about use or activity; usual ones have 500. They stay until as many others have
come, and 50,000 of these are 200 MB."""

WHY_MAX: Final = 200
"""Characters quoted of what a parser says."""

_STAMPED: Final = frozenset({"orgId", "principal", "deviceCode"})
"""Fields that say who wrote: never taken from who writes."""


def fields_of(stream: StreamName, values: Mapping[str, str], claims: Claims) -> dict[str, str]:
    """Give the fields of the entry that is to be written.

    Raises
    ------
    RefusalError
        400 if they are not of the stream's shape, 403 if they name another node or org.
    """
    _check_shape(values)
    if stream.shared:
        fields = _status(values, claims)
    elif stream.name == USAGE_STREAM:
        fields = _usage(values, claims)
        _check_note(fields)
    elif stream.name == ACTIVITY_STREAM:
        fields = _activity(values, claims)
        _check_note(fields)
    else:
        fields = _letter(values)
    return fields | {"orgId": claims.org_id, "principal": claims.who.subject}


def check_status_message(message: bytes, node_id: str | None, claims: Claims) -> None:
    """Check what is said of a node on its channel, and of no other.

    Raises
    ------
    RefusalError
        400 if it is no JSON object, 403 if it names another node than the channel does.
    """
    named = _named(message, "message")
    said = named.get("nodeId")
    if node_id is None or said is None:
        return
    if said != node_id:
        if isinstance(said, str) and claims.node_id is None:
            raise bad_request("message: its nodeId is not the channel's")
        raise claims.refused("message", "it names another node than the channel does")


def check_object(message: bytes) -> None:
    """Refuse with a 400 what is no JSON object."""
    _named(message, "message")


def _check_shape(values: Mapping[str, str]) -> None:
    if not values:
        raise bad_request("values: an entry needs a field")
    if len(values) > FIELDS_MAX:
        raise bad_request(f"values: {len(values)} fields; at most {FIELDS_MAX}")
    size = 0
    for name, value in values.items():
        if not 0 < len(name) <= FIELD_NAME_MAX:
            raise bad_request(f"values: {shown(name)} is no name of a field")
        size += len(value)
    if size > MAX_ENTRY_BYTES + BESIDE_MAX:
        raise bad_request(f"values: over {MAX_ENTRY_BYTES} bytes")


def _status(values: Mapping[str, str], claims: Claims) -> dict[str, str]:
    node_id = claims.check_node(values.get("nodeId", ""), "values.nodeId")
    _check_org(values, claims)
    payload = _payload(values)
    named = _named(payload.encode(errors="surrogatepass"), "values.payload")
    said = named.get("nodeId")
    if said is None and "status" in named:
        raise bad_request("values.payload: it names no node (nodeId)")
    # A bare status, as the first senders wrote it, names none: then the entry's own counts.
    if said is not None and said != node_id:
        if not isinstance(said, str):
            raise bad_request("values.payload: its nodeId is no text")
        claims.check_node(said, "values.payload")
        raise bad_request("values.payload: its nodeId is not that of the entry")
    return {"nodeId": node_id, "timestamp": _timestamp(values), "payload": payload}


def _usage(values: Mapping[str, str], claims: Claims) -> dict[str, str]:
    data = values.get("data")
    if data is None:
        raise bad_request("values.data: it is needed")
    _check_org(values, claims)
    named = _named(data.encode(errors="surrogatepass"), "values.data")
    said = named.get("nodeId")
    if isinstance(said, str) and claims.node_id is not None:
        claims.check_node(said, "values.data")
    return {"data": data}


def _activity(values: Mapping[str, str], claims: Claims) -> dict[str, str]:
    claims.check_node(values.get("nodeId", ""), "values.nodeId")
    _check_org(values, claims)
    _timestamp(values)
    return _without_stamps(values)


def _letter(values: Mapping[str, str]) -> dict[str, str]:
    if sum(len(value) for value in values.values()) > LETTER_MAX:
        raise bad_request(f"values: a dead letter has at most {LETTER_MAX} characters")
    return _without_stamps(values)


def _check_note(fields: Mapping[str, str]) -> None:
    size = sum(len(value.encode(errors="replace")) for value in fields.values())
    if size > NOTE_MAX:
        raise bad_request(f"values: {size} bytes; here at most {NOTE_MAX}")


def _without_stamps(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in _STAMPED}


def _check_org(values: Mapping[str, str], claims: Claims) -> None:
    if org_id := values.get("orgId"):
        claims.check_org(org_id, "values.orgId")


def _timestamp(values: Mapping[str, str]) -> str:
    timestamp = values.get("timestamp", "")
    if len(timestamp) > TIMESTAMP_MAX or not (timestamp.isascii() and timestamp.isprintable()):
        raise bad_request(f"values.timestamp is not 0-{TIMESTAMP_MAX} printable characters")
    return timestamp


def _payload(values: Mapping[str, str]) -> str:
    payload = values.get("payload", "")
    # A character is up to four bytes; only what could be too long is counted in bytes.
    if len(payload) * 4 > MAX_ENTRY_BYTES:
        size = len(payload.encode(errors="replace"))
        if size > MAX_ENTRY_BYTES:
            raise bad_request(f"values.payload: {size} bytes; at most {MAX_ENTRY_BYTES}")
    return payload


def _named(data: bytes, where: str) -> dict[str, Any]:
    """Give a JSON object."""
    try:
        document = pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise bad_request(f"{where}: it is no JSON: {clip(str(error), WHY_MAX)}") from None
    if not isinstance(document, dict):
        raise bad_request(f"{where}: it is no JSON object")
    return cast("dict[str, Any]", document)
