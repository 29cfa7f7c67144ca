"""A lean message is refused and read as a whole one is."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.facts import facts_from
from citadel_k8s.errors import WireError
from citadel_k8s.models import lean as module
from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.lean import decode_lean
from citadel_k8s.models.wire import StatusMessage
from tests.unit.domain.samples import gpu, message
from tests.unit.models.strategies import JSON, MESSAGES
from tests.unit.models.test_wire import MINIMAL

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
TEXT = encode(MINIMAL)


def outcome(read: Any, payload: bytes) -> Any:
    """What a reader makes of a payload: the error's words, or what an operator takes of it."""
    try:
        message = read(payload, node_id="n9")
    except WireError as error:
        return error.reason, error.field, error.detail
    if isinstance(message, StatusMessage):
        envelope = (message.node_id, message.boot_id, message.seq, message.interval_seconds)
        said = message.goodbye
        goodbye = (said.reason, said.expected_back_seconds) if said else None
    else:
        envelope = (
            message["node_id"],
            message.get("boot_id"),
            message.get("seq"),
            message.get("interval_seconds"),
        )
        said = message.get("goodbye")
        goodbye = (said["reason"], said.get("expected_back_seconds")) if said else None
    return envelope, goodbye, facts_from(message)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every place in a document that holds a value."""
    keys = document.keys() if isinstance(document, dict) else range(len(document))
    found = [(document, key) for key in keys]
    inner = [document[key] for key in keys if isinstance(document[key], dict | list)]
    return found + [place for value in inner for place in places(value)]


@FEW
@given(MESSAGES)
def test_any_message_is_read_as_by_the_other_way(whole: StatusMessage) -> None:
    payload = encode(whole)

    assert outcome(decode_lean, payload) == outcome(decode, payload)


@FEW
@given(MESSAGES, JSON | st.none() | st.just(10**30), st.data())
def test_one_value_that_is_something_else_is_refused_in_the_same_words(
    whole: StatusMessage, value: Any, data: st.DataObject
) -> None:
    document = json.loads(encode(whole))
    target, key = data.draw(st.sampled_from(places(document)))
    target[key] = value
    payload = json.dumps(document).encode()

    assert outcome(decode_lean, payload) == outcome(decode, payload)


@FEW
@given(MESSAGES, st.data())
def test_one_value_that_is_missing_is_refused_in_the_same_words(
    whole: StatusMessage, data: st.DataObject
) -> None:
    document = json.loads(encode(whole))
    target, key = data.draw(st.sampled_from(places(document)))
    del target[key]
    payload = json.dumps(document).encode()

    assert outcome(decode_lean, payload) == outcome(decode, payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf" + TEXT,
        b"[" * 100_000,
        TEXT[:-1] + b',"more":NaN}',
        TEXT[:-1] + b',"more":[-Infinity]}',
        TEXT[:-1] + b',"more":"NaN"}',
        TEXT[:-1] + b',"seq":1,"seq":"x"}',
        TEXT[:-1] + b',"seq":"x","seq":1}',
        TEXT[:-1] + b',"boot_id":5}',
        TEXT[:-1] + b',"seq":7.0,"statusPort":8080.0}',
        TEXT.replace(b'"1.0"', b'"2.0"', 1),
        TEXT.replace(b'"1.0"', b"null", 1),
        TEXT + b" " * (MAX_ENTRY_BYTES - len(TEXT)),
        TEXT + b" " * (MAX_ENTRY_BYTES - len(TEXT) + 1),
        json.dumps(json.loads(TEXT)["status"]).encode(),
        json.dumps(json.loads(TEXT)["status"] | {"node": {"name": "n7"}}).encode(),
    ],
)
def test_odd_texts_fare_as_they_do_the_other_way(payload: bytes) -> None:
    assert outcome(decode_lean, payload) == outcome(decode, payload)


def test_what_is_well_formed_needs_no_second_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "decode")

    assert decode_lean(TEXT)["node_id"] == "n1"


def test_what_did_not_change_is_the_very_object_of_before() -> None:
    said = message(envelope={"addresses": ["10.0.0.1"]})
    one = facts_from(said)
    two = facts_from(said, before=one)

    assert two == one
    assert (two.gpus is one.gpus, two.services is one.services) == (True, True)


@pytest.mark.parametrize(
    "change", [{"health": "failed"}, {"uuid": "GPU-new"}, {"reason": "GpuLost"}, {"index": 9}]
)
def test_a_gpu_that_changed_is_told_anew(change: dict[str, Any]) -> None:
    before = facts_from(message())
    changed = message(gpu=[gpu(0) | change, *(gpu(index) for index in range(1, 8))])

    assert facts_from(changed, before=before) == facts_from(changed)


def test_fewer_and_more_gpus_and_services_than_before_are_taken_as_they_are_said() -> None:
    before = facts_from(message())
    for said in (message(gpu=[gpu(0)]), message(gpu=None), message(services=[]), message()):
        assert facts_from(said, before=before) == facts_from(said)
