import gzip
import json
import zlib
from typing import Any

import pytest

from citadel_k8s.api.live.bodies import boot_of, check_identity, read_body, read_status
from citadel_k8s.api.live.failure import LiveError, Step

LIMIT = 100_000


class Given:
    """A body that comes in pieces."""

    def __init__(self, data: bytes, piece: int = 1000) -> None:
        self._data, self._piece = data, piece

    async def read(self, n: int = -1) -> bytes:
        size = min(n, self._piece)
        chunk, self._data = self._data[:size], self._data[size:]
        return chunk


async def read(data: bytes, encoding: str = "", piece: int = 1000) -> bytes:
    return await read_body(Given(data, piece), encoding, "there", limit=LIMIT)


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "GZIP ", "deflate"])
async def test_a_body_is_read_packed_or_not(encoding: str) -> None:
    body = json.dumps({"a": list(range(1000))}).encode()
    kind = encoding.strip().lower()
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(kind, bytes)(body)

    assert await read(packed, encoding) == body


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x-unknown"])
async def test_an_unknown_packing_is_refused(encoding: str) -> None:
    with pytest.raises(LiveError, match="packs") as caught:
        await read(b"x", encoding)
    assert caught.value.step is Step.BODY


async def test_exactly_the_limit_is_taken() -> None:
    assert len(await read(b"x" * LIMIT)) == LIMIT
    assert len(await read(gzip.compress(b"x" * LIMIT), "gzip")) == LIMIT


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"x" * (LIMIT + 1), ""),
        (gzip.compress(b"x" * (LIMIT + 1)), "gzip"),
        (gzip.compress(b"\0" * 50_000_000), "gzip"),
        (gzip.compress(gzip.compress(b"\0" * 1_000_000)) + b"x" * LIMIT, "identity"),
    ],
)
async def test_more_than_the_limit_is_refused_however_it_is_packed(
    data: bytes, encoding: str
) -> None:
    with pytest.raises(LiveError, match="more than"):
        await read(data, encoding, piece=65536)


@pytest.mark.parametrize(
    "data", [b"no gzip at all", gzip.compress(b"x" * 1000, mtime=0)[:20], b"", b"\x1f\x8b"]
)
async def test_a_broken_packing_is_told(data: bytes) -> None:
    with pytest.raises(LiveError, match=r"broken|breaks off"):
        await read(data, "gzip")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[1]", b"1", b"null", b'{"a":1}', b'{"status":{}}', b'{"node":1}',
        b'{"node":{},"x":NaN}', b"\xff{}", b"[" * 100_000, b'{"node":{}} {"node":{}}',
        b'{"status":[],"nodeId":"a"}', b"\xef\xbb\xbf" + b'{"node":{}}',
    ],
)  # fmt: skip
def test_what_is_no_status_is_told(body: bytes) -> None:
    with pytest.raises(LiveError, match="JSON") as caught:
        read_status(body, "there")
    assert caught.value.step is Step.BODY


def wrapped(**more: Any) -> dict[str, Any]:
    return {"nodeId": "a", "bootId": "b1", "status": {"node": {"name": "x"}}} | more


@pytest.mark.parametrize(
    ("message", "own"),
    [
        (wrapped(), True),
        (wrapped(nodeId="b"), False),
        (wrapped(nodeId=["a"]), False),
        (wrapped(nodeId=None), False),
        ({"status": {"node": {"name": "a"}}}, False),
        ({"node": {"name": "a"}}, True),
        ({"node": {"name": "known"}}, True),
        ({"node": {"name": "b"}}, False),
        ({"node": {}}, False),
        ({"node": {"name": "a"}, "nodeId": "b"}, False),
    ],
)
def test_only_the_node_itself_is_believed(message: dict[str, Any], *, own: bool) -> None:
    names = frozenset({"known"})
    if own:
        check_identity(message, "a", names, "there")
        return
    with pytest.raises(LiveError) as caught:
        check_identity(message, "a", names, "there")
    assert caught.value.step is Step.IDENTITY


def test_a_process_without_an_id_has_none() -> None:
    assert boot_of(wrapped()) == "b1"
    assert [boot_of({"bootId": odd}) for odd in ("", None, 7, ["b"])] == [None] * 4
