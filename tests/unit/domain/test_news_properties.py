"""What holds of alerts and Events whatever happens, in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.alertgroups import GROUP_INTERVAL, WAITS_MAX, GroupKey, Groups
from citadel_k8s.domain.alertledger import REPEATS_HELD, Ledger
from citadel_k8s.domain.alerts import Alert, AlertKey
from citadel_k8s.domain.breaker import Breaker
from citadel_k8s.domain.events import Correlator, Occurrence

WAIT, REPEAT = 10.0, 3600.0
NODES = st.sets(st.sampled_from("abcdef"))
STEPS = st.lists(st.tuples(NODES, st.floats(0.5, 120), st.booleans()), max_size=40)


def alerts(nodes: set[str]) -> dict[AlertKey, Alert]:
    made = [Alert("NodeOffline", f"R{ord(n) % 2}", "critical", "m", 0.0, n) for n in nodes]
    return {alert.key: alert for alert in made}


@given(STEPS, NODES)
def test_in_the_end_people_were_told_what_is_the_case(
    steps: list[tuple[set[str], float, bool]], final: set[str]
) -> None:
    groups, believed, now = Groups(WAIT, REPEAT), dict[GroupKey, set[str]](), 0.0

    def pass_time(nodes: set[str], seconds: float, *, taken: bool) -> None:
        nonlocal now
        now += seconds
        groups.sync(alerts(nodes).values(), now)
        for key in groups.due(now) if taken else ():
            message = groups.message(key)
            known = believed.setdefault(key, set())
            assert set(message.over) <= known
            assert message.fresh == len({a.node for a in message.firing} - known)
            believed[key] = {a.node for a in message.firing}
            groups.told(message, now)

    for nodes, seconds, taken in steps:
        pass_time(nodes, seconds, taken=taken)
    for _ in range(5):
        pass_time(final, max(GROUP_INTERVAL, WAITS_MAX * WAIT), taken=True)
    told = set().union(*believed.values()) if believed else set()
    assert told == final


@given(STEPS)
def test_people_are_told_of_a_kind_at_most_once_a_minute(
    steps: list[tuple[set[str], float, bool]],
) -> None:
    groups, now, last = Groups(WAIT, REPEAT), 0.0, dict[GroupKey, float]()
    for nodes, seconds, _ in steps:
        now += seconds
        groups.sync(alerts(nodes).values(), now)
        for key in groups.due(now):
            assert now - last.get(key, -GROUP_INTERVAL) >= GROUP_INTERVAL
            last[key] = now
            groups.told(groups.message(key), now)


@given(STEPS, NODES)
def test_a_receiver_that_forgets_has_what_fires_after_one_repeat(
    steps: list[tuple[set[str], float, bool]], final: set[str]
) -> None:
    repeat = 60.0
    ledger, holds, now = Ledger(repeat), dict[AlertKey, float](), 0.0
    for nodes, seconds, taken in [*steps, (final, 1.0, True)]:
        now += seconds
        due = ledger.due(alerts(nodes), now)
        if taken:
            for alert, fires in due:
                holds[alert.key] = now + (repeat * REPEATS_HELD if fires else 0)
            ledger.told(due, now)
    holding = {key for key, until in holds.items() if until > now}
    assert holding == alerts(final).keys()
    holds.clear()  # it restarts
    assert {a.key for a, fires in ledger.due(alerts(final), now + repeat + 1) if fires} == alerts(
        final
    ).keys()


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["A", "B"]), st.floats(0, 20), st.booleans()),
        max_size=200,
    )
)
def test_no_occurrence_is_lost_and_none_is_counted_twice(
    steps: list[tuple[int, str, float, bool]],
) -> None:
    correlator, now, written = Correlator(), 0.0, dict[str, int]()

    def write() -> None:
        for pending in correlator.due(now):
            name = pending.event or f"e{len(written)}"
            written[name] = pending.count
            correlator.wrote(pending, name, pending.count, now)

    for node, reason, seconds, writes in steps:
        now += seconds
        correlator.note(Occurrence(f"n{node}", reason, "m"), now, now)
        if writes:
            write()
    now += 60
    write()
    assert sum(written.values()) == len(steps)
    assert correlator.dropped == 0


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.floats(0, 400)), max_size=50))
def test_nothing_is_let_through_that_is_too_much(steps: list[tuple[int, bool, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for wanted, ripe, seconds in steps:
        now += seconds
        breaker.judge(wanted=wanted, limit=10, ripe=ripe, now=now)
        if ripe and wanted > 10:
            assert breaker.is_open
