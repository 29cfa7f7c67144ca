import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.api.fabric.cursor import decode_cursor, encode_cursor, question_of
from citadel_k8s.api.frame.refusal import RefusalError

KINDS = (int, str, str)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.integers(0, 1), NAMES, NAMES)
def test_a_cursor_gives_back_the_key(place: int, value: str, node_id: str) -> None:
    cursor = encode_cursor("q", (place, value, node_id))

    assert cursor.isascii()
    assert "=" not in cursor
    assert decode_cursor(cursor, "q", KINDS) == (place, value, node_id)


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_what_was_not_given_out_is_refused(text: str) -> None:
    with pytest.raises(RefusalError) as caught:
        decode_cursor(text, "q", KINDS)
    assert caught.value.status == 400


def forged(document: Any) -> str:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    total = hashlib.blake2s(body, digest_size=6, person=b"cursor").digest()
    return base64.urlsafe_b64encode(total + body).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "document",
    [
        [], ["q"], ["q", 0], ["q", 0, "a", "b", "c"], ["q", "0", "a", "b"], ["q", 0, 1, "b"],
        ["q", True, "a", "b"], ["q", 0.5, "a", "b"], ["q", None, "a", "b"], ["q", [], "a", "b"],
        ["other", 0, "a", "b"], {"q": 0}, "q", 1, None, ["q", 10**400, "a", "b"],
        ["q", 0, "\ud800", "b"], [["q"], 0, "a", "b"], b"\xff", b"[" * 700, b'["q",NaN,"a","b"]',
        ["q", 0, {"a": 1}, "b"],
    ],
)  # fmt: skip
def test_a_forged_cursor_is_refused_however_well_it_is_made(document: Any) -> None:
    with pytest.raises(RefusalError) as caught:
        decode_cursor(forged(document), "q", KINDS)
    assert caught.value.status == 400


def test_one_flipped_character_is_noticed() -> None:
    cursor = encode_cursor("q", (0, "name", "id"))
    for place in range(len(cursor)):
        other = "A" if cursor[place] != "A" else "B"
        with pytest.raises(RefusalError):
            decode_cursor(cursor[:place] + other + cursor[place + 1 :], "q", KINDS)


def test_questions_differ_by_each_part() -> None:
    assert question_of("a", None) != question_of("a", "None")
    assert question_of("ab", "c") != question_of("a", "bc")
    assert question_of("\ud800") == question_of("\ud800")


def test_odd_numbers_are_no_part_of_a_key() -> None:
    for number in ("1e999", "-1e999", "NaN", "9223372036854775808"):
        body = f'["q",{number},"a"]'.encode()
        with pytest.raises(RefusalError):
            decode_cursor(forged(body), "q", (float, str))
