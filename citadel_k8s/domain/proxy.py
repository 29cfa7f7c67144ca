"""What the API proxy's addresses and refusals mean, without asking it anything."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import ConfigError, WireError
from citadel_k8s.models.codec import parse_timestamp

QUOTE_BYTES: Final = 512
"""Bytes quoted of an answer that is not of the contract's shape. Source: the wire contract."""

TEXT_MAX: Final = 512
"""Characters kept of what a server says about itself: one log line."""

WAIT_MAX: Final = 86_400.0
"""Longest wait that a server can ask for, in seconds: its widest quota is that of a day, and a
number beyond it is a mistake that would silence a node for good."""

_ORG_ID = re.compile(r"[a-zA-Z0-9._-]{1,128}")


def proxy_base(text: str, *, insecure: bool = False) -> str:
    """Give the proxy's address without a slash at its end.

    Parameters
    ----------
    text : str
        ``https://host[:port][/path]``; ``http://`` for this machine only.
    insecure : bool
        Allow ``http://`` to any host: the token then travels in clear.

    Raises
    ------
    ConfigError
        If it is no such address; the message repeats nothing that could be a secret.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the proxy's address cannot be understood: {error}") from error
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ConfigError("the proxy's address must be https://host or https://host:port")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"the proxy's address ({host}) must have no user, query or fragment")
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise ConfigError(
            f"http://{parts.netloc} would carry the device's token in clear; use https://, "
            "or allow it on purpose (insecure)"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Say whether a host's name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_org_id(text: str) -> str:
    """Give an org id back if it fits into a channel's name.

    Raises
    ------
    ConfigError
        If it does not; says which characters do.
    """
    if not _ORG_ID.fullmatch(text):
        raise ConfigError(f"org id {clip(repr(text))} is not 1-128 of A-Z a-z 0-9 . _ -")
    return text


def org_channel(org_id: str, node_id: str) -> str:
    """Give the channel on which an org's node is announced through the proxy."""
    return f"node:status:org:{org_id}:{node_id}"


def said(document: Mapping[str, Any] | None, body: bytes) -> str:
    """Give what a refusal says: its two texts, else the head of the body, cleaned."""
    error = (document or {}).get("error")
    if not isinstance(error, str) or not error.strip():
        return _one_line(body[:QUOTE_BYTES].decode(errors="replace"))
    more = (document or {}).get("error_description")
    return _one_line(f"{error}: {more}" if isinstance(more, str) and more.strip() else error)


def moved(location: str) -> str:
    """Give where a redirect leads: the host alone, for the rest may hold secrets."""
    try:
        host = urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return clip(host) or "another path of the same host"


def wait_asked(document: Mapping[str, Any] | None, header: str, now: float) -> float | None:
    """Give the seconds that a 429 asks to wait; None if it names none.

    Parameters
    ----------
    document : mapping or None
        The body: ``retry_after`` in seconds wins over ``reset_at``, a date in RFC 3339.
    header : str
        ``Retry-After`` in seconds or as an HTTP date; read where the body says nothing.
    now : float
        Seconds since the epoch, for the dates.
    """
    fields = document or {}
    for wait in (
        _seconds(fields.get("retry_after")),
        _until(fields.get("reset_at"), now),
        _header(header.strip(), now),
    ):
        if wait is not None:
            return min(WAIT_MAX, wait)
    return None


def json_object(body: bytes) -> dict[str, Any] | None:
    """Give the JSON object that a body is, None if it is none."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None  # pyright: ignore[reportUnknownVariableType]


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Before a comparison turns an integer of a thousand digits into a float that does not exist.
    if isinstance(value, int):
        return None if value < 0 else float(min(value, int(WAIT_MAX)))
    return value if math.isfinite(value) and value >= 0 else None


def _until(value: Any, now: float) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        return max(0.0, parse_timestamp(value) - now)
    except WireError:
        return None


def _header(text: str, now: float) -> float | None:
    if text.isascii() and text.isdigit():
        return _seconds(int(text)) if len(text) < len("1000000000000") else WAIT_MAX
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            # A date of "-0000" is in UTC too; without a zone it would be read as local.
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _one_line(text: str) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clip(words, TEXT_MAX)
