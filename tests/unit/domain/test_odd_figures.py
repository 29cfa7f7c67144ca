"""No figure of any source, however odd, keeps a node from being heard."""

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain import units
from citadel_k8s.domain.report import status_message
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.readings import Gpus, Reading
from tests.unit.domain.richnode import (
    CONTAINERS,
    GPUS,
    HOST,
    OLLAMA,
    PODS,
    PROCESSES,
    SPEAKER,
    VLLM,
    moment,
)
from tests.unit.telemetry.scraped import scrape

ODD = (math.nan, math.inf, -math.inf, 1e300, -1e300, 2.0**63, -5.5, 0.0)
HUGE = 10**400
IDENTITY = {"index", "pid", "started", "link", "xid", "minor"}


def numeric(value: Any) -> list[str]:
    return [
        field.name
        for field in fields(value)
        if field.name not in IDENTITY
        and isinstance(getattr(value, field.name), int | float)
        and not isinstance(getattr(value, field.name), bool)
    ]


def twisted(value: Any, number: float) -> Any:
    """Give a reading with this number in each field that holds one."""
    if isinstance(value, tuple):
        return tuple(twisted(item, number) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    inner = {
        field.name: twisted(getattr(value, field.name), number)
        for field in fields(value)
        if is_dataclass(getattr(value, field.name)) or isinstance(getattr(value, field.name), tuple)
    }
    return replace(value, **inner, **dict.fromkeys(numeric(value), number))


def node(number: float) -> Snapshot:
    kept = {"port": 8000, "pid": 1000}
    engines = tuple(replace(twisted(e, number), **kept) for e in (VLLM, OLLAMA))
    snapshot = Snapshot().learn_host(Reading(twisted(HOST, number)), at=1000, duration=0)
    gpus = Gpus("575", twisted(GPUS.gpus, number))
    for at in (1000, 1010):
        snapshot = snapshot.learn_gpus(Reading(gpus), at=at, duration=0)
    snapshot = snapshot.learn_pods(Reading(PODS), at=1010, duration=0)
    snapshot = snapshot.learn_processes(Reading(PROCESSES), at=1010, duration=0)
    usage = Reading(twisted(CONTAINERS, number))
    snapshot = snapshot.learn_containers(usage, at=1010, duration=0)
    return snapshot.learn_engines(Reading(engines), at=1010, duration=0)


@pytest.mark.parametrize("number", [*ODD, pytest.param(HUGE, id="huge")])
def test_a_message_is_sent_whatever_the_figures_are(number: float):
    message = status_message(SPEAKER, node(number), moment(1010.0), seq=1)
    assert decode(encode(message)) == message


@pytest.mark.parametrize("number", [*ODD, pytest.param(HUGE, id="huge")])
def test_a_scrape_is_served_whatever_the_figures_are(number: float):
    series = scrape(node(number), at=1010.0, dcgm=True)
    assert all(math.isfinite(v) for values in series.values() for v in values.values())


@given(st.floats() | st.integers())
def test_units_give_finite_numbers_or_none(value: float):
    for change in (units.figure, units.percent, units.tenth, units.thousandth, units.milliseconds):
        told = change(value)
        assert told is None or math.isfinite(told)
    assert units.count(value) is None or abs(units.count(value)) < 2**63
    if math.isfinite(value):
        for change in (units.gib, units.mib, units.mhz):
            assert change(int(value)) is None or math.isfinite(change(int(value)))
