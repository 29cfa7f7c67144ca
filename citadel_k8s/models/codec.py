"""From bytes to a status message and back, with an error that names the field."""

import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pydantic
import pydantic_core

from citadel_k8s.constants import MAX_ENTRY_BYTES, WIRE_VERSION
from citadel_k8s.errors import WireError
from citadel_k8s.models.wire import StatusMessage

_DETAIL_MAX = 200
"""Longest quotation of somebody else's words in an error, in characters: one log line."""


_MAJOR = WIRE_VERSION.partition(".")[0] + "."
"""How the versions begin that are read here."""


def encode(message: StatusMessage) -> bytes:
    """Give the JSON text of a message, without keys whose value is not known."""
    return message.model_dump_json(exclude_none=True).encode()


def decode(payload: bytes | str, *, node_id: str = "") -> StatusMessage:
    """Read a message from JSON text: the envelope of any age, or the bare status of the first.

    Parameters
    ----------
    payload : bytes or str
        JSON text, at most ``MAX_ENTRY_BYTES``.
    node_id : str
        The node id given beside the payload; used where a bare status has none of its own.

    Raises
    ------
    WireError
        With reason ``Oversized``, ``NotJson``, ``UnsupportedVersion``, ``BadNodeId`` or
        ``BadField``.
    """
    data = payload.encode(errors="replace") if isinstance(payload, str) else payload
    if len(data) > MAX_ENTRY_BYTES:
        raise WireError("Oversized", "", f"{len(data)} bytes; at most {MAX_ENTRY_BYTES}")
    try:
        document = pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise WireError("NotJson", "", _clip(str(error))) from error
    return validate(document, node_id=node_id)


def validate(document: Any, *, node_id: str = "") -> StatusMessage:
    """Check an already parsed message; see `decode` for shapes and errors."""
    envelope = _envelope(document, node_id)
    _check_version(envelope.get("version"), "version")
    try:
        # By alias alone: a key ``boot_id`` is an unknown one, not another spelling of ``bootId``.
        message = StatusMessage.model_validate(envelope, by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        raise _wire_error(error) from error
    _check_version(message.status.version, "status.version")
    return message


def readable_version(version: Any) -> bool:
    """Say whether a version names a format that is read here; None stands for the first."""
    # Additive keys do not move the version; a new major number is a format nobody here can read.
    return version is None or str(version).startswith(_MAJOR)


def parse_timestamp(text: str) -> float:
    """Give the seconds since the epoch of an RFC 3339 text.

    Raises
    ------
    WireError
        If the text names no moment, such as 30 February, or a time of no place.
    """
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise WireError("BadField", "timestamp", _clip(str(error))) from error
    if moment.tzinfo is None:
        raise WireError("BadField", "timestamp", _clip(f"{text!r} has no offset"))
    return moment.timestamp()


def format_timestamp(seconds: float, *, fraction: bool = False) -> str:
    """Give RFC 3339 in UTC with a ``Z``; whole seconds unless a fraction is asked for."""
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    text = moment.isoformat(timespec="microseconds" if fraction else "seconds")
    return text.replace("+00:00", "Z")


def _envelope(document: Any, node_id: str) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise WireError("BadField", "", f"an object is needed, not {type(document).__name__}")
    fields: dict[str, Any] = dict(document)  # pyright: ignore[reportUnknownArgumentType]
    if "status" in fields or "node" not in fields:
        return fields
    node = fields["node"]
    own = node.get("name", "") if isinstance(node, Mapping) else ""  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return {
        "version": fields.get("version", WIRE_VERSION),
        "timestamp": fields.get("timestamp", ""),
        "nodeId": node_id or own,
        "status": fields,
    }


def _check_version(version: Any, field: str) -> None:
    if not readable_version(version):
        raise WireError("UnsupportedVersion", field, _clip(repr(version)))


def _wire_error(error: pydantic.ValidationError) -> WireError:
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    reason = "BadNodeId" if field == "nodeId" else "BadField"
    # What is missing has no value of its own, and its neighbours are nobody's business.
    got = "" if first["type"] == "missing" else f", got {reprlib.repr(first['input'])}"
    return WireError(reason, field, _clip(first["msg"] + got))


def _clip(text: str) -> str:
    return text if len(text) <= _DETAIL_MAX else text[: _DETAIL_MAX - 1] + "…"
