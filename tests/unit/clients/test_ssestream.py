import pytest

from citadel_k8s.clients import ssestream
from citadel_k8s.clients.ssestream import Event, EventParser, events_of

STREAM = (
    b"retry: 3314\n\n"
    b": a comment\n"
    b'id: 1-0\nevent: snapshot\ndata: [{"id":\ndata: "gpu-1"}]\n\n'
    b"event: time\r\ndata:{}\r\n\r\n"
    b"id: bad\0id\ndata: x\n\n"
)
EVENTS = [
    Event("message", "", None, 3.314),
    Event("snapshot", '[{"id":\n"gpu-1"}]', "1-0"),
    Event("time", "{}", "1-0"),
    Event("message", "x", "1-0"),
]


class Pieces:
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def readany(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_whole_however_the_bytes_come(size: int):
    parser = EventParser()
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


async def test_a_stream_ends_with_its_bytes_and_half_an_event_is_none():
    found = [event async for event in events_of(Pieces(STREAM, b"data: half"), silence=1)]
    assert found == EVENTS


def test_a_server_cannot_ask_for_a_pause_without_end():
    assert EventParser().feed(b"retry: 99999999999999\n\n")[0].retry == ssestream.RETRY_MAX


@pytest.mark.parametrize("piece", [b"x" * 300, b"data: " + b"x" * 90 + b"\n", b"data:\n"])
def test_an_event_without_end_is_refused(piece: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ssestream, "EVENT_MAX", 256)
    parser = EventParser()

    def feed() -> None:
        for _ in range(4):
            parser.feed(piece)

    with pytest.raises(ValueError, match="an event is over"):
        feed()
