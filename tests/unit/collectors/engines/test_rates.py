import math

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.collectors.engines import tables
from citadel_k8s.collectors.engines.exposition import Exposition
from citadel_k8s.collectors.engines.rates import Load, Rates, median_between

BOUNDS = (0.1, 0.5, 1.0, 5.0, math.inf)
counts = st.lists(st.integers(0, 1000), min_size=len(BOUNDS), max_size=len(BOUNDS))


def histogram(per_bucket: list[int]) -> tuple[tuple[float, float], ...]:
    return tuple((bound, float(sum(per_bucket[: n + 1]))) for n, bound in enumerate(BOUNDS))


def look(rates: Rates, at: float, *, own: int = 0, **values: float) -> Load:
    text = "".join(f'vllm:{k}{{engine="0"}} {v}\n' for k, v in values.items()).encode()
    return rates.learn(Exposition(text), tables.VLLM, at, own)[0]


@hypothesis.settings(max_examples=50)
@given(counts, counts)
def test_the_median_lies_in_the_bucket_that_holds_half_of_the_new_ones(before, new):
    after = [a + b for a, b in zip(before, new, strict=True)]
    median = median_between(histogram(before), histogram(after))
    if not any(new):
        assert median is None
        return
    ordered = [bound for bound, count in zip(BOUNDS, new, strict=True) for _ in range(count)]
    upper = ordered[(len(ordered) - 1) // 2]
    lower = (0.0, *BOUNDS)[BOUNDS.index(upper)]
    assert median is not None
    assert lower <= median <= min(upper, 5.0)


@hypothesis.settings(max_examples=50)
@given(counts, counts, counts)
def test_the_median_depends_on_what_is_new_alone(first, second, new):
    def between(before: list[int]) -> float | None:
        after = [a + b for a, b in zip(before, new, strict=True)]
        return median_between(histogram(before), histogram(after))

    assert between(first) == between(second)


def test_values_are_taken_to_be_spread_evenly_in_a_bucket():
    before = ((0.0, 0.0), (2.0, 0.0), (4.0, 0.0), (math.inf, 0.0))
    after = ((0.0, 0.0), (2.0, 1.0), (4.0, 5.0), (math.inf, 6.0))
    assert median_between(before, after) == 3.0


def test_of_the_last_bucket_only_its_beginning_is_known():
    assert median_between(histogram([0, 0, 0, 0, 0]), histogram([0, 0, 0, 0, 3])) == 5.0
    assert median_between(((math.inf, 0.0),), ((math.inf, 3.0),)) is None


@pytest.mark.parametrize(
    "after",
    [
        None,
        (),
        ((0.1, 5.0), (0.7, 5.0), (1.0, 5.0), (5.0, 5.0), (math.inf, 5.0)),
        histogram([0, 0, 0, 0, 0]),
        tuple((bound, 9.0 - n) for n, bound in enumerate(BOUNDS)),
        tuple((bound, math.inf) for bound in BOUNDS),
    ],
)
def test_histograms_that_cannot_be_compared_have_no_median(after):
    assert median_between(histogram([1, 1, 1, 1, 1]), after) is None
    assert median_between(None, after) is None


def test_the_first_look_has_no_rates():
    load = look(Rates(), 0.0, generation_tokens_total=100, num_requests_running=1)
    assert (load.generation_rate, load.running) == (None, 1.0)


def test_a_rate_is_that_between_two_looks():
    rates = Rates()
    look(rates, 100.0, generation_tokens_total=100, prompt_tokens_total=7)
    load = look(rates, 110.0, generation_tokens_total=400, prompt_tokens_total=7)
    assert (load.generation_rate, load.prompt_rate) == (30.0, 0.0)


@hypothesis.settings(max_examples=50)
@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=20))
def test_no_rate_is_ever_negative_and_all_of_them_make_the_whole(increments):
    rates, total, seen = Rates(), 0, 0.0
    look(rates, 0.0, generation_tokens_total=0)
    for second, increment in enumerate(increments, 1):
        total += increment
        rate = look(rates, float(second), generation_tokens_total=total).generation_rate
        assert rate is not None
        assert rate >= 0
        seen += rate
    assert seen == pytest.approx(total)


@pytest.mark.parametrize(
    "later",
    [
        {"generation_tokens_total": 3.0},
        {"generation_tokens_total": 3.0, "request_success_total": 1.0},
    ],
)
def test_after_a_counter_went_back_nothing_is_compared(later):
    rates = Rates()
    look(rates, 0.0, generation_tokens_total=100, request_success_total=5)
    load = look(rates, 10.0, **later)
    assert (load.generation_rate, load.idle_seconds) == (None, None)
    again = {name: value + 10 for name, value in later.items()}
    assert look(rates, 20.0, **again).generation_rate == 1.0


def test_a_restart_is_seen_by_the_process_start_where_counters_already_passed_the_old_ones():
    def text(started: float, tokens: int) -> Exposition:
        began = f"process_start_time_seconds {started}\n"
        return Exposition(f"{began}vllm:generation_tokens_total {tokens}\n".encode())

    rates = Rates()
    assert rates.learn(text(1.0, 10), tables.VLLM, 0.0) == (Load(started=1.0), False)
    load, restarted = rates.learn(text(2.0, 500), tables.VLLM, 10.0)
    assert (load.generation_rate, restarted) == (None, True)
    load, restarted = rates.learn(text(2.0, 600), tables.VLLM, 20.0)
    assert (load.generation_rate, restarted) == (10.0, False)


def test_versions_without_counters_tell_their_rate_themselves():
    load = look(Rates(), 0.0, avg_generation_throughput_toks_per_s=12.5)
    assert (load.generation_rate, load.prompt_rate) == (12.5, None)


def test_an_engine_is_idle_since_the_last_look_at_which_something_had_moved():
    rates = Rates()
    assert look(rates, 0.0, request_success_total=5, num_requests_running=0).idle_seconds is None
    assert look(rates, 10.0, request_success_total=5, num_requests_running=0).idle_seconds == 10.0
    assert look(rates, 20.0, request_success_total=6, num_requests_running=0).idle_seconds == 0.0
    assert look(rates, 30.0, request_success_total=6, num_requests_running=0).idle_seconds == 10.0
    assert look(rates, 40.0, request_success_total=6, num_requests_running=1).idle_seconds == 0.0
    assert look(rates, 50.0, request_success_total=6, num_requests_running=0).idle_seconds == 10.0


def test_without_counters_nobody_can_say_how_long_an_engine_is_idle():
    rates = Rates()
    look(rates, 0.0, num_requests_running=0)
    assert look(rates, 10.0, num_requests_running=0).idle_seconds is None


def test_after_a_look_that_failed_idleness_begins_anew():
    rates = Rates()
    look(rates, 0.0, request_success_total=5)
    rates.forget()
    assert look(rates, 100.0, request_success_total=5).idle_seconds is None


def test_the_agents_own_requests_are_no_use_of_an_engine():
    rates = Rates()
    look(rates, 0.0, request_success_total=5)
    assert look(rates, 10.0, own=1, request_success_total=6).idle_seconds == 10.0
    assert look(rates, 20.0, own=1, request_success_total=8).idle_seconds == 0.0


def test_a_cache_is_never_told_to_be_fuller_than_full():
    assert look(Rates(), 0.0, kv_cache_usage_perc=1.0000001).kv_cache_ratio == 1.0
    assert look(Rates(), 0.0, kv_cache_usage_perc=-1).kv_cache_ratio is None
    assert look(Rates(), 0.0, gpu_cache_usage_perc=0.5).kv_cache_ratio == 0.5
