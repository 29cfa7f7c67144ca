"""The proxy's WebSocket: kept alive, watched, and opened again for as long as it takes.

What is lost with a connection is only a courtesy: statuses go by the durable stream. So nothing
waits in here; a message for which there is no connection is refused at once.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

import aiohttp

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.proxy import TEXT_MAX, json_object
from citadel_k8s.errors import PublishError
from citadel_k8s.publishers.transport import CLOSE_TIMEOUT
from citadel_k8s.publishers.wire import Pauses, Wire, cut, end_of, hang_up

PING_INTERVAL: Final = 15.0
"""Seconds between two pings. Source: the wire contract."""

READ_DEADLINE: Final = 45.0
"""Seconds without any frame after which the connection is taken for dead: three pings that were
not answered. Source: the wire contract; well under a platform's offline sweep of 120 s."""

WRITE_TIMEOUT: Final = 15.0
"""Seconds that one frame may take to leave. Source: the wire contract."""

FRAME_MAX: Final = 1024 * 1024
"""Largest frame that is looked at, in characters: that of a stream's entry."""

Object: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Object], None]


class SocketDownError(Exception):
    """There is no connection, or it broke while it was written to."""


class ProxySocket:
    """One connection at a time, and who listens on it.

    Parameters
    ----------
    dial : callable
        Opens a connection or raises `PublishError`; bounded in time by itself.
    on_state : callable
        Told why there is no connection, as a text, and None when there is one.
    on_refusal : callable
        Told what the proxy says of a frame that it did not take.
    jitter : callable
        Gives a factor in [0, 1) by which a pause is lengthened, up to twice its base.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Wire]],
        *,
        on_state: Callable[[str | None], None] = lambda _error: None,
        on_refusal: Callable[[str], None] = lambda _text: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._dial = dial
        self._on_state = on_state
        self._on_refusal = on_refusal
        self._pauses = Pauses(jitter)
        self._handlers: dict[str, Handler] = {"message": self._dispatch, "error": self._refused}
        self._channels: dict[str, Handler] = {}
        self._wire: Wire | None = None
        self._broken: str | None = None
        self._writing = asyncio.Lock()
        self._loop_task: asyncio.Task[None] | None = None
        self._closed = False
        self.dropped = 0
        """Frames that were too large, or not of the contract's shape."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._wire is not None

    async def subscribe(self, channel: str, callback: Handler) -> None:
        """Hand over the messages of a channel, now and after every new connection.

        A channel has one listener; another one takes its place. The callback must not wait.
        """
        known = channel in self._channels
        self._channels[channel] = callback
        if not known:
            await self._mention("subscribe", channel)

    async def unsubscribe(self, channel: str) -> None:
        """Listen to a channel no longer."""
        if self._channels.pop(channel, None) is not None:
            await self._mention("unsubscribe", channel)

    def on_type(self, kind: str, handler: Handler) -> None:
        """Hand over whole frames of a type; those of a type that nobody asked for are ignored."""
        self._handlers[kind] = handler

    async def send(self, frame: str) -> None:
        """Send a text frame.

        Raises
        ------
        SocketDownError
            If there is no connection, or not any more.
        """
        wire = self._wire
        if wire is None:
            raise SocketDownError("there is no connection")
        await self._write(wire, lambda: wire.send_str(frame))

    async def run(self) -> None:
        """Connect, listen and connect again, until `close`; one at a time."""
        if self._loop_task is not None and not self._loop_task.done():
            raise RuntimeError("a second run would open a second connection")
        async with asyncio.TaskGroup() as group:
            self._loop_task = group.create_task(self._keep(), name="websocket")

    async def close(self) -> None:
        """End `run` with whatever it waits for, and the connection with a goodbye."""
        self._closed = True
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.wait((self._loop_task,), timeout=2 * CLOSE_TIMEOUT)

    async def _keep(self) -> None:
        # Asked after each sleep as well: whoever closed meanwhile wants no new connection.
        while not self._closed:
            try:
                wire = await self._dial()
            except PublishError as error:
                self._on_state(str(error))
                pause = self._pauses.after_refusal(error.retry_after)
            else:
                started = asyncio.get_running_loop().time()
                self._on_state(await self._serve(wire))
                pause = self._pauses.after_life(asyncio.get_running_loop().time() - started)
            await asyncio.sleep(pause)

    async def _serve(self, wire: Wire) -> str:
        """Use one connection to its end; give the reason of that."""
        self._wire = wire
        self._broken = None
        # No await between these two: a channel is asked for either here or by who subscribes.
        channels = sorted(self._channels)
        try:
            self._on_state(None)
            async with asyncio.TaskGroup() as group:
                pings = group.create_task(self._ping(wire), name="websocket pings")
                why = await self._session(wire, channels)
                pings.cancel()
            return self._broken or why
        finally:
            self._wire = None
            await hang_up(wire)

    async def _session(self, wire: Wire, channels: list[str]) -> str:
        try:
            if channels:
                frame = json.dumps({"type": "subscribe", "channels": channels})
                await self._write(wire, lambda: wire.send_str(frame))
            while True:
                async with asyncio.timeout(READ_DEADLINE):
                    frame_in = await wire.receive()
                if frame_in.type is aiohttp.WSMsgType.PING:
                    answer = frame_in.data
                    await self._write(wire, lambda: wire.pong(answer))  # noqa: B023 - sent at once
                elif (over := end_of(frame_in)) is not None:
                    return over
                elif frame_in.type is not aiohttp.WSMsgType.PONG:
                    self._take(frame_in)
        except TimeoutError:
            cut(wire)
            return f"nothing came for {READ_DEADLINE:g} s"
        except SocketDownError as error:
            return str(error)

    async def _ping(self, wire: Wire) -> None:
        with suppress(SocketDownError):  # whoever reads notices, and says why
            while True:
                await asyncio.sleep(PING_INTERVAL)
                await self._write(wire, wire.ping)

    async def _write(self, wire: Wire, send: Callable[[], Awaitable[None]]) -> None:
        """Write one frame, after those before it; a connection that takes none is cut."""
        try:
            async with asyncio.timeout(WRITE_TIMEOUT), self._writing:
                await send()
        except TimeoutError:
            why = f"a frame did not leave within {WRITE_TIMEOUT:g} s"
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            why = f"{type(error).__name__}: {error}"
        else:
            return
        if self._wire is wire:
            self._wire = None
            self._broken = clip(why, TEXT_MAX)
        cut(wire)
        raise SocketDownError(clip(why, TEXT_MAX))

    async def _mention(self, kind: str, channel: str) -> None:
        frame = json.dumps({"type": kind, "channels": [channel]})
        with suppress(SocketDownError):  # the next connection begins with all channels
            await self.send(frame)

    def _take(self, frame: aiohttp.WSMessage) -> None:
        document = None
        if frame.type is aiohttp.WSMsgType.TEXT and len(frame.data) <= FRAME_MAX:
            document = json_object(frame.data)
        kind = (document or {}).get("type")
        if document is None or not isinstance(kind, str):
            self.dropped += 1
            return
        handler = self._handlers.get(kind)
        if handler is not None:
            self._hand_over(handler, document)

    def _dispatch(self, document: Object) -> None:
        channel, message = document.get("channel"), document.get("message")
        if not isinstance(channel, str) or not isinstance(message, dict):
            self.dropped += 1
            return
        callback = self._channels.get(channel)
        if callback is not None:
            callback(message)  # pyright: ignore[reportUnknownArgumentType]

    def _refused(self, document: Mapping[str, Any]) -> None:
        self._on_refusal(clip(str(document.get("error", "no reason given")), TEXT_MAX))

    def _hand_over(self, handler: Handler, document: Object) -> None:
        try:
            handler(document)
        except Exception as error:  # noqa: BLE001 - a stranger's frame must not end the agent
            self._on_refusal(clip(f"{document['type']}: {type(error).__name__}: {error}", TEXT_MAX))
