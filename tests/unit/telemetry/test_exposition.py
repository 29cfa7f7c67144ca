"""What we write is what the readers of both formats understand, and what the library writes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from citadel_k8s.telemetry.exposed import family
from citadel_k8s.telemetry.exposition import Family, render

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
VALUES = {("a",): 1.0, ('b"\\\n',): 2.5, ("ü…",): 1e17}
GAUGE = Family("x_bytes", 'What "it"\\ is.', "gauge", ("name",), VALUES)
COUNTER = Family("y_total", "How many.", "counter", (), {(): 3})
ODD = Family("DCGM_FI_DEV_Z", "Odd.", "unknown", ("gpu",), {("0",): 0})


def read(parse, accept: str) -> dict[str, dict[tuple[str, ...], float]]:
    body, _ = render((GAUGE, COUNTER, ODD), accept)
    return {
        sample.name: {
            tuple(s.labels.values()): s.value for s in one.samples if s.name == sample.name
        }
        for one in parse(body.decode())
        for sample in one.samples
    }


@pytest.mark.parametrize(("parse", "accept"), [(prometheus, ""), (openmetrics, ACCEPT)])
def test_what_is_written_is_what_is_read(parse, accept: str):
    assert read(parse, accept) == {
        "x_bytes": VALUES,
        "y_total": {(): 3.0},
        "DCGM_FI_DEV_Z": {("0",): 0.0},
    }


class Library:
    """The same families in the library's own form."""

    def collect(self):
        gauge = GaugeMetricFamily(GAUGE.name, GAUGE.text, labels=GAUGE.labels)
        for key, value in GAUGE.samples.items():
            gauge.add_metric(key, value)
        counter = CounterMetricFamily("y", COUNTER.text)
        counter.add_metric((), 3)
        return [gauge, counter]


def test_the_library_writes_the_same():
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Library())
    for accept, write in (("", generate_latest), (ACCEPT, generate_openmetrics)):
        ours = render((GAUGE, COUNTER), accept)[0].decode().splitlines()
        theirs = write(registry).decode().splitlines()
        # Quotes in a help text may stand bare in one format; a large number has two forms.
        same = [line.replace('\\"', '"').replace("1e+17", "1.0e+17") for line in ours]
        assert same == [line.replace('\\"', '"').replace("1e+17", "1.0e+17") for line in theirs]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
        (ACCEPT, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            "text/plain, application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            "application/openmetrics-text; version=0.0.1",
            "application/openmetrics-text; version=0.0.1; charset=utf-8",
        ),
    ],
)
def test_the_scraper_gets_the_format_that_it_asks_for(accept: str, content_type: str):
    body, told = render((GAUGE,), accept)
    assert told == content_type
    assert body.endswith(b"# EOF\n") is ("openmetrics" in content_type)
    assert body.endswith(b"\n")


def test_nothing_is_told_of_nothing():
    assert render((), "") == (b"", "text/plain; version=0.0.4; charset=utf-8")
    assert render((), ACCEPT)[0] == b"# EOF\n"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_not_told(value: float | None):
    assert list(family("x", "X.", [((), value)])) == []


def test_a_counter_is_never_negative():
    assert list(family("x_total", "X.", [((), -1)], kind="counter")) == []
    assert next(iter(family("x", "X.", [((), -1)]))).samples == {(): -1}


@given(st.text(max_size=40), st.floats(allow_nan=False, allow_infinity=False))
def test_any_label_and_any_value_survive_both_formats(text: str, value: float):
    one = Family("x", "X.", "gauge", ("name",), {(text,): value})
    for accept, parse in (("", prometheus), (ACCEPT, openmetrics)):
        body, _ = render((one,), accept)
        # A carriage return and its kind end a line for the readers; names from outside have none.
        if text.isprintable():
            (read,) = parse(body.decode())
            (sample,) = read.samples
            assert (sample.labels["name"], sample.value) == (text, value)
