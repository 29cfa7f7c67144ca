"""An API server that refuses, stalls and breaks off costs time, and no node its good name."""

import itertools
from collections import Counter

import pytest

from tests.faultproxy import READS, WRITES
from tests.integration.operator import faults as acts
from tests.integration.operator.faults import OBJECTS, RETRY_AFTER, TOLD
from tests.integration.operator.lives import Life, Saw
from tests.integration.operator.rig import T_FAILURE

TROUBLES = [
    acts.is_refused_reading,
    acts.is_throttled,
    acts.is_failed,
    acts.is_stalled,
    acts.is_severed,
]
pytestmark = pytest.mark.usefixtures("faults")


def requests(seen: Saw, verbs: frozenset[str], *resources: str) -> int:
    return sum(a.verb in verbs and a.resource in resources for a in seen.asked)


@pytest.mark.parametrize("act", TROUBLES)
def test_no_node_that_speaks_is_offline_for_a_trouble_of_the_api_server(faults: Life, act) -> None:
    seen = faults.saw(act)
    assert seen.offline == []
    assert seen.others == ["Online"] * 3


@pytest.mark.parametrize("act", TROUBLES)
def test_a_death_amid_the_trouble_is_known_in_time(faults: Life, act) -> None:
    assert faults.saw(act).known <= T_FAILURE + 3


@pytest.mark.parametrize(
    ("act", "seconds"),
    [
        (acts.is_refused_reading, 3),  # writing was not refused
        (acts.is_throttled, RETRY_AFTER + 4),
        (acts.is_failed, 8),
        (acts.is_stalled, 3),
        (acts.is_severed, 8),
    ],
)
def test_what_could_not_be_written_is_written_soon_after(faults: Life, act, seconds) -> None:
    assert faults.saw(act).told <= seconds


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (acts.is_refused_reading, "told to say 410|not open"),
        (acts.is_throttled, "told to say 429"),
        (acts.is_failed, "502|no JSON"),
        (acts.is_stalled, "no answer|not open"),
        (acts.is_severed, "broke off|not completed|not open"),
    ],
)
def test_the_probe_says_what_is_missing_and_the_process_is_well(faults: Life, act, words) -> None:
    seen = faults.saw(act)
    status, body = seen.ready
    assert (status, list(body["missing"])) == (503, ["objects"])
    assert any(word in body["missing"]["objects"] for word in words.split("|"))
    assert seen.live[0] == 200
    assert seen.running


@pytest.mark.parametrize("act", TROUBLES)
def test_the_operator_is_ready_again_soon_after(faults: Life, act) -> None:
    assert faults.saw(act).recovered <= 15


@pytest.mark.parametrize("act", TROUBLES)
def test_each_trouble_is_one_line_and_no_traceback(faults: Life, act) -> None:
    lines = faults.saw(act).lines
    events = Counter(line["event"] for line in lines)
    assert {event: count for event, count in events.items() if event in TOLD and count > 1} == {}
    assert [line for line in lines if "exception" in line or "Traceback" in str(line)] == []
    assert events["kopf"] == 0


def test_the_end_of_each_trouble_is_one_line(faults: Life) -> None:
    events = Counter(line["event"] for line in faults.saw(acts.is_well_again).lines)
    begun = {event: count for event, count in events.items() if event in TOLD}
    ended = {event: events[f"{event}_recovered"] for event in begun}
    assert begun == ended
    assert sum(begun.values()) <= 2 * len(TROUBLES) + 4


@pytest.mark.parametrize("act", TROUBLES)
def test_a_server_in_trouble_is_not_hammered(faults: Life, act) -> None:
    seen = faults.saw(act)
    seconds = seen.over - seen.began
    assert requests(seen, READS, OBJECTS, "nodes") <= 10 + seconds
    assert requests(seen, WRITES, OBJECTS) <= 4 + seconds / 2


def test_a_time_to_wait_is_kept(faults: Life) -> None:
    asked = faults.saw(acts.is_throttled).asked
    for verbs, resource in ((WRITES, OBJECTS), ({"WATCH"}, OBJECTS), ({"LIST"}, "nodes")):
        times = [a.at for a in asked if a.verb in verbs and a.resource == resource]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert all(gap >= RETRY_AFTER - 0.2 for gap in gaps), (resource, gaps)


@pytest.mark.parametrize("act", [acts.is_refused_reading, acts.is_misled])
def test_an_object_deleted_while_its_watch_was_broken_is_made_anew(faults: Life, act) -> None:
    seen = faults.saw(act)
    assert seen.after["metadata"]["uid"] != seen.before["metadata"]["uid"]
    assert seen.after["status"]["state"] == "Online"


def test_what_a_watch_missed_is_noticed_without_waiting_for_the_next_sweep(faults: Life) -> None:
    seen = faults.saw(acts.is_misled)
    assert seen.ended == 1
    assert seen.seconds < 12


def test_after_all_troubles_every_object_is_right_and_nothing_more_is_written(
    faults: Life,
) -> None:
    seen = faults.saw(acts.is_well_again)
    assert seen.all_online
    assert seen.offline == []
    assert seen.writes <= 2
