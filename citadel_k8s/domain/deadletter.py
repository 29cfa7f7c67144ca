"""What is kept of a message that was refused: enough to mend it, and none of its secrets."""

import json
import re
from typing import Any, Final, cast

import pydantic_core

from citadel_k8s.domain.configmessage import REASON_MAX, ConfigEntry
from citadel_k8s.domain.facts import clip

LETTER_PAYLOAD_MAX: Final = 64 * 1024
"""Bytes kept of a refused message: enough to see what is wrong with it."""

_FIELD_MAX: Final = 256
"""Characters copied of an entry's small fields, such as its job's id."""

_SECRET: Final = re.compile(
    r"passw|passcode|secret|token|api_?key|auth_?key|private_?key|authorization|bearer|credential"
    r"|://[^/\s]*@",
    re.IGNORECASE,
)
"""Names of what must not be kept, such as ``vncPassword`` and ``nodePasscode``, and addresses with
a user in them."""

_HIDDEN: Final = "***"

_WITHHELD: Final = "(withheld: it cannot be parsed and speaks of a secret)"


def dead_letter(
    entry: ConfigEntry, *, queue: str, reason: str, moved_at: str, worker_id: str
) -> dict[str, str]:
    """Give the fields of the dead letter for an entry."""
    letter = {
        "original_message_id": entry.id,
        "original_queue": queue,
        "reason": clip(reason, REASON_MAX),
        "moved_at": moved_at,
        "worker_id": worker_id,
        "jobId": clip(_plain(entry, "jobId"), _FIELD_MAX),
    }
    if enqueued := _plain(entry, "enqueuedAt"):
        letter["enqueuedAt"] = clip(enqueued, _FIELD_MAX)
    judged = entry.fields.get("config") or entry.fields.get("payload", b"")
    letter["payload"] = _without_secrets(judged)
    return letter


def _without_secrets(data: bytes) -> str:
    """Give a message fit to be kept: no secrets, not long."""
    if len(data) > LETTER_PAYLOAD_MAX:
        # It would be cut, and so no JSON any more; a large one is dear to parse.
        data = _unparsed(data)
    else:
        try:
            data = json.dumps(_hidden(pydantic_core.from_json(data))).encode()
        except ValueError:
            data = _unparsed(data)
    return data[:LETTER_PAYLOAD_MAX].decode(errors="ignore")


def _unparsed(data: bytes) -> bytes:
    head = data[:LETTER_PAYLOAD_MAX]
    # An escape could spell a name that is looked for.
    told = _SECRET.search(head.decode(errors="replace")) or b"\\u" in head
    return _WITHHELD.encode() if told else head


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {k: _HIDDEN if _SECRET.search(k) else _hidden(v) for k, v in fields.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str) and (_SECRET.search(value) or "\\u" in value):
        # A configuration may be text within a text, where an escape could spell such a name.
        return _HIDDEN
    return value


def _plain(entry: ConfigEntry, key: str) -> str:
    return entry.fields.get(key, b"").decode(errors="replace")
