"""One node: found by either of its ids, with the last status that it sent."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol, cast

import pydantic_core

from citadel_k8s.api.fabric.rows import Item, Judge, words_of
from citadel_k8s.api.frame.refusal import not_found
from citadel_k8s.domain.arrivals import Arrival
from citadel_k8s.domain.keys import check_node_id
from citadel_k8s.domain.life import Policy
from citadel_k8s.errors import StreamError, WireError
from citadel_k8s.stores.laststatus import Heard
from citadel_k8s.stores.postgres.fleet import NodeRow

NOT_HERE: Final = "no node of that id"
"""Of a node that nobody knows, and of another org's in the same words: it tells neither."""


class Nodes(Protocol):
    """Where nodes are kept; `stores.postgres.fleet.Fleet` does."""

    async def node(self, org_id: str, name: str) -> NodeRow | None:
        """Give the node of an id, or of an id in the mesh; raises `DatabaseError`."""
        ...


class Statuses(Protocol):
    """Where last statuses are kept whole; `stores.laststatus.LastStatuses` does."""

    async def get(self, org_id: str, node_id: str) -> bytes | None:
        """Give what a node said last; raises `StreamError`."""
        ...

    async def heard(self, org_id: str, node_id: str) -> Heard:
        """Give what a node said last and when it was heard; raises `StreamError`."""
        ...


class Said(NamedTuple):
    """A node's last status, whether that is whole, and when the node was heard."""

    status: dict[str, Any] | None
    complete: bool
    arrivals: list[Arrival]


class LastWord:
    """Finds nodes.

    Parameters
    ----------
    nodes : Nodes
        Where they are.
    statuses : Statuses or None
        Where their last statuses are whole; None where there is no Redis.
    policy : Policy
        How long silence is borne.
    """

    def __init__(self, nodes: Nodes, statuses: Statuses | None, policy: Policy) -> None:
        self._nodes = nodes
        self._statuses = statuses
        self._policy = policy

    async def node(self, org_id: str, name: str) -> NodeRow:
        """Give the node of an id, or of an id in the mesh.

        Raises
        ------
        RefusalError
            404, if the org has none of either.
        DatabaseError
            When the database is away.
        """
        try:
            found = await self._nodes.node(org_id, check_node_id(name))
        except WireError:
            found = None
        if found is None:
            raise not_found(NOT_HERE)
        return found

    def item(self, org_id: str, node: NodeRow) -> tuple[Item, float | None]:
        """Give a node as a row of the list, and its age."""
        judge = Judge(node.ingested, self._policy)
        words = words_of(node.row, org_id)
        item = Item(node.row, words, judge.judge(node.row, words))
        return item, judge.age(item)

    async def status(self, org_id: str, node: NodeRow) -> tuple[dict[str, Any] | None, bool]:
        """Give the last status of a node, and whether it is whole.

        Without Redis it is the one at the time when its slow parts last changed.
        """
        if self._statuses is not None and node.row.stream_ms is not None:
            try:
                found = parsed(await self._statuses.get(org_id, node.row.node_id))
            except StreamError:
                found = None
            if found is not None:
                return found, True
        return node.status, False

    async def said(self, org_id: str, node: NodeRow) -> Said:
        """Give the last status of a node as `status` does, and when the node was heard."""
        if self._statuses is not None and node.row.stream_ms is not None:
            try:
                found, arrivals = await self._statuses.heard(org_id, node.row.node_id)
            except StreamError:
                found, arrivals = None, []
            whole = parsed(found)
            if whole is not None:
                return Said(whole, complete=True, arrivals=arrivals)
            return Said(node.status, complete=False, arrivals=arrivals)
        return Said(node.status, complete=False, arrivals=[])


def parsed(payload: bytes | None) -> dict[str, Any] | None:
    """Give the object of a JSON text; None if it is none."""
    if not payload:
        return None
    try:
        document: Any = pydantic_core.from_json(payload, allow_inf_nan=False)
    except ValueError:
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None


def inner(message: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Give the status of a message, or the bare status that it is."""
    if message is None:
        return {}
    wrapped = message.get("status")
    return mapping(wrapped) if isinstance(wrapped, dict) else message


def mapping(value: Any) -> Mapping[str, Any]:
    """Give an object; an empty one for what is none."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
