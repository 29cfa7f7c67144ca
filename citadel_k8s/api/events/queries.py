"""What a client may ask of a stream."""

from typing import Annotated, Final, Literal, TypeAlias

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from citadel_k8s.api.events.stream import Asked
from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.constants import NODE_ID_MAX
from citadel_k8s.models.base import NodeId
from citadel_k8s.stores.orgfeed import parse_id

NODES_ASKED: Final = 200
"""Nodes that one client may name: what a page shows at once; more is everything."""

_KINDS: Final = frozenset({"node", "gone", "event"})

StreamId: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,20}-[0-9]{1,20}$", max_length=41)
]
"""An id of a stream, ``ms-seq``, as the ``id`` of the messages."""


class EventsQuery(BaseModel):
    """What is streamed: everything after ``after``, or all rows and then everything.

    ``nodes`` and ``kinds`` (node, gone, event) are separated by commas; all if left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: StreamId | None = None
    nodes: str | None = Field(default=None, max_length=NODES_ASKED * (NODE_ID_MAX + 1))
    kinds: str | None = Field(default=None, max_length=32)


class Subscribe(BaseModel):
    """The frame that begins a stream over a WebSocket; another one begins it anew."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    type: Literal["subscribe"]
    after: StreamId | None = None
    nodes: Annotated[list[NodeId], Field(max_length=NODES_ASKED, fail_fast=True)] | None = None
    kinds: list[Literal["node", "gone", "event"]] | None = Field(default=None, max_length=3)

    def asked(self) -> Asked:
        """Give what is asked for."""
        after = parse_id(self.after)
        return Asked(after, self.after is not None and after is None, *_sets(self))


def asked(query: EventsQuery, request: web.Request) -> Asked:
    """Give what is asked for; a browser that comes back says so in a header.

    Raises
    ------
    RefusalError
        400: too many nodes, or kinds that are none.
    """
    nodes = _split(query.nodes)
    kinds = _split(query.kinds)
    if nodes is not None and len(nodes) > NODES_ASKED:
        raise bad_request(f"nodes: at most {NODES_ASKED}; leave it out for all")
    if kinds is not None and not kinds <= _KINDS:
        raise bad_request("kinds: only node, gone and event, separated by commas")
    last = request.headers.get("Last-Event-ID") or query.after
    after = parse_id(last)
    # What is no id is one of nothing that is here: the client is told to begin anew.
    return Asked(after, bool(last) and after is None, nodes, kinds)


def _split(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    return frozenset(part.strip() for part in text.split(",") if part.strip()) or None


def _sets(frame: Subscribe) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    nodes = frozenset(frame.nodes) if frame.nodes else None
    return nodes, frozenset(frame.kinds) if frame.kinds else None
