"""What is said of a node when one looks, and what its silence is worth."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.freshness import NOTHING_TAKEN_IN, Ingest, StatusRow, age_s, judged
from citadel_k8s.domain.life import Policy
from citadel_k8s.models.fabricnode import NodeState

T = 1_795_420_800_000
POLICY = Policy()
ROW = StatusRow(
    "acme", "n1", NodeState.ONLINE, None, None, 0, T, None, None, NodeState.ONLINE, "Heartbeat",
    datetime(2026, 11, 23, tzinfo=UTC),
)  # fmt: skip
OPEN = 0
"""The pipe was seen open since ever."""


def after(seconds: float, clear_since: int = OPEN, epoch: int = 0) -> Ingest:
    return Ingest(T + round(seconds * 1000), clear_since, epoch)


@pytest.mark.parametrize(
    ("seconds", "state", "reason"),
    [
        (0, NodeState.ONLINE, "Heartbeat"),
        (45, NodeState.ONLINE, "Heartbeat"),
        (45.1, NodeState.STALE, "HeartbeatLate"),
        (100, NodeState.STALE, "HeartbeatLate"),
        (100.1, NodeState.OFFLINE, "AgentSilent"),
    ],
)
def test_silence_makes_a_node_stale_and_then_offline(seconds, state, reason):
    assert judged(ROW, after(seconds), POLICY)[:2] == (state, reason)


def test_a_node_is_judged_by_its_own_interval():
    fast = replace(ROW, interval_seconds=5.0)
    assert judged(fast, after(26), POLICY).state is NodeState.OFFLINE
    assert judged(fast, after(24), POLICY).state is NodeState.STALE


def test_what_is_wrong_is_said_while_the_node_speaks():
    row = replace(ROW, verdict=NodeState.DEGRADED, reason="GpuLost", message="GPU 3: GpuLost")
    assert judged(row, after(1), POLICY)[:3] == (NodeState.DEGRADED, "GpuLost", "GPU 3: GpuLost")
    assert judged(row, after(101), POLICY).reason == "AgentSilent"


def test_a_suspicion_is_not_shown():
    assert judged(replace(ROW, message="disk 97% full"), after(1), POLICY).message == (
        "reports on time"
    )


def test_silence_while_the_pipe_was_not_seen_open_proves_nothing():
    assert judged(ROW, after(1000, clear_since=T + 950_000), POLICY).state is NodeState.STALE
    assert judged(ROW, after(1000, clear_since=T + 990_000), POLICY).state is NodeState.ONLINE
    assert judged(ROW, NOTHING_TAKEN_IN, POLICY).state is NodeState.ONLINE


def test_who_was_offline_before_the_pipe_closed_stays_so_until_it_speaks():
    down = replace(ROW, state=NodeState.OFFLINE)
    ingest = after(1000, clear_since=T + 999_000)
    assert judged(down, ingest, POLICY).state is NodeState.OFFLINE
    spoke = replace(down, stream_ms=T + 990_000)
    assert judged(spoke, ingest, POLICY).state is NodeState.ONLINE


def test_moments_of_another_epoch_are_not_compared():
    before = after(5, clear_since=T, epoch=1)
    assert judged(ROW, before, POLICY).state is NodeState.ONLINE
    assert age_s(ROW, before) is None
    assert judged(ROW, after(101, clear_since=T, epoch=1), POLICY).state is NodeState.OFFLINE
    news = replace(ROW, stream_epoch=1, stream_ms=5)
    assert judged(news, after(1000), POLICY).state is NodeState.ONLINE


def test_an_announced_absence_is_borne_and_then_missed():
    away = replace(
        ROW, verdict=NodeState.DRAINING, reason="Terminating", draining_until_ms=T + 300_000
    )
    assert judged(away, after(299), POLICY).state is NodeState.DRAINING
    assert judged(away, after(301), POLICY)[:2] == (NodeState.OFFLINE, "GoodbyeExpired")
    closed = after(301, clear_since=T + 300_500)
    assert judged(away, closed, POLICY).state is NodeState.DRAINING


def test_a_short_goodbye_makes_nobody_offline_sooner_than_silence_would():
    away = replace(ROW, verdict=NodeState.DRAINING, draining_until_ms=T + 1000)
    assert judged(away, after(99), POLICY).state is NodeState.DRAINING
    assert judged(away, after(101), POLICY).state is NodeState.OFFLINE


def test_a_node_that_was_given_up_is_nothing_else():
    gone = replace(ROW, decommissioned=True)
    assert judged(gone, after(1000), POLICY)[:2] == (NodeState.DECOMMISSIONED, "Decommissioned")


def test_a_state_of_silence_began_when_it_was_crossed():
    assert judged(ROW, after(500), POLICY).since_ms == T + 100_000
    assert judged(ROW, after(50), POLICY).since_ms == T + 45_000
    assert judged(ROW, after(1), POLICY).since_ms is None


rows = st.builds(
    replace,
    st.just(ROW),
    verdict=st.sampled_from([NodeState.ONLINE, NodeState.DEGRADED, NodeState.DRAINING]),
    state=st.sampled_from(list(NodeState)),
    stream_ms=st.integers(T - 10**6, T + 10**6),
    stream_epoch=st.integers(0, 2),
    interval_seconds=st.sampled_from([None, 5.0, 30.0, 300.0]),
    draining_until_ms=st.none() | st.integers(T - 10**6, T + 10**6),
)
ingests = st.builds(
    Ingest,
    st.integers(T - 10**6, T + 10**6),
    st.integers(T - 10**6, T + 10**6),
    st.integers(0, 2),
)


@given(rows, ingests)
def test_nobody_is_offline_while_its_last_word_is_no_older_than_its_timeout(row, ingest):
    age = age_s(row, ingest)
    timeout = POLICY.paced(row.interval_seconds).timeout
    if age is not None and age <= timeout:
        assert judged(row, ingest, POLICY).state is not NodeState.OFFLINE


@given(rows, ingests)
def test_nobody_becomes_offline_before_the_pipe_was_open_for_a_timeout(row, ingest):
    timeout = POLICY.paced(row.interval_seconds).timeout
    if ingest.frontier_ms - ingest.clear_since_ms <= timeout * 1000:
        now = judged(row, ingest, POLICY).state
        assert now is not NodeState.OFFLINE or row.state is NodeState.OFFLINE


@given(rows, ingests, st.integers(0, 10**6))
def test_silence_never_makes_a_node_fresher(row, ingest, more):
    order = [NodeState.STALE, NodeState.OFFLINE]
    first = judged(row, ingest, POLICY).state
    later = judged(row, replace(ingest, frontier_ms=ingest.frontier_ms + more), POLICY).state
    if first in order:
        assert later in order[order.index(first) :]
