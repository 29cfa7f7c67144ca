"""One client's WebSocket from its upgrade to its end."""

import asyncio
import socket as sockets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.proxy.conversation import Conversation
from citadel_k8s.api.proxy.sendqueue import SendQueue
from citadel_k8s.errors import CitadelError
from citadel_k8s.models.identity import Principal

PING_EVERY: Final = 15.0
"""Seconds between two pings of ours. Source: the wire contract, which has the client do the same;
each pushes the other side's deadline."""

SILENCE_MAX: Final = 60.0
"""Seconds without any frame after which a client is gone: four of its pings."""

WRITE_TIMEOUT: Final = 15.0
"""Seconds that one frame may take to leave. Source: the wire contract."""

CREDENTIAL_EVERY: Final = 10.0
"""Seconds after which the credential is looked at again: a revoked one has its socket closed within
30, what remembers credentials included."""

CLOSE_SECONDS: Final = 2.0
"""Seconds for the closing handshake. Source: the wire contract."""

CONSUME_END: Final = 3.0
"""Seconds for what is being taken off a queue to go back to it."""

Authenticate = Callable[[web.Request], Awaitable[Principal | None]]
"""Says who asks; RefusalError for a credential that does not hold."""


@dataclass(frozen=True, slots=True)
class End:
    """Why a socket is closed; ``abrupt`` where no closing frame would be read."""

    code: int
    why: str
    abrupt: bool = False


class Session:
    """Serves one socket.

    Parameters
    ----------
    call : Call
        The request that was upgraded.
    wire : web.WebSocketResponse
        Prepared, answering no pings by itself.
    queue : SendQueue
        What is still to be sent.
    conversation : Conversation
        What is said.
    authenticate : callable
        Says whether the credential still holds.
    """

    def __init__(
        self,
        call: Call,
        wire: web.WebSocketResponse,
        queue: SendQueue,
        conversation: Conversation,
        authenticate: Authenticate,
    ) -> None:
        self._call, self._wire, self._queue = call, wire, queue
        self._conversation, self._authenticate = conversation, authenticate
        self._over: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    def send(self, frame: bytes) -> bool:
        """Have a frame sent; the socket of a client that reads none is ended."""
        if not self._queue.offer(frame):
            self._end(End(WSCloseCode.TRY_AGAIN_LATER, "too slow", abrupt=True))
            return False
        return not self._over.done()

    async def run(self) -> None:
        """Serve the socket to its end."""
        try:
            async with asyncio.TaskGroup() as group:
                self._conversation.begin(group, self.send)
                jobs = (self._read, self._write, self._ping, self._watch, self._await_stop)
                tasks = [group.create_task(self._job(job), name=job.__name__) for job in jobs]
                end = await self._over
                await self._conversation.finish(CONSUME_END)
                for task in tasks:
                    task.cancel()
        finally:
            self._conversation.leave()
        await self._close(end)

    async def _job(self, job: Callable[[], Awaitable[End]]) -> None:
        try:
            end = await job()
        except TimeoutError:
            end = End(WSCloseCode.GOING_AWAY, "timeout", abrupt=True)
        except (ConnectionError, RuntimeError) as error:
            # What the library raises on a socket that is closing under it.
            end = End(WSCloseCode.ABNORMAL_CLOSURE, str(error), abrupt=True)
        self._end(end)

    def _end(self, end: End) -> None:
        if not self._over.done():
            self._over.set_result(end)

    async def _read(self) -> End:
        while True:
            async with asyncio.timeout(SILENCE_MAX):
                frame = await self._wire.receive()
            await self._conversation.heed()
            match frame.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    await self._conversation.take(frame.data)
                case WSMsgType.PING:
                    async with asyncio.timeout(WRITE_TIMEOUT):
                        await self._wire.pong(frame.data)
                case WSMsgType.PONG:
                    pass
                case WSMsgType.ERROR:
                    return End(self._wire.close_code or WSCloseCode.PROTOCOL_ERROR, "bad frame")
                case _:
                    return End(WSCloseCode.OK, "closed by the client")

    async def _write(self) -> End:
        while True:
            frame = await self._queue.next()
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self._wire.send_frame(frame, WSMsgType.TEXT)

    async def _ping(self) -> End:
        while True:
            await asyncio.sleep(PING_EVERY)
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self._wire.ping()

    async def _watch(self) -> End:
        """End the socket once its credential does not hold, or is another's."""
        while True:
            await asyncio.sleep(CREDENTIAL_EVERY)
            try:
                principal = await self._authenticate(self._call.request)
            except RefusalError as refusal:
                if refusal.status < 500:  # noqa: PLR2004
                    return End(WSCloseCode.POLICY_VIOLATION, "the credential does not hold")
            except CitadelError:
                continue  # whoever knows is away; that is no reason to send everybody away
            else:
                if principal != self._call.principal:
                    return End(WSCloseCode.POLICY_VIOLATION, "the credential has changed")

    async def _await_stop(self) -> End:
        await self._call.stopping.wait()
        return End(WSCloseCode.GOING_AWAY, "the server ends; come again")

    async def _close(self, end: End) -> None:
        if not end.abrupt:
            with suppress(TimeoutError, ConnectionError, RuntimeError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._wire.close(code=end.code, message=end.why.encode()[:100])
        self._cut()

    def _cut(self) -> None:
        """End the connection whether or not what was written has left."""
        transport: Any = self._call.request.transport
        if transport is not None and not transport.is_closing():
            raw = transport.get_extra_info("socket")
            if raw is not None:
                with suppress(OSError):
                    raw.shutdown(sockets.SHUT_RDWR)
            transport.abort()
