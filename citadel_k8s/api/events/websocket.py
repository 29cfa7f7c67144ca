"""A stream over a WebSocket: the same messages, each one text frame ``{"type", "id", "data"}``.

The client begins it with ``{"type":"subscribe","after":ID,"nodes":[…],"kinds":[…]}``, all but the
type optional, and may begin anew with another. ``{"type":"ping"}`` is answered by
``{"type":"pong"}``; anything else by ``{"type":"error","error":…,"error_description":…}``.

Close codes: 1001 the server stops, come back; 1003 a binary frame; 1009 a frame over `FRAME_MAX`;
4401 the credential has ended; 4408 no subscribe in time. A client that does not read is cut with
none.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import urlsplit

import pydantic
import pydantic_core
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from typing_extensions import override

from citadel_k8s.api.events.messages import Message
from citadel_k8s.api.events.queries import Subscribe
from citadel_k8s.api.events.sse import Connection
from citadel_k8s.api.events.stream import Ending, Sink, Stream
from citadel_k8s.api.frame.refusal import RefusalError, upgrade_required
from citadel_k8s.models.identity import Principal

FRAME_MAX: Final = 32 * 1024
"""Longest frame from a client, in bytes: a subscribe that names 200 nodes has 14 kB."""

HEARTBEAT: Final = 20.0
"""Seconds between two pings; a client that does not answer within half of it is cut."""

SUBSCRIBE_SECONDS: Final = 10.0
"""Seconds that a client has for its first subscribe."""

PACE: Final = 0.5
"""Seconds between two frames of a client that are heeded: a subscribe costs all rows."""

CLOSE_SECONDS: Final = 2.0
"""Seconds that a client has to say goodbye."""

REVOKED_CODE: Final = 4401
"""Close code: the credential has ended."""

SILENT_CODE: Final = 4408
"""Close code: no subscribe in time."""

_CODES: Final[Mapping[Ending, tuple[int, bytes]]] = {
    Ending.LEFT: (WSCloseCode.OK, b""),
    Ending.STUCK: (WSCloseCode.POLICY_VIOLATION, b"not read"),
    Ending.REVOKED: (REVOKED_CODE, b"the credential has ended"),
    Ending.STOPPING: (WSCloseCode.GOING_AWAY, b"the server stops; come back"),
}


def check_origin(request: web.Request, principal: Principal, public_url: str | None) -> None:
    """Refuse a page of somebody else's: a browser sends its user's cookie along for that too.

    Raises
    ------
    RefusalError
        403 if the page that asks is not ours.
    """
    origin = request.headers.get("Origin")
    # Programs name no page, browsers always do; a token is nothing that a browser adds by itself.
    if principal.kind != "user" or origin is None:
        return
    ours = _origin(public_url) if public_url else (None, request.host.lower())
    theirs = _origin(origin)
    if theirs[1] != ours[1] or ours[0] not in {None, theirs[0]}:
        raise RefusalError(
            HTTPStatus.FORBIDDEN, "bad_origin", "this page may not listen; open the one served here"
        )


class SocketSink(Sink):
    """Writes frames."""

    def __init__(self, request: web.Request) -> None:
        self.socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT,
            timeout=CLOSE_SECONDS,
            max_msg_size=FRAME_MAX,
            compress=False,
        )
        self._request = request
        self._connection = Connection(request)

    def check(self) -> None:
        """Refuse what is no upgrade.

        Raises
        ------
        RefusalError
            426.
        """
        if not self.socket.can_prepare(self._request):
            raise upgrade_required()

    async def open(self) -> None:
        """Answer the upgrade."""
        await self.socket.prepare(self._request)

    @override
    async def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._connection.wrote(len(message.text))
            await self.socket.send_frame(message.text, WSMsgType.TEXT)

    @property
    @override
    def gone(self) -> bool:
        return self._connection.gone or self.socket.closed

    @override
    def moved(self) -> int | None:
        return self._connection.moved()

    @override
    def abort(self) -> None:
        self._connection.abort()


class Dialogue:
    """What a client says, and its stream."""

    def __init__(
        self, sink: SocketSink, stream: Stream, *, patience: float = SUBSCRIBE_SECONDS
    ) -> None:
        self._patience = patience
        self._sink = sink
        self._socket = sink.socket
        self._stream = stream
        self._subscribed = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until it leaves or its stream ends."""
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send(), name="stream: sending")
            hearing = group.create_task(self._hear(), name="stream: hearing")
            await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
            sending.cancel()
            hearing.cancel()

    async def _send(self) -> None:
        """Send the stream once it is asked for, then close."""
        try:
            async with asyncio.timeout(self._patience):
                await self._subscribed.wait()
        except TimeoutError:
            await self._socket.close(code=SILENT_CODE, message=b"no subscribe in time")
            return
        code, text = _CODES[await self._stream.run()]
        await self._socket.close(code=code, message=text)

    async def _hear(self) -> None:
        loop, ready = asyncio.get_running_loop(), 0.0
        async for frame in self._socket:
            await asyncio.sleep(ready - loop.time())
            ready = loop.time() + PACE
            if frame.type is not WSMsgType.TEXT:
                code = WSCloseCode.UNSUPPORTED_DATA
                await self._socket.close(code=code, message=b"text frames only")
                return
            try:
                await self._take(frame)
            except ConnectionError:
                return

    async def _take(self, frame: WSMessage) -> None:
        try:
            said: Any = pydantic_core.from_json(frame.data, allow_inf_nan=False)
        except ValueError:
            await self._refuse("not_json", "a frame is one JSON object")
            return
        kind = cast("dict[str, Any]", said).get("type") if isinstance(said, dict) else None
        if kind == "ping":
            await self._socket.send_frame(b'{"type":"pong"}', WSMsgType.TEXT)
        elif kind == "subscribe":
            await self._subscribe(said)
        else:
            await self._refuse("unknown_type", "type is subscribe or ping")

    async def _subscribe(self, said: Any) -> None:
        try:
            asked = Subscribe.model_validate(said).asked()
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            await self._refuse("bad_request", f"{place[:80]}: {first['msg']}")
            return
        self._stream.ask(asked)
        self._subscribed.set()

    async def _refuse(self, error: str, description: str) -> None:
        said = {"type": "error", "error": error, "error_description": description}
        await self._socket.send_frame(pydantic_core.to_json(said), WSMsgType.TEXT)


def _origin(url: str) -> tuple[str | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None, ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = (parts.hostname or "").lower()
    named = f"[{host}]" if ":" in host else host
    return parts.scheme, named if port in {None, usual} else f"{named}:{port}"
