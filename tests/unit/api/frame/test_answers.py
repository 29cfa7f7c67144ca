"""Versions of answers, and fewer bytes."""

import gzip
from typing import Any

import pytest

from citadel_k8s.api.frame.answers import takes
from citadel_k8s.api.frame.route import ANYONE, Call, Route, holds
from tests.unit.api.frame.serving import serving


def get(handler: Any) -> Route:
    return Route("GET", "/x", handler, "A test.", ANYONE, "test")


async def test_an_answer_that_the_caller_has_is_not_sent_again():
    async def listed(_call: Call) -> list[int]:
        return [1, 2]

    async with serving([get(listed)]) as api:
        _, _, headers = await api.ask("/x")
        tag = headers["ETag"]
        assert tag.startswith('W/"')
        for asked in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            status, body, headers = await api.ask("/x", headers={"If-None-Match": asked})
            assert (status, body, headers["ETag"]) == (304, None, tag)
        assert (await api.ask("/x", headers={"If-None-Match": '"other"'}))[0] == 200


async def test_a_handler_that_knows_the_version_makes_no_body():
    made: list[int] = []

    async def listed(call: Call) -> list[int] | None:
        if call.unchanged("7"):
            return None
        made.append(1)
        return [1]

    async with serving([get(listed)]) as api:
        status, _, headers = await api.ask("/x")
        assert (status, headers["ETag"]) == (200, 'W/"7"')
        assert (await api.ask("/x", headers={"If-None-Match": 'W/"7"'}))[0] == 304
    assert len(made) == 1


@pytest.mark.parametrize("size", [10, 2_000, 200_000])
async def test_large_answers_are_compressed_and_say_so(size: int):
    async def text(_call: Call) -> dict[str, str]:
        return {"a": "x" * size}

    async with (
        serving([get(text)]) as api,
        api.client.get(
            api.url("/x"),
            headers={"Authorization": "Bearer device", "Accept-Encoding": "gzip"},
            auto_decompress=False,
        ) as response,
    ):
        data = await response.read()
        compressed = response.headers.get("Content-Encoding") == "gzip"
        assert compressed == (size > 1024)
        assert response.headers["Vary"] == "Accept-Encoding"
        plain = gzip.decompress(data) if compressed else data
    assert plain == b'{"a":"' + b"x" * size + b'"}'


async def test_who_does_not_ask_for_compression_gets_none():
    async def text(_call: Call) -> dict[str, str]:
        return {"a": "x" * 5000}

    async with serving([get(text)]) as api:
        for accepted in ("identity", "br, gzip;q=0", "gzip; q=0.0"):
            _, _, headers = await api.ask("/x", headers={"Accept-Encoding": accepted})
            assert "Content-Encoding" not in headers


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        (None, False),
        ("", False),
        ('W/"a"', True),
        ('"a"', True),
        ('"b", "a"', True),
        ('"b"', False),
    ],
)
def test_a_tag_is_compared_weakly(*, asked: str | None, same: bool):
    assert holds(asked, 'W/"a"') is same


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True), ("GZIP", True), ("br, gzip ; q=0.5", True), ("gzip;q=1", True),
        ("gzip;q=0.001", True), ("gzip;q=0", False), ("gzip; Q=0.0000", False), ("", False),
        ("br", False), ("xgzip", False), ("gzip;q=0, br", False),
    ],
)  # fmt: skip
def test_gzip_is_sent_to_who_takes_it(accepted: str, taken: bool):  # noqa: FBT001
    assert takes(accepted, "gzip") is taken
