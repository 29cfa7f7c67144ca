import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.errors import WireError
from citadel_k8s.stores.streams import Entry, EntryId

halves = st.integers(0, 2**64 - 1)


@given(halves, halves)
def test_an_entry_id_survives_being_written(ms: int, seq: int) -> None:
    made = EntryId(ms, seq)
    assert EntryId.parse(str(made)) == made
    assert EntryId.parse(str(made).encode()) == made


@given(st.tuples(halves, halves), st.tuples(halves, halves))
def test_entry_ids_are_ordered_by_time_then_count(
    one: tuple[int, int], two: tuple[int, int]
) -> None:
    assert (EntryId(*one) < EntryId(*two)) == (one < two)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1-",
        "-1",
        "1-2-3",
        "1-*",
        "$",
        " 1-2",
        "1-2\n",
        "٣-٤",
        "a-b",
        f"{2**64}-0",
        b"\xff-1",
    ],
)
def test_what_is_no_entry_id_is_refused_by_name(text: str | bytes) -> None:
    with pytest.raises(WireError) as caught:
        EntryId.parse(text)
    assert caught.value.reason == "BadEntryId"


def test_zero_is_before_every_id() -> None:
    assert str(EntryId.ZERO) == "0-0"
    assert EntryId(0, 1) > EntryId.ZERO


@given(st.dictionaries(st.binary(max_size=20), st.binary(max_size=20)))
def test_no_fields_make_an_entry_raise(fields: dict[bytes, bytes]) -> None:
    entry = Entry.from_fields(EntryId.ZERO, fields)
    assert entry.payload == fields.get(b"payload", b"")
