"""Frames of the proxy's WebSocket: read from a client, checked, made for a client."""

from typing import Any, Final, cast

import pydantic
import pydantic_core
from pydantic import Field

from citadel_k8s.api.frame.reading import told
from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.api.proxy.shapes import BlockMs, Body, Count, Name

FRAME_MAX: Final = 1024 * 1024 + 64 * 1024
"""Largest frame from a client, in bytes: an entry's largest payload and what is around it."""

CHANNELS_MAX: Final = 64
"""Channels of one socket; a node needs three."""

QUEUES_MAX: Final = 16
"""Queues of one consuming loop; a node has five."""

ERROR_SHOWN: Final = 400
"""Characters of an error frame's text."""


class PublishFrame(Body):
    """Something to be said."""

    channel: Name
    message: dict[str, Any]


class ChannelsFrame(Body):
    """Channels to listen to, or no more."""

    channels: list[Name] = Field(max_length=CHANNELS_MAX)


class ConsumeFrame(Body):
    """Queues to take entries off."""

    queues: list[Name] = Field(min_length=1, max_length=QUEUES_MAX)
    group: Name
    consumer: Name
    count: Count | None = None
    blockMs: BlockMs | None = None  # noqa: N815 - the contract's name


class AckFrame(Body):
    """An entry that is done with."""

    queue: Name
    group: Name
    messageId: Name  # noqa: N815 - the contract's name


def parsed(data: str | bytes) -> dict[str, Any]:
    """Give a frame's object.

    Raises
    ------
    RefusalError
        400 if it is no JSON object with a ``type``.
    """
    try:
        document = pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError:
        raise bad_request("the frame is no JSON") from None
    if not isinstance(document, dict):
        raise bad_request("the frame is no JSON object")
    frame = cast("dict[str, Any]", document)
    if not isinstance(frame.get("type"), str):
        raise bad_request("the frame has no type")
    return frame


def checked(kind: type[pydantic.BaseModel], frame: dict[str, Any]) -> Any:
    """Give a frame as one of its kind, or refuse with a 400 that says what does not fit."""
    try:
        return kind.model_validate(frame)
    except pydantic.ValidationError as error:
        raise bad_request(f"{frame['type'][:32]}: {told(error)}") from None


def made(kind: str, **fields: Any) -> bytes:
    """Give a frame for a client."""
    return pydantic_core.to_json({"type": kind, **fields})


def error_frame(text: str) -> bytes:
    """Give the frame that says what was wrong with one from the client."""
    return made("error", error=text[:ERROR_SHOWN])
