"""The child's side of the collector protocol, and nothing that costs memory.

A child answers a few kilobytes a minute, yet each module that it imports stays in it for good:
``dataclasses`` and ``typing`` alone are 2.5 MiB of the 8 that a child needs. So its modules work
with plain dictionaries, and what they hold is checked where the parent makes readings of them.

The two speak in lines of JSON over the child's stdin and stdout. The parent asks
``{"id": "nvml/7", "source": "nvml", "args": {...}, "skip": [[3, "nvmlDeviceGetName", "why"], ...],
"retry": [[4, "nvmlDeviceGetUUID"], ...]}``: calls to leave out, and calls that hung before and may
be made again. The child answers ``{"id": "nvml/7", "kind": "reading", "value": {...}}``, or kind
``absent`` or ``failed`` with a reason and a message, and in ``tried`` which of the calls to retry
it made. Before each call that may hang it notes the call in its diary, so that whoever waits for
a silent child knows where it is stuck. What a driver tells by itself comes at any moment as
``{"event": {...}}``.
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
        """Reads one kind of thing; runs in a child process, may hang and may keep state.

        A source may also have a method ``watch(tell)``: it runs for ever in a thread of its own
        and tells events, each a plain dictionary.
        """

        def collect(self, announce: Announce, skip: Skip, args: dict[str, Any]) -> Answer:
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


def encode_note(gpu: int | None, call: str) -> bytes:
    """Give the diary's note of a call."""
    return (f"{gpu} {call}" if gpu is not None else f"- {call}").encode()


def decode_note(note: bytes) -> Pair | None:
    """Give the call of a diary's note; None if no call was under way."""
    gpu, _, call = note.decode("utf-8", "replace").partition(" ")
    if not call:
        return None
    return (int(gpu) if gpu.isdecimal() else None), call


def encode_answer(number: str, answer: Answer, tried: list[Pair]) -> bytes:
    """Give the line that answers a request."""
    return encode({"id": number, **answer, "tried": tried})


def encode_event(event: Mapping[str, Any]) -> bytes:
    """Give the line of something that nobody asked for; short enough to be written at once."""
    return encode({"event": event})


def encode(message: Mapping[str, Any]) -> bytes:
    """Give a message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
