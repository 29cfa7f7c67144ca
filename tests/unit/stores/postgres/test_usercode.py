from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.stores.postgres.usercode import ALPHABET, LENGTH, new_user_code, shown, typed


def test_codes_are_of_the_alphabet_and_never_the_same() -> None:
    codes = {new_user_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(len(code) == LENGTH and set(code) <= set(ALPHABET) for code in codes)


def test_the_alphabet_has_no_vowels_digits_or_doubles() -> None:
    assert not set(ALPHABET) & set("AEIOUY0123456789")
    assert len(set(ALPHABET)) == len(ALPHABET) == 20


@given(st.text(ALPHABET, min_size=LENGTH, max_size=LENGTH))
def test_a_code_is_read_back_however_it_is_typed(code: str) -> None:
    for text in (code, shown(code), shown(code).lower(), f" {code[:2]} {code[2:]} ", f"{code}."):
        assert typed(text) == code


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_code_or_nothing(text: str) -> None:
    code = typed(text)
    assert code is None or (len(code) == LENGTH and set(code) <= set(ALPHABET))


def test_a_long_text_is_not_looked_at() -> None:
    assert typed("-" * 10_000 + "BCDFGHJK") is None
