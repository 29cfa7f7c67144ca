"""The child's side of the collector protocol, and nothing that costs memory.

A child answers a few kilobytes a minute, yet each module that it imports stays in it for good:
``dataclasses`` and ``typing`` alone are 2.5 MiB of the 8 that a child needs. So its modules work
with plain dictionaries, and what they hold is checked where the parent makes readings of them.

The two speak in lines of JSON over the child's stdin and stdout. The parent asks
``{"id": 7, "skip": [[3, "nvmlDeviceGetName", "why"], ...]}``. Before each call that may hang the
child says ``{"id": 7, "call": [3, "nvmlDeviceGetName"]}``; it ends with
``{"id": 7, "kind": "reading", "value": {...}}``, or kind ``absent`` or ``failed`` with a reason
and a message. So whoever waits for a silent child knows where it is stuck.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final, Protocol, TypeAlias

    Pair: TypeAlias = tuple[int | None, str]
    Skip: TypeAlias = Mapping[Pair, str]
    Announce: TypeAlias = Callable[[int | None, str], None]
    Answer: TypeAlias = dict[str, Any]

    class Source(Protocol):
        """Reads one kind of thing; runs in a child process, may hang and may keep state."""

        def collect(self, announce: Announce, skip: Skip) -> Answer:
            """Read now, announcing each call that may hang and leaving out those to skip."""
            ...


TEXT_MAX: Final = 256
"""Longest text from a device, a file or an engine that leaves the node, in characters."""

WHOLE_GPU: Final = "*"
"""Stands for every call on a GPU in a pair to skip."""


def reading(value: dict[str, Any]) -> Answer:
    """Give the answer of a source that could be read."""
    return {"kind": "reading", "value": value}


def absent(reason: str, message: str) -> Answer:
    """Give the answer where there is nothing to read, and that is known."""
    return {"kind": "absent", "reason": reason, "message": message}


def failed(reason: str, message: str) -> Answer:
    """Give the answer of a source that did not answer as it should."""
    return {"kind": "failed", "reason": reason, "message": message}


def clean(text: str | bytes, limit: int = TEXT_MAX) -> str:
    """Give text fit to leave the node: valid UTF-8, one line, no control characters, not long."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    else:
        text = text.encode("utf-8", "replace").decode()
    text = "".join(c if c.isprintable() else " " for c in text[: limit * 4]).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def decode_request(line: bytes) -> tuple[int, dict[Pair, str]]:
    """Give the number and the pairs to skip of a request."""
    request = json.loads(line)
    return request["id"], {(gpu, call): why for gpu, call, why in request["skip"]}


def encode_call(number: int, gpu: int | None, call: str) -> bytes:
    """Give the line that announces a call."""
    return encode({"id": number, "call": [gpu, call]})


def encode_answer(number: int, answer: Answer) -> bytes:
    """Give the line that answers a request."""
    return encode({"id": number, **answer})


def encode(message: Mapping[str, Any]) -> bytes:
    """Give a message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
