"""Heartbeats and what else nodes write, and what they say on channels."""

from collections.abc import Callable
from typing import Final

from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.proxy.gatekeeper import Gatekeeper
from citadel_k8s.api.proxy.names import spoken_channel, stream_of
from citadel_k8s.api.proxy.payloads import check_object, check_status_message, fields_of
from citadel_k8s.api.proxy.rations import Rations
from citadel_k8s.api.proxy.shapes import AddBody, Added, PublishBody, Published
from citadel_k8s.models.identity import Principal
from citadel_k8s.stores.appending import Appender

STATUS_MAXLEN: Final = 100_000
"""Approximate length of the status stream, in entries, whatever a client asks for: 10,000 nodes for
five minutes in which no worker runs, 350 MB. The worker trims by time long before."""

LETTER_SECONDS: Final = 30 * 86_400.0
"""Seconds for which a dead letter counts as lying there: nobody takes it away but by hand."""

Count = Callable[[str], None]
"""Counts a heartbeat of whom the key names; raises RefusalError 429 beyond the day's quota."""


def uncounted(_key: str) -> None:
    """Count nothing."""


class Streams:
    """Writes for nodes, as themselves.

    Parameters
    ----------
    appender : Appender
        The way to Redis.
    gatekeeper : Gatekeeper
        Says what a caller may name.
    rations : Rations
        Say how much it may write.
    count : callable
        Counts a node's heartbeats against its quota of the day. They count nowhere else: a node
        must be heard however busy its neighbours are.
    """

    def __init__(
        self,
        appender: Appender,
        gatekeeper: Gatekeeper,
        rations: Rations,
        *,
        count: Count = uncounted,
        status_max_length: int = STATUS_MAXLEN,
    ) -> None:
        self._appender = appender
        self._gatekeeper = gatekeeper
        self._rations = rations
        self._count = count
        self._status_max_length = status_max_length

    async def add(self, call: Call) -> Added:
        """Append an entry to a stream; answered once it is in."""
        body = call.sent(AddBody)
        claims = self._gatekeeper.claims(call)
        stream = stream_of(body.stream, claims, self._status_max_length)
        fields = fields_of(stream, body.values, claims)
        size = sum(len(value.encode(errors="replace")) for value in fields.values())
        if stream.is_letters:
            self._rations.keep(call.who, size, LETTER_SECONDS)
        else:
            self._rations.write(call.who, size)
        if stream.shared:
            self._count(_meter(call.who, fields["nodeId"]))
        entry_id = await self._appender.append(stream.key, fields, stream.max_length)
        return Added(success=True, message_id=entry_id)

    async def publish(self, call: Call) -> Published:
        """Say something on a channel: JSON text of an object."""
        body = call.sent(PublishBody)
        claims = self._gatekeeper.claims(call)
        channel = spoken_channel(body.channel, claims)
        message = body.message.encode(errors="surrogatepass")
        if channel.is_status:
            check_status_message(message, channel.node_id, claims)
        else:
            check_object(message)
        await self._appender.publish(channel.key, message)
        return Published(published=True)


def _meter(who: Principal, node_id: str) -> str:
    return f"{who.org_id}:{who.subject}:{node_id}:heartbeats"
