"""What is said on one socket: frames in, frames out, by the same rules as over REST."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pydantic_core

from citadel_k8s.api.frame.refusal import RefusalError, bad_request
from citadel_k8s.api.proxy.bounds import Claims
from citadel_k8s.api.proxy.consuming import ConsumeLoop
from citadel_k8s.api.proxy.frames import (
    CHANNELS_MAX,
    AckFrame,
    ChannelsFrame,
    ConsumeFrame,
    PublishFrame,
    checked,
    error_frame,
    made,
    parsed,
)
from citadel_k8s.api.proxy.hub import Hub
from citadel_k8s.api.proxy.jobs import line_of, order_of
from citadel_k8s.api.proxy.live import LiveChannel, LiveSocket
from citadel_k8s.api.proxy.names import (
    ChannelName,
    check_entry_id,
    heard_channel,
    shown,
    spoken_channel,
)
from citadel_k8s.api.proxy.payloads import check_status_message
from citadel_k8s.api.proxy.rations import Rations
from citadel_k8s.api.proxy.shapes import BLOCK_MAX_MS, BLOCK_MS
from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.appending import Appender
from citadel_k8s.stores.queues import Given, Queues

Send = Callable[[bytes], bool]

AWAY: Final = "unavailable: Redis is away or slow"
"""What a client is told of it."""


class Conversation:
    """Does what frames ask.

    Parameters
    ----------
    claims : Claims
        What the client may name.
    appender, queues, hub, live
        What it may use.
    rations : Rations
        Say how many names it may make up, and how many frames are heeded.
    """

    def __init__(
        self,
        claims: Claims,
        appender: Appender,
        queues: Queues,
        hub: Hub,
        live: LiveChannel,
        *,
        rations: Rations,
    ) -> None:
        self._claims, self._appender, self._queues = claims, appender, queues
        self._rations = rations
        self._hub, self._live = hub, live
        self._channels: dict[str, ChannelName] = {}
        self._consumer: ConsumeLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._live_socket: LiveSocket | None = None
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "publish": self._publish,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "consume": self._consume,
            "stop_consume": self._stop_consume,
            "ack": self._acknowledge,
            "live_answer": self._live_answer,
        }

    def begin(self, group: asyncio.TaskGroup, send: Send) -> None:
        """Begin; whatever runs beside runs in the group."""
        self._group, self._send = group, send
        if self._claims.node_id is not None:
            self._speaks_for(self._claims.node_id)

    async def heed(self) -> None:
        """Wait until one more frame may be read."""
        await self._rations.frame(self._claims.who)

    async def take(self, data: str | bytes) -> None:
        """Do what one frame asks; what is wrong with it is told in a frame."""
        try:
            frame = parsed(data)
            handler = self._handlers.get(frame["type"])
            if handler is None:
                raise bad_request(f"there is no frame of the type {shown(frame['type'])}")
            await handler(frame)
        except RefusalError as refusal:
            self._send(error_frame(f"{refusal.error}: {refusal.description}"))
        except StreamError:
            self._send(error_frame(AWAY))

    async def finish(self, seconds: float) -> None:
        """Take nothing more off queues; what is being taken goes back."""
        await self._end_consuming(seconds)

    def leave(self) -> None:
        """Listen to nothing any more."""
        for name in self._channels.values():
            self._hub.forget(name, self._hear)
        self._channels.clear()
        if self._live_socket is not None:
            self._live_socket.close()

    async def _publish(self, frame: dict[str, Any]) -> None:
        asked: PublishFrame = checked(PublishFrame, frame)
        name = spoken_channel(asked.channel, self._claims)
        message = pydantic_core.to_json(asked.message)
        if len(message) > MAX_ENTRY_BYTES:
            raise bad_request(f"publish: over {MAX_ENTRY_BYTES} bytes")
        if name.is_status:
            check_status_message(message, name.node_id, self._claims)
        await self._appender.publish(name.key, message)
        if name.is_status and name.node_id is not None:
            self._speaks_for(name.node_id)

    async def _subscribe(self, frame: dict[str, Any]) -> None:
        asked: ChannelsFrame = checked(ChannelsFrame, frame)
        for channel in asked.channels:
            if channel in self._channels:
                continue
            if len(self._channels) >= CHANNELS_MAX:
                raise bad_request(f"subscribe: a socket has at most {CHANNELS_MAX} channels")
            name = heard_channel(channel, self._claims)
            self._channels[channel] = name
            self._hub.listen(name, self._hear)

    async def _unsubscribe(self, frame: dict[str, Any]) -> None:
        asked: ChannelsFrame = checked(ChannelsFrame, frame)
        for channel in asked.channels:
            name = self._channels.pop(channel, None)
            if name is not None:
                self._hub.forget(name, self._hear)

    async def _consume(self, frame: dict[str, Any]) -> None:
        asked: ConsumeFrame = checked(ConsumeFrame, frame)
        queues = list(dict.fromkeys(asked.queues))
        orders = [order_of(q, asked.group, asked.consumer, self._claims) for q in queues]
        self._rations.names(self._claims.who, [order.line for order in orders])
        await self._end_consuming(None)
        consumer = ConsumeLoop(
            self._queues,
            orders,
            limit=asked.count or 1,
            block=min(asked.blockMs or BLOCK_MS, BLOCK_MAX_MS) / 1000,
            give=self._give,
            on_error=lambda text: void(self._send(error_frame(text))),
        )
        self._consumer = consumer
        self._send(made("consuming", queues=queues))
        self._task = self._group.create_task(consumer.run(), name="socket consumes")

    async def _stop_consume(self, _frame: dict[str, Any]) -> None:
        await self._end_consuming(None)

    async def _acknowledge(self, frame: dict[str, Any]) -> None:
        asked: AckFrame = checked(AckFrame, frame)
        key, group = line_of(asked.queue, asked.group, self._claims)
        entry_id = check_entry_id(asked.messageId)
        await self._queues.acknowledge(key, group, entry_id)
        if self._consumer is not None:
            self._consumer.acknowledged(asked.queue, entry_id)
        self._send(made("acked", messageId=entry_id))

    async def _live_answer(self, frame: dict[str, Any]) -> None:
        if self._live_socket is not None:
            await self._live_socket.answer(frame)

    def _give(self, given: Given) -> bool:
        return self._send(made("job", queue=given.order.queue, id=given.id, data=given.data))

    def _hear(self, frame: bytes) -> None:
        self._send(frame)

    def _speaks_for(self, node_id: str) -> None:
        """Have a node asked over this socket; the first that it spoke for."""
        if self._live_socket is None:
            self._live_socket = self._live.attach(self._claims.org_id, node_id, self._hear)

    async def _end_consuming(self, seconds: float | None) -> None:
        consumer, task = self._consumer, self._task
        self._consumer = self._task = None
        if consumer is None or task is None:
            return
        consumer.stop()
        await asyncio.wait((task,), timeout=seconds)
        task.cancel()


def void(_said: object) -> None:
    """Give nothing: for a callback of which nothing is asked."""
