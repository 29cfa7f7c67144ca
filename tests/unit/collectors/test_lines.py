import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.collectors.base import (
    Answered,
    GpuDecoder,
    decode_event,
    decode_line,
    encode_request,
    gpus_from,
    host_from,
)
from citadel_k8s.collectors.lines import (
    absent,
    clean,
    decode_note,
    encode_answer,
    encode_event,
    encode_note,
    failed,
    reading,
)
from citadel_k8s.models.readings import Absent, Failed, Gpu, GpuEvent, Gpus, Host, NvLink, Reading


def test_a_request_tells_what_to_skip_and_what_to_try_again():
    skip = {(3, "nvmlDeviceGetName"): "why", (None, "nvmlInit"): "because"}
    request = json.loads(encode_request("nvml/7", "nvml", {"pids": [1]}, skip, [(4, "x")]))
    assert request == {
        "id": "nvml/7",
        "source": "nvml",
        "args": {"pids": [1]},
        "skip": [[3, "nvmlDeviceGetName", "why"], [None, "nvmlInit", "because"]],
        "retry": [[4, "x"]],
    }


@pytest.mark.parametrize("pair", [(3, "nvmlDeviceGetName"), (None, "statvfs /")])
def test_a_noted_call_tells_where_the_child_is(pair):
    assert decode_note(encode_note(*pair)) == pair


@pytest.mark.parametrize("note", [b"", b"3", b"\xff"])
def test_a_note_without_a_call_is_none(note: bytes):
    assert decode_note(note) is None


def gpus_told(**gpu: object) -> dict[str, object]:
    raw = {"index": 0, "uuid": "GPU-0", "health": "ok"}
    return {"driver": "575", "gpus": [raw | gpu]}


def test_links_that_were_told_once_are_carried_until_they_are_told_anew():
    decode = GpuDecoder()
    link = {"link": 0, "up": True}
    first = decode(gpus_told(utilization_ratio=0.1, nvlinks=[link])).gpus[0]
    assert first.nvlinks == (NvLink(0, up=True),)
    assert decode(gpus_told(utilization_ratio=0.2)).gpus[0].nvlinks == first.nvlinks
    down = decode(gpus_told(utilization_ratio=0.2, nvlinks=[link | {"up": False}])).gpus[0]
    assert down.nvlinks == (NvLink(0, up=False),)
    assert decode(gpus_told(utilization_ratio=0.2, nvlinks=None)).gpus[0].nvlinks is None


def test_a_gpu_that_is_gone_has_no_links_and_another_one_not_its_own():
    decode = GpuDecoder()
    decode(gpus_told(utilization_ratio=0.1, nvlinks=[{"link": 0, "up": True}]))
    assert decode(gpus_told(health="failed", reason="GpuLost")).gpus[0].nvlinks is None
    other = decode(gpus_told(uuid="GPU-1", utilization_ratio=0.1)).gpus[0]
    assert other.nvlinks is None


def test_an_event_comes_through_whatever_is_being_asked():
    event = GpuEvent("xid", 3, "GPU-3", 79)
    assert decode_event(encode_event(dataclasses.asdict(event))) == event


@pytest.mark.parametrize(
    "line", [b"{}\n", b'{"event":\n', b'{"event":{}}\n', b'{"event":{"new":1}}\n', b'{"id":1}\n']
)
def test_a_line_that_is_no_event_is_none(line: bytes):
    assert decode_event(line) is None


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (reading({"a": 1}), Reading({"a": 1})),
        (absent("NoDriver", "none"), Absent("NoDriver", "none")),
        (failed("GpuLost", "gone"), Failed("GpuLost", "gone")),
    ],
)
def test_an_answer_becomes_the_outcome_that_it_stands_for(answer, outcome):
    line = encode_answer("nvml/7", answer, [(3, "x")])
    assert decode_line(line, "nvml/7") == Answered(outcome, frozenset({(3, "x")}))


def test_a_line_for_an_earlier_request_is_left_out():
    assert decode_line(encode_answer("nvml/6", failed("a", "b"), []), "nvml/7") is None
    assert decode_line(encode_answer("host/7", failed("a", "b"), []), "nvml/7") is None


@pytest.mark.parametrize(
    "line",
    [
        b"Fatal: something\n",
        b"[]\n",
        b"{}\n",
        b'{"id":"nvml/7"}\n',
        b'{"id":"nvml/7","tried":[],"kind":"new"}\n',
        b'{"id":"nvml/7","tried":[],"kind":"reading","value":3}\n',
        b'{"id":"nvml/7","tried":[1],"kind":"absent","reason":"a","message":"b"}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_nonsense_from_a_child_is_an_error_that_can_be_caught(line: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 - its subclasses are the library's business
        decode_line(line, "nvml/7")


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
