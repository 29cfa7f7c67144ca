import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.collectors.base import (
    Answered,
    Call,
    decode_line,
    encode_request,
    gpus_from,
    host_from,
)
from citadel_k8s.collectors.lines import (
    absent,
    clean,
    decode_request,
    encode_answer,
    encode_call,
    failed,
    reading,
)
from citadel_k8s.models.readings import Absent, Failed, Gpu, Gpus, Host, Reading


def test_a_request_and_its_pairs_to_skip_come_back_as_they_were():
    skip = {(3, "nvmlDeviceGetName"): "why", (None, "nvmlInit"): "because"}
    assert decode_request(encode_request(7, skip)) == (7, skip)


def test_an_announced_call_tells_where_the_child_is():
    assert decode_line(encode_call(7, 3, "x"), 7) == Call((3, "x"))
    assert decode_line(encode_call(7, None, "nvmlInit"), 7) == Call((None, "nvmlInit"))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (reading({"a": 1}), Reading({"a": 1})),
        (absent("NoDriver", "none"), Absent("NoDriver", "none")),
        (failed("GpuLost", "gone"), Failed("GpuLost", "gone")),
    ],
)
def test_an_answer_becomes_the_outcome_that_it_stands_for(answer, outcome):
    assert decode_line(encode_answer(7, answer), 7) == Answered(outcome)


def test_a_line_for_an_earlier_request_is_left_out():
    assert decode_line(encode_answer(6, failed("a", "b")), 7) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Fatal: something\n",
        b"[]\n",
        b"{}\n",
        b'{"id":7}\n',
        b'{"id":7,"kind":"new"}\n',
        b'{"id":7,"kind":"reading","value":3}\n',
        b'{"id":7,"call":[1]}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_nonsense_from_a_child_is_an_error_that_can_be_caught(line: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 - its subclasses are the library's business
        decode_line(line, 7)


def test_readings_survive_the_way_through_json():
    host = Host(cpu_ratio=0.5, boot_id="b")
    gpus = Gpus("575", (Gpu(0, uuid="GPU-0", health="ok"), Gpu(1, health="failed", reason="x")))
    assert host_from(json.loads(json.dumps(dataclasses.asdict(host)))) == host
    assert gpus_from(json.loads(json.dumps(dataclasses.asdict(gpus)))) == gpus


@given(st.one_of(st.text(), st.binary()), st.integers(1, 300))
def test_cleaned_text_is_one_short_line_of_valid_utf8(text: str | bytes, limit: int):
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit
    assert cleaned.isprintable()
    cleaned.encode()


def test_cleaning_keeps_ordinary_names_as_they_are():
    assert clean("NVIDIA H100 80GB HBM3") == "NVIDIA H100 80GB HBM3"
    assert clean(b"llama\x00\x1b[31m\xff") == "llama  [31m�"
