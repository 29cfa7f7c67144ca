"""What one caller may fill of what all orgs share."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.proxy import rations
from citadel_k8s.api.proxy.rations import Budget, Rations
from citadel_k8s.models.identity import DEVICE_SCOPES, Principal

MIB = 1024 * 1024


def device(node: str | None = "n1", org: str = "acme") -> Principal:
    return Principal("device", org, f"token:{node}", DEVICE_SCOPES, None, node)


def until_refused(act: Callable[[int], object], most: int = 100_000) -> int:
    for number in range(most):
        try:
            act(number)
        except RefusalError as refusal:
            return number if refusal.status == 429 and refusal.retry_after else -1
    return most


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def given(clock: ManualClock) -> Rations:
    return Rations(clock)


def test_a_budget_says_how_long_to_wait_and_keeps_its_word(clock: ManualClock):
    budget = Budget(clock, (2.0, 10.0))
    assert budget.take("a", 10) == 0
    assert budget.take("a", 5) == pytest.approx(2.5)
    assert budget.take("b", 5) == 0
    clock.advance(2.5)
    assert budget.take("a", 5) == 0
    # More than there ever is takes all that there is.
    clock.advance(100)
    assert budget.take("a", 1000) == 0
    assert budget.take("a", 1) > 0


def test_budgets_are_bounded(clock: ManualClock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rations, "CALLERS_MAX", 3)
    budget = Budget(clock, (1.0, 1.0))
    for name in "abcd":
        budget.take(name, 1)
    assert len(budget._left) == 3


def test_one_node_writes_megabytes_and_no_more_and_the_others_are_heard(
    given: Rations, clock: ManualClock
):
    assert until_refused(lambda _: given.write(device(), MIB)) == 8
    given.write(device("n2"), MIB)
    given.write(device("n1", "other"), MIB)
    clock.advance(1)
    given.write(device(), 32 * 1024)


def test_heartbeats_of_the_largest_kind_are_never_too_many(given: Rations, clock: ManualClock):
    for _ in range(10_000):
        given.write(device(), 100_000)
        clock.advance(5)


def test_a_gateway_writes_for_many_nodes(given: Rations):
    assert until_refused(lambda _: given.write(device(None), MIB)) == 8 * rations.GATEWAY_SHARE


def test_what_lies_longer_counts_for_more_and_for_the_whole_org(given: Rations):
    assert until_refused(lambda n: given.keep(device(f"n{n}"), MIB, 86_400)) == 64
    assert until_refused(lambda n: given.keep(device(f"n{n}", "other"), MIB, 8 * 86_400)) == 8


def test_what_lies_never_exceeds_twice_the_budget(given: Rations, clock: ManualClock):
    """However long each text lies, one that is written whenever one may be."""
    for days in (1, 30):
        lying: list[float] = []
        most = 0
        for _ in range(24 * 40):
            now = clock.monotonic()
            lying = [end for end in lying if end > now]
            org = device(org=f"org{days}")
            before = until_refused(lambda _, o=org, d=days: given.keep(o, MIB, d * 86_400))
            lying += [now + days * 86_400] * before
            most = max(most, len(lying))
            clock.advance(3600)
        assert most <= 128


def test_names_are_counted_once(given: Rations):
    line = ("queue", "group", "consumer")
    assert until_refused(lambda _: given.names(device(), [line]), 5000) == 5000
    assert until_refused(lambda n: given.names(device(), [("q", "g", f"c{n}")]), 5000) == 999
    # What was there before goes on.
    given.names(device(), [line])


def test_a_node_has_a_few_sockets(given: Rations):
    with ExitStack() as stack:
        held = until_refused(lambda _: stack.enter_context(given.socket(device())))
        assert held == rations.SOCKETS_MAX
        with given.socket(device("n2")):
            pass
    with given.socket(device()):
        pass
    assert not given._sockets[""]
