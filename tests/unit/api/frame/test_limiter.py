"""Who may ask how often, over replicas, days, and without Redis."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.frame import limiter as limiter_module
from citadel_k8s.api.frame.limiter import DAY, Limiter
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.frame.route import ANYONE, PUBLIC, Call, Route
from citadel_k8s.config.server import Quota
from citadel_k8s.errors import DatabaseError, StreamError
from tests.unit.api.frame.serving import serving


class Shared:
    """Counters of all replicas."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.away = False

    async def add(self, counts: Mapping[str, int], expire_at: int) -> dict[str, int]:
        assert expire_at > 1_795_420_800
        if self.away:
            raise StreamError("Redis: away")
        self.sums.update(counts)
        return {name: self.sums[name] for name in counts}


def refused(limiter: Limiter, key: str = "a", cost: float = 1, **more: bool) -> RefusalError | None:
    try:
        limiter.take(key, cost, **more)
    except RefusalError as error:
        return error
    return None


def test_a_burst_passes_and_then_so_many_a_second():
    clock = ManualClock()
    limiter = Limiter(Quota(requests_per_second=2, burst=3), clock)
    assert [refused(limiter) for _ in range(3)] == [None] * 3
    error = refused(limiter)
    assert error is not None
    assert (error.status, error.limit, error.window) == (429, 2, 1)
    assert error.retry_after == pytest.approx(0.5)
    assert refused(limiter, "b") is None
    clock.advance(0.5)
    assert refused(limiter) is None
    assert refused(limiter) is not None


def test_what_is_not_paced_is_refused_only_when_the_day_is_used_up():
    limiter = Limiter(Quota(requests_per_second=1, burst=1, daily_requests=100), ManualClock())
    assert [refused(limiter, paced=False) for _ in range(100)] == [None] * 100
    error = refused(limiter, paced=False)
    assert error is not None
    assert (error.limit, error.window) == (100, DAY)
    clock_left = DAY - ManualClock().now() % DAY
    assert error.retry_after == clock_left


def test_the_next_day_begins_at_midnight_utc_with_nothing_used():
    clock = ManualClock()
    limiter = Limiter(Quota(daily_requests=1), clock)
    assert refused(limiter) is None
    error = refused(limiter)
    assert error is not None
    clock.advance(error.retry_after or 0)
    assert refused(limiter) is None


def test_a_fraction_counts_as_one_and_nothing_as_nothing():
    limiter = Limiter(Quota(daily_requests=1), ManualClock())
    assert [refused(limiter, cost=0.25) for _ in range(4)] == [None] * 4
    assert refused(limiter, cost=0.25) is not None
    assert refused(limiter, cost=0) is None


def test_a_request_dearer_than_a_burst_is_not_refused_for_ever():
    limiter = Limiter(Quota(burst=2), ManualClock())
    assert refused(limiter, cost=10) is None


async def test_replicas_share_what_was_used():
    shared, clock = Shared(), ManualClock()
    one, other = (Limiter(Quota(daily_requests=10, burst=100), clock, shared) for _ in range(2))
    for _ in range(6):
        one.take("a", 1)
    await one.exchange()
    other.take("a", 1)
    await other.exchange()
    for _ in range(3):
        other.take("a", 1)
    assert refused(other) is not None
    await one.exchange()
    await other.exchange()
    assert sum(shared.sums.values()) == 10_000


async def test_without_redis_each_counts_by_itself_and_nothing_is_counted_twice():
    shared, clock = Shared(), ManualClock()
    limiter = Limiter(Quota(daily_requests=10), clock, shared)
    shared.away = True
    for _ in range(5):
        limiter.take("a", 1)
        await limiter.exchange()
    shared.away = False
    limiter.take("a", 1)
    await limiter.exchange()
    assert sum(shared.sums.values()) == 1000
    for _ in range(4):
        limiter.take("a", 1)
    assert refused(limiter) is not None


async def test_an_org_may_have_a_quota_of_its_own_and_keeps_it_while_the_database_is_away():
    away = False

    async def own() -> dict[str, int]:
        if away:
            raise DatabaseError("away")
        return {"acme": 1}

    limiter = Limiter(Quota(daily_requests=2), ManualClock(), None, own)
    await limiter.learn()
    away = True
    await limiter.learn()
    assert [refused(limiter, "acme:a") is None for _ in range(2)] == [True, False]
    assert [refused(limiter, "other:a") is None for _ in range(3)] == [True, True, False]


async def test_callers_beyond_number_are_forgotten_the_longest_unheard_first(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(limiter_module, "METERS_MAX", 2)
    limiter = Limiter(Quota(daily_requests=1), ManualClock())
    for key in ("a", "b", "c"):
        assert refused(limiter, key) is None
    assert refused(limiter, "c") is not None
    assert refused(limiter, "a") is None


async def nothing(_call: Call) -> None:
    return None


ROUTES = [
    Route("GET", "/x", nothing, "A test.", ANYONE, "test"),
    Route("GET", "/free", nothing, "A test.", ANYONE, "test", cost=0),
    Route("GET", "/beat", nothing, "A test.", ANYONE, "test", paced=False, meter="beats"),
    Route("GET", "/open", nothing, "A test.", PUBLIC, "test"),
]


async def test_the_answer_to_too_many_is_that_of_the_contract():
    quota = {"requests_per_second": 0.5, "burst": 1}
    async with serving(ROUTES, settings={"quota": quota}, clock=ManualClock()) as api:
        assert (await api.ask("/x"))[0] == 204
        status, body, headers = await api.ask("/x")
        assert status == 429
        assert {"error", "limit", "window", "retry_after", "reset_at"} <= set(body)
        assert (body["retry_after"], headers["Retry-After"]) == (2, "2")
        reset = datetime.fromisoformat(body["reset_at"]).timestamp()
        assert reset == pytest.approx(ManualClock().now() + 2, abs=1)
        assert (await api.ask("/free"))[0] == 204
        limited = api.metrics.registry.get_sample_value(
            "citadel_api_rate_limited_total", {"window": "1"}
        )
        assert limited == 1


async def test_beats_have_a_quota_that_no_other_request_uses_up():
    quota = {"daily_requests": 3}
    async with serving(ROUTES, settings={"quota": quota}) as api:
        assert [(await api.ask("/x"))[0] for _ in range(4)] == [204] * 3 + [429]
        assert [(await api.ask("/beat"))[0] for _ in range(4)] == [204] * 3 + [429]
        _, body, _ = await api.ask("/beat")
        assert (body["limit"], body["window"]) == (3, DAY)


async def test_who_has_no_credential_is_counted_by_address():
    quota = {"requests_per_second": 0.001, "burst": 1}
    settings = {"quota": quota, "trusted_proxies": ["127.0.0.1/32"]}
    async with serving(ROUTES, settings=settings) as api:
        for address, status in (("1.1.1.1", 204), ("1.1.1.1", 429), ("2.2.2.2", 204)):
            chain = {"X-Forwarded-For": address}
            assert (await api.ask("/open", who=None, headers=chain))[0] == status
        for address, status in (("2001:db8::1", 204), ("2001:db8::2", 429)):
            chain = {"X-Forwarded-For": address}
            assert (await api.ask("/open", who=None, headers=chain))[0] == status
