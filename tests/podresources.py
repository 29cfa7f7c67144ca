"""A kubelet's pod-resources socket for tests, by real gRPC and protobuf or by hand.

Servers by hand (`behaving`) do what a kubelet should not. A real one is in a process of its own:
``python -m tests.podresources SOCKET`` serves what stdin says as JSON: ``list`` and
``allocatable`` are messages in protobuf's JSON form; an ``allocatable`` of null is not served, as
by an old kubelet. So the agent's tests stay free of grpcio's threads. The messages are those of
``podresources.proto``.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

ROOT = Path(__file__).parent.parent
PROTO = ROOT / "citadel_k8s" / "collectors" / "podresources.proto"

_MESSAGE = re.compile(r"^message (\w+) \{(.*?)\n?\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s+(repeated )?(\w+) (\w+) = (\d+);", re.MULTILINE)


@dataclass(frozen=True)
class Reply:
    """What a call is answered with."""

    status: str
    body: bytes
    trailers: tuple[tuple[str, str], ...] | None


@cache
def messages() -> dict[str, Any]:
    """Give the classes of the real protobuf for the messages of the .proto, by name."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415

    field = descriptor_pb2.FieldDescriptorProto
    scalars = {"string": field.TYPE_STRING, "int64": field.TYPE_INT64}
    file = descriptor_pb2.FileDescriptorProto(name=PROTO.name, package="v1", syntax="proto3")
    for name, body in _MESSAGE.findall(PROTO.read_text()):
        message = file.message_type.add(name=name)
        for repeated, kind, called, number in _FIELD.findall(body):
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            entry = message.field.add(name=called, number=int(number), label=label)
            entry.type = scalars.get(kind, field.TYPE_MESSAGE)
            if kind not in scalars:
                entry.type_name = f".v1.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        m.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"v1.{m.name}"))
        for m in file.message_type
    }


def encode(name: str, value: dict[str, Any]) -> bytes:
    """Give the bytes of a message from its JSON form, by the real protobuf."""
    from google.protobuf.json_format import ParseDict  # noqa: PLC0415

    return ParseDict(value, messages()[name]()).SerializeToString()


def pod(
    name: str, *devices: str, resource: str = "nvidia.com/gpu", namespace: str = "ns"
) -> dict[str, Any]:
    """Give a pod with one container that holds these devices."""
    held = {"resource_name": resource, "device_ids": list(devices)}
    return {
        "name": name,
        "namespace": namespace,
        "containers": [{"name": "main", "devices": [held]}],
    }


def reply(
    message: bytes = b"",
    *,
    status: str = "200",
    trailers: tuple[tuple[str, str], ...] | None = (("grpc-status", "0"),),
    framed: bytes | None = None,
) -> Reply:
    """Give a reply of HTTP/2: a message with its prefix, or ``framed`` as it is."""
    body = bytes(1) + len(message).to_bytes(4, "big") + message if framed is None else framed
    return Reply(status, body, trailers)


class FakeServer:
    """The server's side of HTTP/2, in memory: gives the bytes that answer the bytes of a client.

    Parameters
    ----------
    replies : mapping
        By the method's last word; a method without a reply is not answered.
    """

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self._replies = replies
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._http.initiate_connection()
        self._waiting: dict[int, tuple[bytes, Reply]] = {}

    def hear(self, data: bytes) -> bytes:
        """Take bytes of the client and give those for it."""
        for event in self._http.receive_data(data):
            if isinstance(event, RequestReceived):
                method = dict(event.headers)[":path"].rpartition("/")[2]
                if (answer := self._replies.get(method)) is not None:
                    head = [(":status", answer.status), ("content-type", "application/grpc")]
                    self._http.send_headers(event.stream_id, head)
                    self._waiting[event.stream_id] = answer.body, answer
        for stream in list(self._waiting):
            self._send(stream)
        return self._http.data_to_send()

    def _send(self, stream: int) -> None:
        body, answer = self._waiting[stream]
        while body and (room := self._http.local_flow_control_window(stream)):
            size = min(room, self._http.max_outbound_frame_size, len(body))
            self._http.send_data(stream, body[:size])
            body = body[size:]
        self._waiting[stream] = body, answer
        if not body:
            del self._waiting[stream]
            if answer.trailers is None:
                self._http.end_stream(stream)
            else:
                self._http.send_headers(stream, list(answer.trailers), end_stream=True)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def behaving(socket: Path, handler: Handler) -> AsyncIterator[None]:
    """Serve in this process with a handler that may behave in any way."""

    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            # Whoever serves is told to stop by a cancellation, and that is no failure.
            with suppress(ConnectionError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)

    server = await asyncio.start_unix_server(handle, socket)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        # Transports are closed by callbacks that have to run before the loop ends.
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(0)


def replying(**replies: Reply) -> Handler:
    """Give a handler that speaks HTTP/2."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = FakeServer(replies)
        while data := await reader.read(65536):
            writer.write(server.hear(data))

    return handler


@asynccontextmanager
async def served(socket: Path, **says: Any) -> AsyncIterator[None]:
    """Serve on a socket in another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.podresources", str(socket)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(json.dumps(says).encode() + b"\n")
        assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.stdin.close()
        await process.wait()
        # The pipes' transports are closed by callbacks that have to run before the loop ends.
        await asyncio.sleep(0)


def main() -> None:
    """Serve until stdin ends."""
    import grpc  # noqa: PLC0415 - see the module's docstring

    says = json.loads(sys.stdin.readline())
    answers = {"List": encode("ListPodResourcesResponse", says["list"])}
    if says.get("allocatable") is not None:
        answers["GetAllocatableResources"] = encode(
            "AllocatableResourcesResponse", says["allocatable"]
        )
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(lambda _request, _context, a=answer: a)
        for method, answer in answers.items()
    }
    options = [("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(2), options=options)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("v1.PodResourcesLister", handlers)]
    )
    server.add_insecure_port(f"unix:{sys.argv[1]}")
    server.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main()
