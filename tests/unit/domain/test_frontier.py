"""How far the stream was taken in, of whatever looks there are."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.frontier import (
    GAP_SECONDS,
    TRIM_AGE_SECONDS,
    TRIM_HOLD_SECONDS,
    Progress,
    View,
    advanced,
    frontier,
    trim_below,
)

NOW = 1_000_000_000


def view(now: int = NOW, last: int = 900, delivered: int = 900, pending: int | None = None) -> View:
    oldest = None if pending is None else (pending, 0)
    return View(now, (last, 0), (delivered, 0), oldest)


def test_a_stream_read_to_its_end_is_taken_in_up_to_now():
    assert frontier(view()) == NOW - 1


def test_what_is_not_confirmed_or_not_handed_out_is_not_taken_in():
    assert frontier(view(pending=500)) == 499
    assert frontier(view(delivered=800)) == 799
    assert frontier(view(delivered=800, pending=850)) == 799
    assert frontier(view(delivered=0)) == 0


def test_the_first_look_proves_no_silence():
    first = advanced(None, view(delivered=0), before=None)
    assert first == Progress(0, (900, 0), 0, NOW, NOW)


def test_looks_one_after_the_other_leave_the_silence_counted():
    first = advanced(None, view(), before=None)
    second = advanced(first, view(NOW + 1000), before=first)
    assert second == Progress(0, (900, 0), NOW + 999, NOW, NOW + 1000)


def test_a_gap_a_set_clock_and_a_loss_let_silence_count_anew():
    first = advanced(None, view(), before=None)
    far = round(GAP_SECONDS * 1000) + 1
    assert advanced(first, view(NOW + far), before=first).clear_since_ms == NOW + far
    assert advanced(first, view(NOW - far), before=first).clear_since_ms == NOW - far
    assert advanced(first, view(NOW + 9), before=first, lost=True).clear_since_ms == NOW + 9


def test_a_stream_that_lost_its_end_is_another_epoch():
    first = advanced(None, view(), before=None)
    again = advanced(first, view(NOW + 1, last=0, delivered=0), before=first)
    assert again == Progress(1, (0, 0), NOW, NOW + 1, NOW + 1)


def test_an_end_that_somebody_else_saw_since_is_no_loss():
    before = advanced(None, view(), before=None)
    kept = advanced(before, view(NOW + 2, last=950, delivered=950), before=before)
    late = advanced(kept, view(NOW + 1, last=920, delivered=920), before=before)
    assert late == kept


def test_whoever_has_not_read_holds_entries_for_so_long_and_no_longer():
    now = 10 * TRIM_HOLD_SECONDS * 1000
    aged = now - TRIM_AGE_SECONDS * 1000
    held = now - TRIM_HOLD_SECONDS * 1000
    assert trim_below(now, []) == aged
    assert trim_below(now, [(now, 0)]) == aged
    assert trim_below(now, [(aged - 5, 0), (now, 0)]) == aged - 5
    assert trim_below(now, [(held - 5, 0)]) == held
    assert trim_below(1000, []) == 0


@dataclass
class Group:
    """A consumer group, entry by entry."""

    now: int = 1000
    entries: list[int] = field(default_factory=list)
    delivered: int = 0
    pending: set[int] = field(default_factory=set)

    def look(self) -> View:
        handed = self.entries[: self.delivered]
        return View(
            self.now,
            (self.entries[-1], 0) if self.entries else (0, 0),
            (handed[-1], 0) if handed else (0, 0),
            (min(self.pending), 0) if self.pending else None,
        )


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 3000)),
            st.tuples(st.just("read"), st.integers(1, 5)),
            st.tuples(st.just("confirm"), st.integers(0, 9)),
            st.tuples(st.just("look"), st.integers(0, 2)),
        ),
        max_size=60,
    )
)
def test_everything_before_the_frontier_is_taken_in_whoever_looked_and_it_never_goes_back(steps):
    group, kept = Group(), None
    known: list[Progress | None] = [None, None, None]
    for what, number in steps:
        if what == "add":
            group.now += number
            group.entries.append(group.now)
        elif what == "read":
            handed = group.entries[group.delivered : group.delivered + number]
            group.delivered += len(handed)
            group.pending |= set(handed)
        elif what == "confirm" and group.pending:
            group.pending.discard(sorted(group.pending)[number % len(group.pending)])
        elif what == "look":
            before = kept
            kept = advanced(kept, group.look(), before=known[number])
            known[number] = kept
            assert kept.epoch == 0
            assert before is None or kept.frontier_ms >= before.frontier_ms
            untaken = [*group.pending, *group.entries[group.delivered :]]
            assert all(kept.frontier_ms < one for one in untaken)
