"""gRPC calls with an empty request over a Unix socket: HTTP/2 by h2, without grpcio.

One connection serves one round of calls. It costs half a millisecond of CPU more than one that is
kept, and a kubelet that restarts, and with it the socket, needs no care.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

from citadel_k8s.collectors.lines import clean

MESSAGE_MAX: Final = 4 * 1024 * 1024
"""Bytes of the longest message. Source: gRPC's own default for what is received."""

READ_MAX: Final = 16 * 1024
"""Bytes taken from the socket at once: what other tasks wait for. A frame of HTTP/2 is as long."""

OVERHEAD_MAX: Final = 1024 * 1024
"""Bytes that a peer may send beside the messages: frames' heads, headers, pings."""

EVENTS_MAX: Final = 5_000
"""Events of a connection. Two of the longest messages are 600; a peer that pings without end would
keep the agent busy until the deadline."""

PREFIX: Final = 5
"""Bytes before a message: whether it is compressed, and its length in four. Source: gRPC."""

OK, PERMISSION_DENIED, UNIMPLEMENTED = 0, 7, 12
"""Codes of gRPC that matter here."""


class CallError(Exception):
    """A call came to nothing. ``reason`` is a CamelCase word, ``status`` gRPC's code or None."""

    def __init__(self, reason: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


async def call(
    socket: Path, methods: Sequence[str], *, deadline: float, limit: int = MESSAGE_MAX
) -> list[bytes | CallError]:
    """Call each method with an empty message, all on one connection.

    Parameters
    ----------
    socket : Path
        Where the server listens.
    methods : sequence of str
        Paths such as ``/v1.PodResourcesLister/List``.
    deadline : float
        Seconds for everything. What was answered by then is given.
    limit : int
        Bytes of a message beyond which it is not read.

    Returns
    -------
    list
        For each method the answer's message, or why there is none: ``Hung`` (not a byte came),
        ``Timeout``, ``Unreadable`` or ``Refused``.

    Raises
    ------
    OSError
        If the socket cannot be connected to.
    """
    calls = _Calls(methods, limit)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(deadline):
            reader, writer = await asyncio.open_unix_connection(socket, limit=READ_MAX)
            await _converse(calls, reader, writer)
    except TimeoutError:
        word = "Timeout" if calls.heard else "Hung"
        calls.fail(CallError(word, f"no answer within {deadline:g} s"))
    except H2Error as error:
        problem = clean(f"{type(error).__name__} {error}")
        calls.fail(CallError("Unreadable", f"the answer is not HTTP/2: {problem}"))
    except OSError as error:
        if writer is None:
            raise
        calls.fail(CallError("Refused", f"the connection broke: {error.strerror or error}"))
    finally:
        if writer is not None:
            writer.transport.abort()
    return calls.results()


async def _converse(
    calls: "_Calls", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(calls.requests())
    while calls.open:
        # A peer that asks and does not listen is waited for here, not stored up for.
        await writer.drain()
        data = await reader.read(READ_MAX)
        if not data:
            calls.fail(CallError("Refused", "the connection was closed before the answer"))
            return
        writer.write(calls.receive(data))


class _Calls:
    """The calls of one connection and what has come of them."""

    def __init__(self, methods: Iterable[str], limit: int) -> None:
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._methods = list(methods)
        self._limit = limit
        self._left = limit * len(self._methods) + OVERHEAD_MAX
        self._events = 0
        self._answers: dict[int, _Answer] = {}
        self._broken = CallError("Refused", "no call was made")
        self.heard = False

    @property
    def open(self) -> bool:
        return any(answer.result is None for answer in self._answers.values())

    def requests(self) -> bytes:
        self._http.initiate_connection()
        for method in self._methods:
            number = self._http.get_next_available_stream_id()
            self._answers[number] = _Answer(self._limit)
            headers = [
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", "localhost"),
                (":path", method),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ]
            self._http.send_headers(number, headers)
            self._http.send_data(number, bytes(PREFIX), end_stream=True)
        return self._http.data_to_send()

    def receive(self, data: bytes) -> bytes:
        self.heard = True
        self._left -= len(data)
        events = self._http.receive_data(data)
        self._events += len(events)
        if self._left < 0 or self._events > EVENTS_MAX:
            self.fail(CallError("Unreadable", "more was sent than an answer holds"))
            return b""
        for event in events:
            self._take(event)
        return self._http.data_to_send()

    def fail(self, error: CallError) -> None:
        self._broken = error
        for answer in self._answers.values():
            answer.end(error)

    def results(self) -> list[bytes | CallError]:
        found = [
            answer.result if answer.result is not None else self._broken
            for answer in self._answers.values()
        ]
        return found or [self._broken] * len(self._methods)

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.fail(CallError("Refused", f"the server goes away: {event.error_code}"))
            return
        # What a server pushes unasked has a stream of its own, which nobody reads.
        answer = self._answers.get(getattr(event, "stream_id", None) or 0)
        if answer is None:
            return
        match event:
            case DataReceived():
                answer.data(event.data or b"")
                size = event.flow_controlled_length or 0
                self._http.acknowledge_received_data(size, event.stream_id)
            case ResponseReceived() | TrailersReceived():
                answer.headers(event.headers or [])
            case StreamEnded():
                answer.ended()
            case StreamReset():
                answer.end(CallError("Refused", f"reset with code {event.error_code}"))
            case _:
                pass


class _Answer:
    """What came of one call."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self.result: bytes | CallError | None = None

    def data(self, data: bytes) -> None:
        if self.result is not None:
            return
        self._data += data
        if len(self._data) >= PREFIX and (problem := self._problem()):
            self.end(CallError("Unreadable", problem))

    def headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers.update(headers)

    def end(self, result: bytes | CallError) -> None:
        if self.result is None:
            self.result = result
            self._data = bytearray()

    def ended(self) -> None:
        status = self._headers.get(b":status", b"")
        if status != b"200":
            self.end(CallError("Refused", f"HTTP status {clean(status)}"))
            return
        code = self._headers.get(b"grpc-status", b"")
        if code != b"0":
            told = clean(
                unquote(self._headers.get(b"grpc-message", b"").decode("utf-8", "replace"))
            )
            number = int(code) if code.isdigit() and len(code) < PREFIX else None
            self.end(CallError("Refused", f"gRPC status {clean(code)} {told}".rstrip(), number))
        elif len(self._data) < PREFIX or len(self._data) != PREFIX + self._length:
            self.end(CallError("Unreadable", "the message is cut off"))
        else:
            self.end(bytes(self._data[PREFIX:]))

    @property
    def _length(self) -> int:
        return int.from_bytes(self._data[1:PREFIX], "big")

    def _problem(self) -> str | None:
        if self._data[0] != 0:
            return "the message is compressed, which was not asked for"
        if self._length > self._limit:
            return f"a message of {self._length} bytes; at most {self._limit} are read"
        if len(self._data) > PREFIX + self._length:
            return "more than one message"
        return None
