"""What a message makes of its sender, and what is left of many."""

import json
from typing import Any

import pytest

from citadel_k8s.domain.happenings import DAY_MS, PER_MESSAGE_MAX
from citadel_k8s.domain.ingest import Word, coalesced, happenings_of, word_of
from citadel_k8s.domain.position import Position
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.lean import decode_lean

MS = 1_795_421_853_000
STAMP = "2026-11-23T08:17:33Z"


def word(ms: int = MS, seq: int = 1, *, node: str = "n1", status: Any = None, **more: Any) -> Word:
    inner = {"timestamp": STAMP, "node": {"name": node}, "system": {}, **(status or {})}
    message = {"timestamp": STAMP, "nodeId": node, "status": inner, "bootId": "b", "seq": seq}
    document = json.dumps(message | more).encode()
    return word_of("acme", decode_lean(document), Position(0, ms, 0), document)


def failed(index: int = 0) -> dict[str, Any]:
    return {"index": index, "name": "a", "health": "failed", "reason": "GpuLost"}


def test_a_node_that_reports_nothing_wrong_is_online():
    assert word().verdict.state is NodeState.ONLINE


def test_a_definite_fault_counts_at_once_and_says_how_many_more_there_are():
    verdict = word(status={"gpu": [failed(0), failed(1)]}).verdict
    assert (verdict.state, verdict.reason) == (NodeState.DEGRADED, "GpuLost")
    assert verdict.message == "GPU 0: GpuLost (and 1 more)"


def test_a_soft_fault_is_a_suspicion_until_the_next_report_has_it_too():
    full = {"system": {"disk_percent": 97.0}}
    first = word(seq=1, status=full)
    assert (first.verdict.state, first.verdict.suspect) == (NodeState.ONLINE, "DiskFull")
    (course,) = coalesced([first, word(MS + 1, 2, status=full)], interval=30)
    assert [step.verdict.state for step in course.steps] == [NodeState.ONLINE, NodeState.DEGRADED]
    (course,) = coalesced([first, word(MS + 1, 2), word(MS + 2, 3, status=full)], interval=30)
    assert course.last.verdict.state is NodeState.ONLINE


@pytest.mark.parametrize(("asked", "seconds"), [(None, 120), (30.0, 30), (1e9, 600)])
def test_a_goodbye_announces_an_absence_that_has_its_bounds(asked, seconds):
    goodbye = {"reason": "host-shutdown", "expectedBackSeconds": asked}
    verdict = word(goodbye=goodbye).verdict
    assert (verdict.state, verdict.reason) == (NodeState.DRAINING, "HostShutdown")
    assert verdict.draining_until_ms == MS + seconds * 1000


@pytest.mark.parametrize(("said", "kept"), [(0.001, 5.0), (30.0, 30.0), (1e9, 300.0)])
def test_an_interval_has_its_bounds(said, kept):
    assert word(intervalSeconds=said).interval == kept


def test_a_clock_that_is_off_is_a_suspicion_and_orders_nothing():
    assert word(MS + 3_600_000).verdict.suspect == "ClockSkew"
    late = word(MS + 3_600_000, 2)
    (course,) = coalesced([word(MS, 1), late], interval=30)
    assert course.last is not None
    assert course.last.position.ms == MS + 3_600_000


def test_the_newest_of_each_node_stays_sorted_by_its_key_and_the_others_are_counted():
    words = [
        word(MS, 1, node="z"), word(MS + 1, 2, node="a"), word(MS + 2, 1, node="a"),
        word(MS + 3, 2, node="z"),
    ]  # fmt: skip
    courses = coalesced(words, interval=30)
    assert [course.last.node_id for course in courses] == ["a", "z"]
    assert [course.last.position.seq for course in courses] == [2, 2]
    assert [len(course.steps) for course in courses] == [1, 2]
    assert [len(course.outrun) for course in courses] == [1, 0]


def test_processes_that_followed_each_other_in_one_batch_are_known_as_former():
    words = [word(MS + n, 1, bootId=f"b{n}") for n in range(3)]
    (course,) = coalesced(words, interval=30)
    assert (course.last.position.boot_id, course.last.former) == ("b2", ("b0", "b1"))


def test_what_an_outrun_message_tells_of_happened_all_the_same():
    xid = {"xid": 79, "count": 1, "last_at": STAMP}
    gpu = {"index": 0, "name": "a", "health": "ok", "xids": [xid]}
    words = [word(MS, 2), word(MS + 1, 1, status={"gpu": [gpu]})]
    courses = coalesced(words, interval=30)
    assert [h.reason for h in happenings_of(courses)] == ["Xid79"]


def test_a_fault_is_told_once_by_each_process_and_day():
    lost = {"gpu": [failed()]}

    def keys(*words: Word) -> set[str]:
        return {happening.dedup for one in words for happening in one.happenings}

    assert len(keys(word(MS, 1, status=lost), word(MS + 1000, 2, status=lost))) == 1
    assert len(keys(word(MS, 1, status=lost), word(MS + DAY_MS, 2, status=lost))) == 2
    other = word(MS + 1, 1, status=lost, bootId="c")
    assert len(keys(word(MS, 1, status=lost), other)) == 2


def test_a_message_tells_of_so_much_at_most():
    xids = [{"xid": n, "count": 2**63 - 1, "last_at": STAMP} for n in range(500)]
    gpu = {"index": 0, "name": "a", "xids": xids}
    found = word(status={"gpu": [gpu]}).happenings
    assert len(found) == PER_MESSAGE_MAX
    assert all(0 < happening.times < 2**31 for happening in found)


def test_a_bare_status_is_kept_in_an_envelope():
    bare = json.dumps({"timestamp": STAMP, "node": {"name": "old"}, "system": {}}).encode()
    said = decode_lean(bare, node_id="old")
    kept = json.loads(word_of("acme", said, Position(0, MS, 0), bare).document)
    assert kept == {
        "version": "1.0", "timestamp": STAMP, "nodeId": "old", "status": json.loads(bare),
    }  # fmt: skip
