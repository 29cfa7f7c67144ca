"""Whatever the sources say, the message is one that the operator's reader takes."""

import functools
import json
from dataclasses import fields
from typing import Any, get_type_hints

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.bounds import MESSAGE_MAX
from citadel_k8s.domain.facts import facts_from
from citadel_k8s.domain.report import status_message
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.readings import (
    Allocation,
    ContainerUsage,
    Engine,
    Gpu,
    GpuEvent,
    GpuProcess,
    Gpus,
    Host,
    Pod,
    Pods,
    Process,
    Processes,
    Reading,
)
from tests.unit.domain.richnode import SPEAKER, moment
from tests.unit.telemetry.scraped import scrape

TEXT = st.text(st.characters(), max_size=8) | st.sampled_from(
    ["GPU-0", "uid", "ns", "a", "c", "\ud800", "\x00", "x" * 1000, "ok", "failed", "nvidia.com/gpu"]
)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-2, 9) | st.integers(),
    float: st.floats(),
    bool: st.booleans(),
}
INDEX = st.integers(0, 3)
PID = st.integers(1, 5) | st.integers(1, 2**22)
HEALTH = st.sampled_from(["ok", "degraded", "failed", "unknown"])
NARROW: dict[tuple[type, str], st.SearchStrategy[Any]] = {
    (Gpu, "index"): INDEX,
    (Gpu, "health"): HEALTH,
    (Gpu, "xids"): st.just(()),
    (Gpu, "verdicts"): st.just(()),
    (Gpu, "age_seconds"): st.none(),
    (GpuProcess, "pid"): PID,
    (Process, "pid"): PID,
    (GpuEvent, "kind"): st.just("xid"),
    (GpuEvent, "xid"): st.integers(0, 200),
    (GpuEvent, "index"): INDEX | st.none(),
}
"""What the makers of readings see to, or what is not a source's to say."""


@functools.cache
def of(hint: Any) -> st.SearchStrategy[Any]:
    """Give any value of a type of readings."""
    if hint in PLAIN:
        return PLAIN[hint]
    if hint is type(None):
        return st.none()
    parts = getattr(hint, "__args__", ())
    if getattr(hint, "__origin__", None) is tuple:
        if parts[-1] is Ellipsis:
            return st.lists(of(parts[0]), max_size=2).map(tuple)
        return st.tuples(*map(of, parts))
    if parts:
        return st.one_of(*map(of, parts))
    hints = get_type_hints(hint)
    parts = {f.name: NARROW.get((hint, f.name)) for f in fields(hint)}
    return st.builds(hint, **{n: of(hints[n]) if own is None else own for n, own in parts.items()})


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Give any snapshot: each source said anything, some twice."""
    snapshot = Snapshot()
    gpus = st.lists(of(Gpu), max_size=3, unique_by=lambda gpu: gpu.index).map(tuple)
    for at in (1000.0, 1010.0):
        read = Reading(Gpus(draw(TEXT), draw(gpus)))
        snapshot = snapshot.learn_gpus(read, at=at, duration=0)
    snapshot = snapshot.learn_event(draw(of(GpuEvent)), at=1010, date=draw(st.floats(0, 4e9)))
    pods = Pods(
        draw(st.lists(of(Pod), max_size=2).map(tuple)),
        draw(st.none() | st.lists(of(Allocation), max_size=3).map(tuple)),
    )
    snapshot = snapshot.learn_pods(Reading(pods), at=1010, duration=0)
    snapshot = snapshot.learn_processes(Reading(draw(of(Processes))), at=1010, duration=0)
    usage = draw(st.lists(of(ContainerUsage), max_size=2).map(tuple))
    snapshot = snapshot.learn_containers(Reading(usage), at=1010, duration=0)
    snapshot = snapshot.learn_host(Reading(draw(of(Host))), at=1010, duration=0)
    engines = draw(st.lists(of(Engine), max_size=2).map(tuple))
    return snapshot.learn_engines(Reading(engines), at=1010, duration=0)


@settings(
    max_examples=40,
    phases=[Phase.generate, Phase.shrink],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(snapshots())
def test_whatever_is_known_the_reader_takes_and_a_scrape_shows(snapshot: Snapshot):
    message = status_message(SPEAKER, snapshot, moment(1012.0), seq=1)
    encoded = encode(message)
    assert len(encoded) <= MESSAGE_MAX < MAX_ENTRY_BYTES
    assert decode(encoded) == message
    facts = facts_from(decode(encoded), clock_offset=0.0)
    assert facts.gpus is not None
    assert len(facts.gpus) == len(snapshot.told)
    for service in json.loads(encoded)["status"]["services"]:
        assert ("idle" in service) == ("idle_seconds" in service)
    scrape(snapshot, at=1012.0, dcgm=True)
