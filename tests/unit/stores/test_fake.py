import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.fake import FakeStatusStream
from citadel_k8s.stores.streams import EntryId


async def test_ids_are_moments_of_the_given_clock() -> None:
    clock = ManualClock()
    stream = FakeStatusStream(clock)
    first = await stream.append("n", b"")
    clock.advance(30)
    second = await stream.append("n", b"")
    assert second.ms - first.ms == 30_000
    assert (await stream.head()).now_ms == second.ms


async def test_ids_grow_while_the_clock_goes_back() -> None:
    clock = ManualClock()
    stream = FakeStatusStream(clock)
    first = await stream.append("n", b"")
    clock.jump(-3600)
    assert await stream.append("n", b"") == EntryId(first.ms, first.seq + 1)


async def test_an_entry_can_be_put_at_a_moment() -> None:
    assert FakeStatusStream().put({b"nodeId": b"n"}, at_ms=5) == EntryId(5, 0)


async def test_every_call_fails_while_it_is_down() -> None:
    stream = FakeStatusStream()
    stream.down = "pulled"
    for call in (
        lambda: stream.read(EntryId.ZERO),
        stream.head,
        lambda: stream.append("n", b""),
        lambda: stream.trim(0),
        lambda: stream.load_snapshot("s"),
        lambda: stream.save_snapshot("s", {}),
    ):
        with pytest.raises(StreamError, match="pulled"):
            await call()
    stream.down = ""
    assert (await stream.head()).length == 0
