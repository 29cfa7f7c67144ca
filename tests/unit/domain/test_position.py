"""Which message of a node is the newest, in whatever order workers take them in."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.ingest import Verdict, Word, coalesced
from citadel_k8s.domain.liveness import FORMER_BOOTS_MAX
from citadel_k8s.domain.position import Position, Standing, followed, wins
from citadel_k8s.models.fabricnode import NodeState


def at(ms: int, boot: str | None = "a", seq: int | None = None, epoch: int = 0) -> Position:
    return Position(epoch, ms, 0, boot, seq)


def word(position: Position) -> Word:
    return Word(
        "acme", "n1", position, None, None, Verdict(NodeState.ONLINE), {}, "{}", b"", b"{}"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (at(2, "a", 2), at(1, "a", 1), True),
        (at(1, "a", 2), at(2, "a", 1), True),  # the count decides, not the place
        (at(3, "a", 1), at(2, "a", 2), False),
        (at(1, "a", 1), at(1, "a", 1), True),  # the same once more
        (at(2, "a", 1), at(1, "a", 1), False),  # its copy
        (at(2, "b", 1), at(1, "a", 9), True),
        (at(1, "b", 9), at(2, "a", 1), False),
        (at(2, None), at(1, None), True),
        (at(1, None), at(1, None), True),
        (at(1, None), at(2, None), False),
        (at(2, None), at(1, "a", 1), True),
        (at(2, "a", 1), at(1, None), True),
        (at(2, "a", None), at(1, "a", 5), True),  # a process that does not count
        (at(1, "a", 1, epoch=1), at(9, "a", 9), True),
        (at(9, "a", 9), at(1, "a", 1, epoch=1), False),
    ],
)
def test_the_newer_message_is(new, old, expected):
    assert wins(new, Standing(old)) is expected


def test_a_former_process_comes_back_only_when_the_one_after_it_is_silent():
    known = followed(at(1000, "b", 1), Standing(at(500, "a", 7)))
    assert known.former == ("a",)
    assert not wins(at(2000, "a", 8), known)
    assert not wins(at(45_999, "a", 8), known)
    assert wins(at(46_000, "a", 8), known)
    assert not wins(at(8000, "a", 8), known._replace(interval=5.0))
    assert wins(at(8500, "a", 8), known._replace(interval=5.0))


def test_so_many_former_processes_are_remembered():
    known = Standing(at(0, "0"))
    for number in range(1, 20):
        known = followed(at(number, str(number)), known)
    assert known.former == tuple(str(n) for n in range(19 - FORMER_BOOTS_MAX, 19))


def test_who_is_back_is_former_no_more():
    known = Standing(at(1, "b"), former=("x", "a"))
    assert followed(at(99_999, "a"), known).former == ("x", "b")
    assert followed(at(99_999, None), known).former == ("x", "a", "b")


class Row:
    """A node's row, as the statement keeps it."""

    def __init__(self) -> None:
        self.known: Standing | None = None

    def take(self, words: list[Word]) -> None:
        (course,) = coalesced(words, interval=30)
        last = course.last
        if self.known is None:
            self.known = Standing(last.position, last.interval, last.former)
        elif wins(last.position, self.known):
            merged = self.known._replace(former=(*self.known.former, *last.former))
            self.known = followed(last.position, merged)


@st.composite
def histories(draw: st.DrawFn) -> list[Position]:
    """Processes one after the other, each with copies and stragglers of its own messages."""
    ms = 0
    found: list[Position] = []
    for number in range(draw(st.integers(1, 4))):
        boot = draw(st.sampled_from([None, f"boot-{number}"]))
        seqs = list(range(1, draw(st.integers(1, 6)) + 1))
        seqs += draw(st.lists(st.sampled_from(seqs), max_size=3))
        if boot is not None and draw(st.booleans()):
            draw(st.randoms(use_true_random=False)).shuffle(seqs)
        for seq in seqs:
            ms += draw(st.integers(1, 40_000))
            found.append(at(ms, boot, None if boot is None else seq))
    return found


@given(histories(), st.randoms(use_true_random=False))
def test_any_order_of_batches_over_workers_ends_in_the_newest(
    history: list[Position], chance: random.Random
):
    batches: list[list[Position]] = []
    rest = list(history)
    while rest:
        size = chance.randrange(1, 5)
        batches.append(rest[:size])
        rest = rest[size:]
    batches += [chance.choice(batches) for _ in range(3)]  # taken by one, inherited by another
    chance.shuffle(batches)
    row = Row()
    for batch in batches:
        row.take([word(position) for position in batch])
    last_boot = history[-1].boot_id
    same = [position for position in history if position.boot_id == last_boot]
    newest = max(p.seq or p.ms for p in same) if last_boot else max(p.ms for p in same)
    assert row.known is not None
    assert row.known.last.boot_id == last_boot
    assert (row.known.last.seq if last_boot else row.known.last.ms) == newest


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 44_000))
def test_a_straggler_of_the_process_before_never_wins_in_order(before, after, late):
    row = Row()
    for seq in range(1, before + 1):
        row.take([word(at(seq * 30_000, "old", seq))])
    for seq in range(1, after + 1):
        moment = (before + seq) * 30_000
        row.take([word(at(moment, "new", seq))])
        row.take([word(at(moment + min(late, 29_999), "old", before + seq))])
        assert row.known is not None
        assert row.known.last.boot_id == "new"


def test_a_node_that_was_mistaken_for_its_own_past_is_heard_again():
    row = Row()
    row.take([word(at(30_000, "new", 1))])  # the worker that holds the past is slower
    row.take([word(at(30_001, "old", 9))])
    moments = range(60_000, 200_000, 30_000)
    for seq, moment in enumerate(moments, 2):
        row.take([word(at(moment, "new", seq))])
    assert row.known is not None
    assert row.known.last == at(180_000, "new", 6)
