import json

import pytest

from citadel_k8s.api.events.messages import DELTA_MAX, Message, merge, read
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgfeed import FeedEntry
from tests.orgfeed import node, parse

ID = EntryId(1_795_420_800_000, 3)


def taken(data: bytes) -> Message:
    message = read(FeedEntry(ID, data))
    assert message is not None
    return message


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\r\nb", "a\0b", "a\u2028b", "é😀", "\n\n"])
def test_a_name_with_line_breaks_stays_within_its_event(text: str):
    delta = node("n1", profile={"name": text})
    message = taken(json.dumps(delta).encode())
    (event,) = parse(message.sse)
    assert event["event"] == "node"
    assert event["id"] == str(ID)
    assert json.loads(event["data"]) == delta
    frame = json.loads(message.text)
    assert frame == {"type": "node", "id": str(ID), "data": delta}


def test_a_delta_written_over_several_lines_becomes_one():
    delta = node("n1", state="Online")
    message = taken(json.dumps(delta, indent=2).replace("\n", "\r\n").encode())
    assert message.data == b'{"type":"node","id":"n1","state":"Online"}'


def test_what_is_null_is_left_out_so_that_it_undoes_nothing():
    message = taken(b'{"type":"node","id":"n1","state":"Online","profile":null}')
    assert json.loads(message.data) == node("n1", state="Online")


def test_a_message_is_written_down_once_for_all():
    message = taken(b'{"type":"gone","id":"n1"}')
    assert message.sse is message.sse
    assert message.text is message.text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"type":"node"}',
        b'{"type":"node","id":""}',
        b'{"type":"node","id":7}',
        b'{"type":"reset","id":"n"}',
        b'{"type":["node"],"id":"n"}',
        b'{"type":"node","id":"n","pulse":{"cpu":NaN}}',
        b'{"type":"node","id":"\xff"}',
        b'{"type":"node","id":"n","x":"a\nb"}',
        b'{"type":"node","id":"%s"}' % (b"n" * 257),
        b'{"type":"node","id":"n","x":"%s"}' % (b"y" * DELTA_MAX),
        b'{"type":"node","id":"\\ud83d"}',
        b"[" * 5000,
    ],
)
def test_what_no_client_could_use_is_no_message(data: bytes):
    assert read(FeedEntry(ID, data)) is None


def test_a_newer_heartbeat_takes_the_place_of_an_older_one_as_it_is():
    old = taken(json.dumps(node("n", state="Online", pulse={"cpu": 1})).encode())
    new = taken(json.dumps(node("n", state="Online", pulse={"cpu": 2})).encode())
    assert merge(old, new) is new


def test_a_profile_is_kept_and_a_reason_that_is_no_more_is_not():
    old = taken(json.dumps(node("n", state="Degraded", reason="X", profile={"name": "a"})).encode())
    new = taken(json.dumps(node("n", state="Online")).encode())
    merged = json.loads(merge(old, new).data)
    assert merged == node("n", state="Online", profile={"name": "a"})
