import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.collectors.protobuf import Reader


def fields(message: bytes, budget: int = 1000) -> list[tuple[int, bytes]]:
    return [(n, bytes(v)) for n, v in Reader(budget).fields(memoryview(message))]


def test_texts_are_given_with_their_numbers() -> None:
    assert fields(b"\x0a\x02hi\x12\x00") == [(1, b"hi"), (2, b"")]


def test_numbers_of_every_wire_type_are_skipped() -> None:
    message = b"\x08\x96\x01" + b"\x11" + bytes(8) + b"\x1d" + bytes(4) + b"\x22\x01x"
    assert fields(message) == [(4, b"x")]


def test_a_field_with_a_large_number_is_read() -> None:
    assert fields(b"\xfa\x01\x01x") == [(31, b"x")]


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a",
        b"\x0a\x05hi",
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a" + b"\xff" * 11,
        b"\x02\x00",
        b"\x0b",
        b"\x0f\x00",
        b"\x08",
        b"\x11\x00",
        b"\x1d\x00",
        b"\x80",
    ],
    ids=lambda message: message.hex(),
)
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"field|number"):
        fields(message)


def test_an_answer_of_too_many_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        fields(b"\x0a\x00" * 11, budget=10)


def test_fields_are_counted_over_all_messages_of_an_answer() -> None:
    reader = Reader(3)
    list(reader.fields(memoryview(b"\x0a\x00" * 2)))
    with pytest.raises(ValueError, match="too many"):
        list(reader.fields(memoryview(b"\x0a\x00" * 2)))


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_refused(message: bytes) -> None:
    try:
        found = fields(message)
    except ValueError:
        return
    assert sum(len(value) for _, value in found) <= len(message)
