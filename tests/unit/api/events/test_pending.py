import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.api.events.messages import Message, read
from citadel_k8s.api.events.pending import EVENTS_MAX, GAP, HOLD, Pending
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgfeed import FeedEntry
from tests.orgfeed import apply, node

STATES = ["Online", "Degraded", "Offline"]

optional: dict[Any, Any] = {
    "state": st.sampled_from(STATES),
    "reason": st.sampled_from(["A", "B"]),
    "since": st.integers(0, 3).map(str),
    "seen": st.integers(0, 3).map(str),
    "pulse": st.fixed_dictionaries({"cpu": st.integers(0, 3)}),
    "profile": st.fixed_dictionaries({"name": st.integers(0, 3).map(str)}),
    "later": st.integers(0, 3),
}
names = st.sampled_from(["a", "b", "c"])
deltas = st.one_of(
    st.tuples(names, st.fixed_dictionaries({}, optional=optional)).map(
        lambda t: node(t[0], **t[1])
    ),
    names.map(lambda name: {"type": "gone", "id": name}),
    names.map(lambda name: {"type": "event", "id": name, "event": {"id": "e"}}),
)
steps = st.lists(st.one_of(deltas, st.floats(0.01, 3.0)), max_size=40)

Rows = dict[str, dict[str, Any]]


def made(number: int, delta: dict[str, Any]) -> Message:
    message = read(FeedEntry(EntryId(1000 + number, 0), json.dumps(delta).encode()))
    assert message is not None
    return message


def told(rows: Rows, messages: list[Message]) -> list[str]:
    """Apply messages; give the events among them."""
    for message in messages:
        apply(rows, message.kind, json.loads(message.data))
    return [str(message.id) for message in messages if message.kind == "event"]


def flushed(pending: Pending, now: float) -> list[Message]:
    return pending.take(now) if pending.due is not None and pending.due <= now else []


@given(steps)
def test_whatever_is_merged_a_client_ends_with_the_rows_that_all_messages_give(
    history: list[Any],
):
    pending = Pending(EntryId.ZERO)
    all_rows: Rows = {}
    rows: Rows = {}
    all_events, events, now = [], [], 0.0
    for number, step in enumerate(history):
        if isinstance(step, float):
            now += step
            events += told(rows, flushed(pending, now))
        else:
            message = made(number, step)
            all_events += told(all_rows, [message])
            pending.offer(message)
    events += told(rows, pending.take(now + 10))
    assert rows == all_rows
    assert events == all_events


@given(steps, st.integers(0, 60))
def test_whoever_is_cut_off_anywhere_goes_on_with_nothing_lost_and_nothing_twice(
    history: list[Any], cut: int
):
    stream = [made(n, step) for n, step in enumerate(history) if not isinstance(step, float)]
    all_rows: Rows = {}
    all_events = told(all_rows, stream)
    pending, now, sent = Pending(EntryId.ZERO), 0.0, list[Message]()
    for number, step in enumerate(history):
        if isinstance(step, float):
            now += step
            sent += flushed(pending, now)
        else:
            pending.offer(made(number, step))
    got = sent[:cut]
    marks = [message.id for message in got if message.id is not None]
    assert marks == sorted(set(marks))
    rows: Rows = {}
    events = told(rows, got)
    after = marks[-1] if marks else EntryId.ZERO
    again = Pending(after)
    for message in stream:
        again.offer(message)
    rest = again.take(now + 10)
    assert all(message.id is None or message.id > after for message in rest)
    events += told(rows, rest)
    assert rows == all_rows
    assert events == all_events


@given(steps)
def test_no_node_is_sent_twice_within_a_second_and_nothing_waits_longer(history: list[Any]):
    pending, now = Pending(EntryId.ZERO), 0.0
    sent: dict[str, float] = {}
    waiting_since: float | None = None
    for number, step in enumerate(history):
        if not isinstance(step, float):
            pending.offer(made(number, step))
            waiting_since = now if waiting_since is None else waiting_since
            continue
        until = now + step
        while pending.due is not None and pending.due <= until:
            now = max(now, pending.due)
            assert waiting_since is not None
            assert now - waiting_since <= HOLD + 1e-9
            nodes = {m.node for m in pending.take(now) if m.kind != "event"}
            for name in nodes:
                assert now - sent.get(name, -10) >= HOLD - 1e-9
                sent[name] = now
            waiting_since = None
        now = until


def test_the_first_message_after_a_quiet_time_leaves_at_once_and_the_next_soon():
    pending = Pending(EntryId.ZERO)
    pending.offer(made(1, node("a")))
    assert pending.due is not None
    assert pending.due <= 0
    pending.take(5.0)
    pending.offer(made(2, node("b")))
    assert pending.due == 5.0 + GAP
    pending.offer(made(3, node("a")))
    assert pending.due == 5.0 + HOLD


def test_messages_that_a_client_has_are_passed_over():
    pending = Pending(EntryId(1005, 0))
    pending.offer(made(5, node("a")))
    assert len(pending) == 0
    pending.offer(made(6, node("a")))
    assert len(pending) == 1


def test_one_that_does_not_read_costs_no_more_than_its_nodes():
    pending = Pending(EntryId.ZERO)
    for number in range(10_000):
        pending.offer(made(number, node(f"n{number % 50}", state="Online")))
    assert len(pending) == 50
    assert not pending.overflowed


def test_events_are_not_merged_and_too_many_of_them_begin_anew():
    pending = Pending(EntryId.ZERO)
    for number in range(EVENTS_MAX):
        pending.offer(made(number, {"type": "event", "id": "a"}))
    assert len(pending) == EVENTS_MAX
    pending.offer(made(EVENTS_MAX, {"type": "event", "id": "a"}))
    assert pending.overflowed
    assert len(pending) == 0


def test_a_node_that_went_and_came_back_has_nothing_of_the_one_that_went():
    pending = Pending(EntryId.ZERO)
    pending.offer(made(1, {"type": "gone", "id": "a"}))
    pending.offer(made(2, node("a", state="Online")))
    gone, back = pending.take(0.0)
    assert (gone.kind, gone.id) == ("gone", None)
    assert (back.kind, back.id) == ("node", EntryId(1002, 0))
    rows: Rows = {"a": {"id": "a", "profile": {"name": "old"}}}
    told(rows, [gone, back])
    assert rows == {"a": {"id": "a", "state": "Online"}}


def test_what_a_client_did_not_ask_for_moves_its_place_on_all_the_same():
    pending = Pending(EntryId.ZERO, wanted=lambda message: message.node == "a")
    pending.offer(made(1, node("b")))
    assert (len(pending), pending.position) == (0, EntryId(1001, 0))
