import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import decode, encode, format_timestamp, parse_timestamp, validate
from tests.unit.models.strategies import JSON, timestamps
from tests.unit.models.test_wire import MINIMAL

TEXT = encode(MINIMAL).decode()


def changed(path: str, value: Any) -> str:
    """The minimal message with one value changed, given as a Python value."""
    document = json.loads(TEXT)
    target = document
    *parents, last = path.split(".")
    for part in parents:
        target = target[int(part)] if part.isdecimal() else target[part]
    target[last] = value
    return json.dumps(document)


def refusal(payload: bytes | str) -> WireError:
    with pytest.raises(WireError) as caught:
        decode(payload)
    return caught.value


def refused_field(payload: str) -> str | None:
    try:
        decode(payload)
    except WireError as error:
        return error.field
    return None


@pytest.mark.parametrize(
    "payload",
    ["", "{", "nonsense", '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', "{'a':1}", '{"a":1}x'],
)
def test_text_that_is_not_json_is_refused_as_a_whole(payload: str) -> None:
    error = refusal(payload)

    assert (error.reason, error.field) == ("NotJson", "")


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xfe{}",
        TEXT.replace("n1", "n\udc80").encode("utf-8", "surrogateescape"),
        b"\xef\xbb\xbf{}",
    ],
)
def test_bytes_that_are_not_plain_utf8_are_refused(payload: bytes) -> None:
    assert refusal(payload).reason == "NotJson"


@pytest.mark.parametrize("payload", ["null", "[]", "1", '"text"', "true"])
def test_json_that_is_no_object_is_refused(payload: str) -> None:
    error = refusal(payload)

    assert (error.reason, error.field) == ("BadField", "")
    assert "object" in error.detail


def test_a_message_at_the_limit_is_read_and_one_byte_more_is_refused() -> None:
    room = MAX_ENTRY_BYTES - len(TEXT) - len(',"pad":""')
    at_limit = TEXT[:-1] + f',"pad":"{"x" * room}"' + "}"

    assert decode(at_limit).node_id == "n1"
    assert refusal(at_limit + " ").reason == "Oversized"


def test_size_is_counted_in_bytes_and_not_in_characters() -> None:
    assert refusal("ü" * (MAX_ENTRY_BYTES // 2 + 1)).reason == "Oversized"


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_a_hundred_thousand_brackets_are_refused_and_do_no_harm(opening: str) -> None:
    assert refusal(opening * 100_000).reason == "NotJson"


def test_an_unknown_key_may_nest_as_deep_as_the_parser_goes() -> None:
    deep = TEXT[:-1] + ',"deep":' + "[" * 150 + "]" * 150 + "}"

    assert decode(encode(decode(deep))) == decode(deep)


@pytest.mark.parametrize("version", ["2.0", "0.9", "", "10.0", 1, 1.0, ["1.0"]])
@pytest.mark.parametrize("path", ["version", "status.version"])
def test_a_version_nobody_here_can_read_is_refused(path: str, version: Any) -> None:
    error = refusal(changed(path, version))

    assert error.field == path
    assert error.reason in {"UnsupportedVersion", "BadField"}


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.99"])
def test_a_later_minor_version_is_read(version: str) -> None:
    assert decode(changed("version", version)).version == version


@pytest.mark.parametrize(
    "node_id", ["", "a b", "n1\n", "n/1", "ä", "n\u0000", "x" * 65, "../n", 5, None, {"a": 1}]
)
def test_a_node_id_that_is_none_is_refused_by_its_name(node_id: Any) -> None:
    error = refusal(changed("nodeId", node_id))

    assert (error.reason, error.field) == ("BadNodeId", "nodeId")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("timestamp", "yesterday"),
        ("timestamp", "2026-11-23T08:17:33"),
        ("timestamp", "2026-11-23 08:17:33Z"),
        ("timestamp", "٢٠٢٦-11-23T08:17:33Z"),
        ("timestamp", 1795421853),
        ("timestamp", None),
        ("status", None),
        ("status", []),
        ("status.node", "n1"),
        ("status.node.name", 5),
        ("status.node.name", None),
        ("status.node.uptime_seconds", "5"),
        ("status.node.uptime_seconds", 5.5),
        ("status.node.uptime_seconds", True),
        ("status.system", None),
        ("status.system.cpu_percent", "15"),
        ("status.system.cpu_percent", True),
        ("status.system.load_1m", {}),
        ("status.gpu", {}),
        ("status.gpu", "none"),
        ("status.gpu.0.index", "0"),
        ("status.gpu.0.name", None),
        ("status.gpu.0.memory_used_mb", 10**30),
        ("status.services", [None]),
        ("status.vnc_port", "5900"),
        ("bootId", ""),
        ("bootId", "x" * 65),
        ("seq", 0),
        ("seq", 2**63),
        ("seq", 1.5),
        ("intervalSeconds", 0),
        ("intervalSeconds", -30),
        ("intervalSeconds", "30"),
        ("goodbye", "bye"),
        ("goodbye", {}),
        ("goodbye", {"reason": "shutdown", "expectedBackSeconds": -1}),
        ("statusPort", 0),
        ("statusPort", 65536),
        ("addresses", "10.0.0.1"),
        ("stats", {"v": 1}),
    ],
)
def test_a_field_of_the_wrong_type_or_range_is_named(path: str, value: Any) -> None:
    error = refusal(changed(path, value))

    assert error.reason == "BadField"
    assert error.field.startswith(path)
    assert error.detail


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400])
def test_a_number_beyond_a_float_is_refused_where_it_stands(number: str) -> None:
    text = changed("status.system.cpu_percent", "here").replace('"here"', number)

    assert refusal(text).field == "status.system.cpu_percent"


def test_a_number_of_thousands_of_digits_is_refused_even_in_an_unknown_key() -> None:
    assert refusal(TEXT[:-1] + f',"big":{"9" * 5000}}}').reason == "NotJson"


@pytest.mark.parametrize("element", ["0", "{}", '"x"'])
def test_a_megabyte_of_bad_elements_costs_little(element: str) -> None:
    many = ",".join([element] * (MAX_ENTRY_BYTES // (len(element) + 1) - 200))
    text = TEXT.replace('"gpu":[', f'"gpu":[{many},')
    start = time.perf_counter()

    error = refusal(text)

    assert error.field.startswith("status.gpu.0")
    # 2.3 s when every element was reported; a reader that stands still for that loses its pipe.
    assert time.perf_counter() - start < 0.5


def test_a_nul_is_a_character_like_any_other() -> None:
    message = decode(changed("status.node.name", "a\u0000b"))

    assert message.status.node.name == "a\u0000b"
    assert decode(encode(message)) == message


def test_a_lone_surrogate_in_text_becomes_a_question_mark() -> None:
    text = TEXT.replace('"name":"n1"', '"name":"n\ud800"')

    assert decode(text).status.node.name == "n?"


def test_an_error_is_one_short_line_whatever_was_sent() -> None:
    error = refusal(changed("status.gpu.0.index", "long\n" * 10_000))

    assert len(str(error)) < 300
    assert "\n" not in str(error)


def test_an_error_about_a_missing_key_does_not_quote_its_neighbours() -> None:
    document = json.loads(TEXT) | {"deviceCode": "secret-code"}
    del document["timestamp"]

    error = refusal(json.dumps(document))

    assert error.field == "timestamp"
    assert "secret-code" not in str(error)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_noise_is_refused_and_never_crashes(noise: bytes | str) -> None:
    assert refusal(noise).reason in {"NotJson", "BadField", "UnsupportedVersion", "BadNodeId"}


@settings(max_examples=60)
@given(st.sampled_from(["nodeId", "timestamp", "status", "status.node", "status.gpu", "seq"]), JSON)
def test_any_value_in_any_place_is_read_or_refused_by_name(path: str, value: Any) -> None:
    refused = refused_field(changed(path, value))

    assert refused is None or refused.startswith(path)


def test_a_parsed_document_is_checked_without_text() -> None:
    assert validate(json.loads(TEXT)) == decode(TEXT)


@given(timestamps())
def test_every_timestamp_of_a_valid_message_is_a_moment(text: str) -> None:
    assert isinstance(parse_timestamp(text), float)


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T00:00:00Z", "2026-11-23T24:61:00Z", "2026-11-23T08:17:33", "2026-11-23", ""],
)
def test_a_text_that_names_no_moment_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="timestamp"):
        parse_timestamp(text)


@given(st.integers(0, 4_102_444_800))
def test_whole_seconds_come_back_exactly(seconds: int) -> None:
    text = format_timestamp(seconds)

    assert text.endswith("Z")
    assert "." not in text
    assert parse_timestamp(text) == seconds


def test_a_fraction_is_given_in_microseconds() -> None:
    assert format_timestamp(1795421853.25, fraction=True) == "2026-11-23T08:17:33.250000Z"
