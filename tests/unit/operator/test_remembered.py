"""What is written down of a node is read again; what is not ours is passed over."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.records import KeptSpec
from citadel_k8s.operator.remembered import (
    Line,
    decoded,
    decoded_spec,
    encoded,
    encoded_spec,
    line_of,
    memory_of,
)
from citadel_k8s.stores.entries import EntryId
from tests.unit.operator.fakes import World

LINE = Line(
    1_795_420_800_123,
    "boot-1",
    7,
    "Online",
    "Heartbeat",
    30.0,
    ("boot-0",),
    None,
    (1_795_420_700_000,),
)
GOOD = [
    1,
    1_795_420_800_123,
    "boot-1",
    7,
    "Online",
    "Heartbeat",
    30.0,
    ["boot-0"],
    None,
    [1_795_420_700_000],
]

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
lines = st.builds(
    Line,
    ms=st.none() | st.integers(0, 2**53),
    boot_id=st.none() | words,
    seq=st.none() | st.integers(0, 2**53),
    state=st.sampled_from([state.value for state in NodeState]),
    reason=words,
    interval=st.none() | st.floats(5, 300),
    former_boots=st.lists(words, max_size=8).map(tuple),
    back_ms=st.none() | st.integers(0, 2**53),
    changes_ms=st.lists(st.integers(0, 2**53), max_size=8).map(tuple),
    former_seqs=st.lists(st.none() | st.integers(0, 2**53), max_size=8).map(tuple),
    ahead=st.integers(0, 2**53),
    within=st.integers(0, 2**53),
    streak=st.integers(0, 9),
)


@given(lines)
def test_what_was_written_is_read(line):
    assert decoded(encoded(line)) == line


def test_a_line_is_short():
    uuid = "0b2c7e1e-8f5f-4f5a-9a55-1f0f3f6d2c11"
    assert len(encoded(LINE._replace(boot_id=uuid, former_boots=(), changes_ms=()))) < 100


def altered(at, value):
    parts = [*GOOD, [6], 0, 3, 1] if at >= len(GOOD) else list(GOOD)
    parts[at] = value
    return parts


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\x00",
        b"{}",
        b"null",
        b"[]",
        b'"Online"',
        json.dumps(GOOD[:-1]).encode(),
        *(
            json.dumps(altered(at, odd)).encode()
            for at, odd in [
                (0, 2), (0, None), (0, "1"),
                (1, -5), (1, 1.5), (1, True), (1, 10**400), (1, "1795420800123"),
                (2, 5), (2, ""), (2, []), (2, "x" * 1000),
                (3, -1), (3, "7"),
                (4, "Sleeping"), (4, None), (4, ["Online"]), (4, {}),
                (5, ""), (5, None), (5, 5),
                (6, 0), (6, -30), (6, "30"), (6, float("nan")), (6, float("inf")), (6, 10**400),
                (7, None), (7, "boot"), (7, [1]), (7, [[]]),
                (8, -1), (8, "soon"), (9, None), (9, 5), (9, [None]), (9, ["x"]),
                (10, None), (10, [-1]), (10, ["x"]), (11, -2**60), (11, 2**65), (11, None),
                (12, 0.5), (12, "0"), (13, -1), (13, None),
            ]
        ),
    ],
)  # fmt: skip
def test_a_line_of_another_form_is_passed_over(value):
    assert decoded(value) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(value):
    decoded(value)
    decoded_spec(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | words, st.lists))
def test_no_document_makes_it_fail(document):
    value = json.dumps(document).encode()
    decoded(value)
    decoded_spec(value)


def test_a_longer_line_of_the_same_version_is_read_as_far_as_it_is_known():
    line = LINE._replace(former_seqs=(6,), ahead=5, within=3, streak=1)
    assert decoded(json.dumps([*GOOD, [6], 5, 3, 1, "new"]).encode()) == line


def test_a_line_without_what_was_added_later_is_read():
    assert decoded(json.dumps(GOOD).encode()) == LINE
    assert decoded(json.dumps([*GOOD, [6]]).encode()) == LINE._replace(former_seqs=(6,))


def test_a_node_is_remembered_as_it_was_heard():
    world = World()
    world.beat(boot="b2", seq=1)
    line = line_of(world.registry.nodes["gpu-1"])
    assert line.ms == int(world.clock.now() * 1000)
    assert line[1:7] == ("b2", 1, "Online", "Heartbeat", 10.0, ())


def test_who_spoke_before_is_remembered_with_the_last_number_of_each():
    world = World()
    for boot, seq in (("b1", 7), ("b2", None), ("b3", 1)):
        world.beat(boot=boot, seq=seq)
    line = decoded(encoded(line_of(world.registry.nodes["gpu-1"])))
    memory = memory_of(line, line.ms)
    assert (memory.former_boots, memory.former_seqs) == (("b1", "b2"), (7, line.former_seqs[1]))
    assert memory_of(line._replace(former_seqs=(7,)), line.ms).former_seqs == ()


def test_the_time_given_after_an_outage_is_remembered_until_the_next_word():
    world = World()
    world.beat()
    heard_ms = int(world.clock.now() * 1000)
    world.clock.advance(30)
    world.registry.defer(world.clock.monotonic())
    assert line_of(world.registry.nodes["gpu-1"]).back_ms == heard_ms + 45_000
    world.beat()
    assert line_of(world.registry.nodes["gpu-1"]).back_ms is None


def test_the_place_in_the_stream_is_remembered_whatever_its_clock_says():
    world = World()
    entry = world.entry("gpu-1")
    place = EntryId(entry.id.ms + 3_600_000, 17)
    world.registry.hear(entry, 0.0, position=place)
    line = decoded(encoded(line_of(world.registry.nodes["gpu-1"])))
    assert (line.ms, line.ahead, line.within) == (entry.id.ms, 3_600_000, 17)
    assert memory_of(line, line.ms + 5000).position == place
    assert memory_of(line, line.ms + 5000).age == 5.0


def test_age_is_by_the_servers_clock_and_never_negative():
    assert memory_of(LINE, LINE.ms + 2500).age == 2.5
    ahead = memory_of(LINE, LINE.ms - 3_600_000)
    assert (ahead.age, ahead.id_ms) == (0.0, LINE.ms - 3_600_000)


def test_what_people_said_is_read_as_it_was_written():
    kept = KeptSpec({"maintenance": True, "config": {"a": [1, None]}}, 1_795_420_800.5)
    assert decoded_spec(encoded_spec(kept)) == kept


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"[1]", b"[1,2]", b'["1",{}]', b"[1,{},3]", b"[true,{}]"]
)
def test_garbage_is_no_spec(value):
    assert decoded_spec(value) is None
