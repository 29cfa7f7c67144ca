"""Job queues over REST: one entry at a time, acknowledged when it is done."""

import select
from collections.abc import Callable
from typing import Final

from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.proxy.bounds import Claims
from citadel_k8s.api.proxy.gatekeeper import Gatekeeper
from citadel_k8s.api.proxy.names import check_entry_id, check_group, group_of, queue_of
from citadel_k8s.api.proxy.rations import Rations
from citadel_k8s.api.proxy.shapes import (
    BLOCK_MAX_MS,
    BLOCK_MS,
    AcknowledgeBody,
    Acknowledged,
    ConsumeBody,
    Consumed,
    Message,
)
from citadel_k8s.domain.configmessage import ConfigEntry, Identity, Skip, open_entry
from citadel_k8s.errors import WireError
from citadel_k8s.stores.queues import Order, Queues

_HUNG_UP: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR
"""What the kernel says of a connection whose other end has gone."""


class Jobs:
    """Gives nodes their work.

    Parameters
    ----------
    queues : Queues
        Where it lies.
    gatekeeper : Gatekeeper
        Says what a caller may name.
    rations : Rations
        Say how many names it may make up.
    """

    def __init__(self, queues: Queues, gatekeeper: Gatekeeper, rations: Rations) -> None:
        self._queues, self._gatekeeper, self._rations = queues, gatekeeper, rations

    async def consume(self, call: Call) -> Consumed:
        """Wait for an entry; give it, or nothing if none came in time."""
        body = call.sent(ConsumeBody)
        claims = await self._gatekeeper.mesh_claims(call)
        order = order_of(body.queue, body.group, body.consumer, claims)
        self._rations.names(call.who, [order.line])
        block = min(body.blockMs or BLOCK_MS, BLOCK_MAX_MS) / 1000
        given = await self._queues.take([order], block, gone_from(call))
        if given is None:
            return Consumed(messages=[])
        return Consumed(messages=[Message(id=given.id, data=given.data)])

    async def acknowledge(self, call: Call) -> Acknowledged:
        """Be done with an entry."""
        body = call.sent(AcknowledgeBody)
        claims = await self._gatekeeper.mesh_claims(call)
        key, group = line_of(body.queue, body.group, claims)
        entry_id = check_entry_id(body.messageId)
        return Acknowledged(acknowledged=await self._queues.acknowledge(key, group, entry_id))


def order_of(queue: str, group: str, consumer: str, claims: Claims) -> Order:
    """Give what a node waits for, or refuse; see `names.queue_of`."""
    name = queue_of(queue, claims)
    key, reader = group_of(name, group, claims)
    check_group(consumer, "consumer")
    if reader is None:
        return Order(name.key, name.letters, name.name, key, consumer)
    return Order(
        name.key,
        name.letters,
        name.name,
        key,
        reader,
        passes=_for_others(Identity(reader, claims.mesh_id)),
        resumes=True,
    )


def line_of(queue: str, group: str, claims: Claims) -> tuple[str, str]:
    """Give the keys of a queue and of a group of its, or refuse."""
    name = queue_of(queue, claims)
    return name.key, group_of(name, group, claims)[0]


def gone_from(call: Call) -> Callable[[], bool]:
    """Give what says whether the caller's connection is gone."""

    def gone() -> bool:
        transport = call.request.transport
        if transport is None or transport.is_closing():
            return True
        # The loop may not have come to it yet, and an entry would be given to nobody.
        connection = transport.get_extra_info("socket")
        if connection is None or connection.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), _HUNG_UP)
        return bool(poll.poll(0))

    return gone


def _for_others(identity: Identity) -> Callable[[ConfigEntry], bool]:
    """Give what says whether an entry names another node than this one, or none at all."""

    def passes(entry: ConfigEntry) -> bool:
        try:
            opened = open_entry(entry, identity)
        except WireError:
            # It is for this node and cannot be read: the node says so where it is seen.
            return False
        return opened is Skip.OTHER_NODE or opened is Skip.NO_TARGET

    return passes
