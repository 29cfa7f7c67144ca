"""Heartbeats through the API proxy. The stream decides; the channel is a courtesy.

The durable write goes by REST and its HTTP status alone makes the heartbeat a success. Then the
status is announced, by the WebSocket while there is one, else by REST.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.constants import STATUS_STREAM, STATUS_STREAM_MAXLEN
from citadel_k8s.domain.proxy import check_org_id, org_channel
from citadel_k8s.errors import ConfigError, PublishError
from citadel_k8s.models.codec import encode
from citadel_k8s.models.wire import StatusMessage
from citadel_k8s.publishers.proxy import ProxyClient
from citadel_k8s.publishers.questions import Questions
from citadel_k8s.publishers.token import Token
from citadel_k8s.publishers.transport import Transport
from citadel_k8s.publishers.websocket import Object, ProxySocket, SocketDownError

PUBLISH_TIMEOUT: Final = 9.5
"""Seconds for a heartbeat with everything around it: under the outbox's 10, so that a courtesy
that hangs is not taken for a heartbeat that failed, and written twice."""

ADD_TIMEOUT: Final = 8.0
"""Seconds for the durable write: the proxy answers within 5."""

ANNOUNCE_TIMEOUT: Final = 3.0
"""Seconds for the announcement: while one hangs, the next heartbeat, urgent or not, waits."""

ORG_TIMEOUT: Final = 4.0
"""Seconds to learn the org in: what is left of a heartbeat's time is enough for its write."""


class ApiPublisher:
    """Writes to the status stream by the proxy, then announces on the org's channel.

    Parameters
    ----------
    base_url : str
        Where the proxy is, ``https://host[:port]``.
    token : callable
        Gives the device's token, see `citadel_k8s.publishers.token`.
    org_id : str or None
        The org that the node belongs to; learnt from the proxy if None.
    stream_max_length : int
        Approximate length at which the stream is trimmed; the proxy may know better.
    clock : Clock or None
        What the dates in a refusal are compared with.
    insecure : bool
        Allow ``http://`` to other hosts than this one.
    ca_file : Path or None
        Certificates (PEM) to trust besides those of the system.
    on_channel, on_socket : callable
        Told how each announcement, and the WebSocket, fares: an error's text, or None.
    on_refusal : callable
        Told what the proxy says of a frame that it did not take.

    Raises
    ------
    ConfigError
        If the address or the org is none, or the certificates cannot be read.
    """

    transport = "api"

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        org_id: str | None = None,
        stream_max_length: int = STATUS_STREAM_MAXLEN,
        clock: Clock | None = None,
        insecure: bool = False,
        ca_file: Path | None = None,
        on_channel: Callable[[str | None], None] = lambda _error: None,
        on_socket: Callable[[str | None], None] = lambda _error: None,
        on_refusal: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.client = ProxyClient(
            Transport(base_url, token, clock=clock, insecure=insecure, ca_file=ca_file)
        )
        self.socket = ProxySocket(self.client.upgrade, on_state=on_socket, on_refusal=on_refusal)
        self._org_id = None if org_id is None else check_org_id(org_id)
        self._max_length = stream_max_length
        self._on_channel = on_channel
        self._on_own: Callable[[Object], None] | None = None
        self._questions: Questions | None = None

    @property
    def pubsub_transport(self) -> str:
        """How announcements go now: ``websocket``, or ``http`` where that is down."""
        return "websocket" if self.socket.connected else "http"

    def hear_own(self, callback: Callable[[Object], None]) -> None:
        """Have what is announced under the node's id heard, by whomever, once its org is known.

        Call it before the first heartbeat.
        """
        self._on_own = callback

    def answer(self, status: Callable[[], bytes]) -> None:
        """Have whoever asks over the WebSocket given the node's status, as JSON text."""
        self._questions = Questions(self.socket, status)

    async def run(self) -> None:
        """Keep the WebSocket up until cancelled or closed."""
        if self._questions is None:
            await self.socket.run()
            return
        async with asyncio.TaskGroup() as group:
            answers = group.create_task(self._questions.run(), name="websocket answers")
            await self.socket.run()
            answers.cancel()

    async def publish(self, message: StatusMessage) -> None:
        """Append to the stream, then announce; only the first can fail."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PUBLISH_TIMEOUT
        last_word = message.goodbye is not None
        org_id = self._org_id or await self._learn_org()
        payload = encode(message).decode()
        values = {"nodeId": message.node_id, "timestamp": message.timestamp, "payload": payload}
        await self.client.append(
            STATUS_STREAM,
            values,
            self._max_length,
            timeout=min(ADD_TIMEOUT, end - loop.time()),
            early=last_word,
        )
        try:
            async with asyncio.timeout_at(min(end, loop.time() + ANNOUNCE_TIMEOUT)):
                await self._hear(org_channel(org_id, message.node_id))
                await self._announce(org_channel(org_id, message.node_id), payload)
        except TimeoutError:
            self._on_channel("the announcement did not leave in time")
        except PublishError as error:
            self._on_channel(str(error))
        else:
            self._on_channel(None)

    async def close(self) -> None:
        """Close the WebSocket with a goodbye, then all connections."""
        await self.socket.close()
        await self.client.close()

    async def _announce(self, channel: str, payload: str) -> None:
        # Spliced, not parsed and written again: the payload is JSON already.
        frame = f'{{"type":"publish","channel":{json.dumps(channel)},"message":{payload}}}'
        try:
            await self.socket.send(frame)
        except SocketDownError:
            await self.client.announce(channel, payload)

    async def _hear(self, channel: str) -> None:
        if self._on_own is not None:
            await self.socket.subscribe(channel, self._on_own)
            self._on_own = None

    async def _learn_org(self) -> str:
        """Ask the proxy for the org, each time anew until it tells: once is not enough."""
        try:
            found = await self.client.org_id(timeout=ORG_TIMEOUT)
            org_id = None if found is None else check_org_id(found)
        except (PublishError, ConfigError) as error:
            raise PublishError(
                f"no org is known; set orgId, or let the proxy tell it: {error}",
                retry_after=getattr(error, "retry_after", None),
            ) from error
        if org_id is None:
            raise PublishError("no org is known and the proxy names none; set orgId")
        self._org_id = org_id
        return org_id
