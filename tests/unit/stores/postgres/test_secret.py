import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.stores.postgres.secret import (
    DEPTH_MAX,
    new_secret,
    secret_hash,
    storable,
    storable_document,
)


def test_a_secret_has_256_bits_and_its_prefix() -> None:
    raw = new_secret("act_")
    assert raw.startswith("act_")
    assert len(raw) == 47
    assert raw != new_secret("act_")


def test_the_hash_is_the_sha_256_of_the_raw_text() -> None:
    assert secret_hash("act_x") == hashlib.sha256(b"act_x").digest()


@given(st.text())
def test_any_text_has_a_hash(text: str) -> None:
    assert len(secret_hash(text)) == 32


@given(st.text(st.characters(codec=None), max_size=50), st.integers(0, 20))
def test_a_storable_text_is_utf_8_without_nul_and_short(text: str, limit: int) -> None:
    kept = storable(text, limit)
    assert len(kept.encode()) <= 4 * limit
    assert "\0" not in kept


DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda below: st.one_of(
        st.lists(below), st.dictionaries(st.one_of(st.text(), st.integers()), below)
    ),
)


@given(DOCUMENTS)
def test_a_storable_document_is_json_that_postgresql_takes(document: object) -> None:
    text = json.dumps(storable_document(document, 100), allow_nan=False)
    assert storable_document(json.loads(text), 100) == json.loads(text)
    assert "\0" not in str(json.loads(text))


def test_a_document_has_so_many_levels_at_most() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    kept = json.dumps(storable_document(deep, 10))
    assert kept.count("[") == DEPTH_MAX
