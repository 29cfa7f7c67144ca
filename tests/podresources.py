"""A kubelet's pod-resources socket for tests: a real gRPC server with the real protobuf.

``python -m tests.podresources SOCKET`` serves what stdin says as JSON: ``list`` and
``allocatable`` are messages in protobuf's JSON form; an ``allocatable`` of null is not served, as
by an old kubelet. It runs in a process of its own, so that the agent's tests stay free of
grpcio's threads. The messages are those of ``podresources.proto``.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROTO = ROOT / "citadel_k8s" / "collectors" / "podresources.proto"

_MESSAGE = re.compile(r"^message (\w+) \{(.*?)\n?\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s+(repeated )?(\w+) (\w+) = (\d+);", re.MULTILINE)


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
