import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from h2.exceptions import H2Error
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.collectors.podresources import (
    ALLOCATABLE,
    LIST,
    Granted,
    allocatable_of,
    allocations_of,
    ask,
)
from citadel_k8s.collectors.unary import MESSAGE_MAX, CallError, _Calls
from citadel_k8s.models.readings import Allocation, Failed, Outcome, Reading
from tests.podresources import FakeServer, Handler, behaving, encode, pod, reply, replying

TWO = encode(
    "ListPodResourcesResponse",
    {"pod_resources": [pod("a", "GPU-1"), pod("b", "GPU-2", namespace="other")]},
)
ALL = encode(
    "AllocatableResourcesResponse",
    {"devices": [{"resource_name": "nvidia.com/gpu", "device_ids": ["GPU-1", "GPU-2"]}]},
)
GIVEN = (
    Allocation("ns", "a", "main", "nvidia.com/gpu", ("GPU-1",)),
    Allocation("other", "b", "main", "nvidia.com/gpu", ("GPU-2",)),
)


async def asked(folder: Path, handler: Handler, *, deadline: float = 2.0) -> Outcome[Granted]:
    socket = folder / "kubelet.sock"
    async with behaving(socket, handler):
        return await ask(socket, deadline=deadline)


def listed(*pods: dict[str, Any]) -> tuple[Allocation, ...]:
    return allocations_of(encode("ListPodResourcesResponse", {"pod_resources": list(pods)}))


# What the kubelet says


async def test_what_was_given_and_what_can_be_given(tmp_path: Path) -> None:
    outcome = await asked(tmp_path, replying(List=reply(TWO), GetAllocatableResources=reply(ALL)))
    assert outcome == Reading(Granted(GIVEN, (("nvidia.com/gpu", ("GPU-1", "GPU-2")),)))


async def test_a_node_without_pods_has_given_nothing_which_is_known(tmp_path: Path) -> None:
    outcome = await asked(tmp_path, replying(List=reply(), GetAllocatableResources=reply()))
    assert outcome == Reading(Granted((), ()))


async def test_an_old_kubelet_that_does_not_say_what_can_be_given(tmp_path: Path) -> None:
    unimplemented = reply(framed=b"", trailers=(("grpc-status", "12"),))
    outcome = await asked(
        tmp_path, replying(List=reply(TWO), GetAllocatableResources=unimplemented)
    )
    assert outcome == Reading(Granted(GIVEN, None))


async def test_what_was_given_counts_where_the_other_answer_never_comes(tmp_path: Path) -> None:
    outcome = await asked(tmp_path, replying(List=reply(TWO)), deadline=0.5)
    assert outcome == Reading(Granted(GIVEN, None))


async def test_what_can_be_given_is_unknown_where_it_cannot_be_read(tmp_path: Path) -> None:
    handler = replying(List=reply(TWO), GetAllocatableResources=reply(b"\x0a\x7f"))
    assert await asked(tmp_path, handler) == Reading(Granted(GIVEN, None))


async def test_an_answer_larger_than_what_is_sent_ahead_is_read_whole(tmp_path: Path) -> None:
    pods = [pod(f"p{n}", f"GPU-{n}" + "x" * 200) for n in range(1000)]
    message = encode("ListPodResourcesResponse", {"pod_resources": pods})
    assert len(message) > 3 * 65536
    outcome = await asked(tmp_path, replying(List=reply(message), GetAllocatableResources=reply()))
    assert isinstance(outcome, Reading)
    assert len(outcome.value.allocations) == 1000


# Messages


def test_devices_of_one_resource_are_one_allocation_and_each_is_told_once() -> None:
    # The kubelet gives an entry for each NUMA node.
    container = {
        "name": "main",
        "devices": [
            {"resource_name": "nvidia.com/gpu", "device_ids": ["GPU-1", "GPU-2"]},
            {
                "resource_name": "nvidia.com/gpu",
                "device_ids": ["GPU-2", "GPU-3"],
                "topology": {"nodes": [{"ID": 1}]},
            },
        ],
        "cpu_ids": [1, 2, 3],
    }
    found = listed({"name": "a", "namespace": "ns", "containers": [container]})
    assert found == (Allocation("ns", "a", "main", "nvidia.com/gpu", ("GPU-1", "GPU-2", "GPU-3")),)


def test_claims_are_told_with_the_driver_and_the_device() -> None:
    resource = {
        "driver_name": "gpu.nvidia.com",
        "pool_name": "node-1",
        "device_name": "gpu-0",
        "cdi_devices": [{"name": "k8s.gpu.nvidia.com/claim=1234-gpu-0"}],
    }
    nameless = {"driver_name": "gpu.nvidia.com", "cdi_devices": [{"name": "x/device=gpu-1"}]}
    claims = [
        {"claim_name": "mine", "claim_namespace": "ns", "claim_resources": [resource, nameless]}
    ]
    container = {"name": "main", "dynamic_resources": claims}
    found = listed({"name": "a", "namespace": "ns", "containers": [container]})
    assert found == (
        Allocation("ns", "a", "main", "gpu.nvidia.com", ("gpu-0", "x/device=gpu-1"), "mine"),
    )


def test_containers_and_pods_without_devices_are_left_out() -> None:
    assert listed(pod("a"), {"name": "b", "namespace": "ns"}) == ()


def test_names_are_cleaned_and_clipped() -> None:
    (found,) = listed(pod("evil\x1b[31m\nname", "x" * 10_000, namespace="\x00"))
    assert found.pod == "evil [31m name"
    assert found.namespace == ""
    assert len(found.devices[0]) == 256


def test_bytes_that_are_no_text_are_replaced() -> None:
    message = encode("ListPodResourcesResponse", {"pod_resources": [pod("abc", "GPU-1")]})
    (found,) = allocations_of(message.replace(b"abc", b"a\xffc"))
    assert found.pod == "a\ufffdc"


def test_a_hundred_thousand_devices_are_refused_and_not_cut() -> None:
    devices = [f"{n}" for n in range(100_000)]
    message = encode("ListPodResourcesResponse", {"pod_resources": [pod("a", *devices)]})
    with pytest.raises(ValueError, match="too many"):
        allocations_of(message)


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
DEVICES = st.lists(NAMES, min_size=1, max_size=4, unique=True)


@given(st.dictionaries(NAMES, DEVICES, max_size=5))
def test_what_the_real_protobuf_writes_is_read(pods: dict[str, list[str]]) -> None:
    found = listed(*(pod(name, *devices) for name, devices in pods.items()))
    assert {a.pod: list(a.devices) for a in found} == pods


@given(st.dictionaries(NAMES, DEVICES, max_size=5))
def test_what_can_be_given_is_read_as_the_real_protobuf_writes_it(
    resources: dict[str, list[str]],
) -> None:
    devices = [{"resource_name": r, "device_ids": ids} for r, ids in resources.items()]
    found = allocatable_of(encode("AllocatableResourcesResponse", {"devices": devices}))
    assert {r: list(ids) for r, ids in found} == resources


@given(st.integers(0, len(TWO) - 1), st.integers(0, 255))
def test_a_message_with_a_wrong_byte_is_read_or_refused(at: int, byte: int) -> None:
    with contextlib.suppress(ValueError):
        allocations_of(TWO[:at] + bytes([byte]) + TWO[at + 1 :])


# Kubelets that are not well


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    server = FakeServer({"List": reply(TWO), "GetAllocatableResources": reply(ALL)})
    for byte in server.hear(await reader.read(65536)):
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)


async def closes(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def speaks_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    writer.write_eof()
    await reader.read()


async def speaks_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x00\x04\x00\x00\x00\x00\x00\x00abcd")
    await reader.read()


async def floods(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)
    writer.write(settings)
    while True:
        writer.write(ping * 1000)
        await writer.drain()


OTHER = {"GetAllocatableResources": reply(ALL)}


def framed(data: bytes) -> Handler:
    return replying(List=reply(framed=data), **OTHER)


def refusing(code: str, message: str = "") -> Handler:
    trailers = (("grpc-status", code), ("grpc-message", message))
    answer = reply(framed=b"", trailers=trailers)
    return replying(List=answer, GetAllocatableResources=answer)


@pytest.mark.parametrize(
    ("handler", "reason", "says"),
    [
        (hangs, "PodResourcesHung", "no answer within"),
        (drips, "PodResourcesTimeout", "no answer within"),
        (closes, "PodResourcesRefused", "closed before the answer"),
        (speaks_http1, "PodResourcesRefused", "closed before the answer"),
        (speaks_nonsense, "PodResourcesUnreadable", "not HTTP/2"),
        (framed(b""), "PodResourcesUnreadable", "cut off"),
        (framed(b"\x00\x00\x00\x00\x05abc"), "PodResourcesUnreadable", "cut off"),
        (framed(b"\x01\x00\x00\x00\x00"), "PodResourcesUnreadable", "compressed"),
        (framed(b"\x00\x7f\xff\xff\xff"), "PodResourcesUnreadable", "2147483647 bytes"),
        (framed(bytes(10)), "PodResourcesUnreadable", "more than one"),
        (
            replying(List=reply(b"\x0a\x7f"), **OTHER),
            "PodResourcesUnreadable",
            "ends after its message",
        ),
        (replying(List=reply(status="503"), **OTHER), "PodResourcesRefused", "503"),
        (replying(List=reply(TWO, trailers=None), **OTHER), "PodResourcesRefused", "gRPC status"),
        (refusing("8", "rate%20limit\x7f"), "PodResourcesRefused", "status 8 rate limit"),
        (refusing("12"), "PodResourcesRefused", "status 12"),
        (refusing("x" * 99), "PodResourcesRefused", "status x"),
        (refusing("7"), "NoPermission", "status 7"),
    ],
    ids=[
        "hangs",
        "drips",
        "closes",
        "speaks HTTP/1",
        "speaks nonsense",
        "sends no message",
        "sends half a message",
        "compresses",
        "announces two gigabytes",
        "sends two messages",
        "sends garbage in a message",
        "gives another status of HTTP",
        "ends without a status",
        "limits the rate",
        "does not know the call",
        "gives a status that is none",
        "forbids",
    ],
)
async def test_a_kubelet_that(handler: Handler, reason: str, says: str, tmp_path: Path) -> None:
    slow = handler in {hangs, drips}
    outcome = await asked(tmp_path, handler, deadline=0.2 if slow else 10.0)
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert says in outcome.message
    assert len(outcome.message) < 400


async def test_a_kubelet_that_sends_without_end_is_left(tmp_path: Path) -> None:
    outcome = await asked(tmp_path, floods, deadline=1.0)
    assert isinstance(outcome, Failed)
    assert outcome.reason in {"PodResourcesUnreadable", "PodResourcesTimeout"}


async def test_a_message_over_the_limit_is_not_taken_in(tmp_path: Path) -> None:
    message = bytes(MESSAGE_MAX + 1)
    outcome = await asked(
        tmp_path, replying(List=reply(message), GetAllocatableResources=reply(ALL))
    )
    assert isinstance(outcome, Failed)
    assert outcome.reason == "PodResourcesUnreadable"


async def test_a_kubelet_that_starts_anew_is_asked_at_its_new_socket(tmp_path: Path) -> None:
    handler = replying(List=reply(TWO), GetAllocatableResources=reply(ALL))
    for _ in range(2):
        assert isinstance(await asked(tmp_path, handler), Reading)
        (tmp_path / "kubelet.sock").unlink()
    with pytest.raises(FileNotFoundError):
        await ask(tmp_path / "kubelet.sock")


async def test_a_socket_that_nobody_serves_any_more_is_refused(tmp_path: Path) -> None:
    async with behaving(tmp_path / "a.sock", hangs):
        (tmp_path / "a.sock").rename(tmp_path / "b.sock")
    with pytest.raises(ConnectionRefusedError):
        await ask(tmp_path / "b.sock")


@pytest.fixture
async def _asleep(tmp_path: Path) -> AsyncIterator[None]:
    """Let a socket listen that nobody accepts from, with its queue full."""
    import socket  # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(tmp_path / "kubelet.sock"))
        server.listen(0)
        for _ in range(5):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(0)
            client.connect_ex(str(tmp_path / "kubelet.sock"))
        yield


@pytest.mark.usefixtures("_asleep")
async def test_a_stopped_kubelet_with_a_full_queue_is_left_in_time(tmp_path: Path) -> None:
    try:
        outcome = await ask(tmp_path / "kubelet.sock", deadline=0.2)
    except OSError:
        return
    assert isinstance(outcome, Failed)


def _answered() -> bytes:
    calls = _Calls([LIST, ALLOCATABLE], 4096)
    server = FakeServer({"List": reply(TWO), "GetAllocatableResources": reply(ALL)})
    return server.hear(calls.requests())


@given(st.data())
def test_an_answer_with_wrong_bytes_is_read_or_refused(data: st.DataObject) -> None:
    wire = bytearray(_answered())
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    calls = _Calls([LIST, ALLOCATABLE], 4096)
    calls.requests()
    with contextlib.suppress(H2Error):
        calls.receive(bytes(wire))
    for result in calls.results():
        assert isinstance(result, bytes | CallError)
