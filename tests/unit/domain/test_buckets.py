from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.buckets import BUCKET_MS, FIGURES, Sample, Sums, figures, summed

RATIO = st.none() | st.floats(0, 1)
GPU = st.tuples(st.none() | st.integers(0, 100), st.none() | st.integers(0, 100), st.just(0))
PULSE = st.fixed_dictionaries(
    {},
    optional={
        "cpu": RATIO,
        "memory": RATIO,
        "power": st.none() | st.floats(0, 1e4),
        "running": st.none() | st.floats(0, 1e3),
        "gpu": st.none() | st.lists(GPU, max_size=4),
    },
)
SAMPLES = st.lists(
    st.builds(
        Sample, st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 4 * BUCKET_MS), PULSE
    )
)


def test_what_is_unknown_adds_to_no_count() -> None:
    sums = summed(
        [Sample("a", "x", 5, {"cpu": 0.5}), Sample("a", "x", 6, {"gpu": [[None, 50, 0]]})]
    )
    (found,) = sums.values()
    assert found.beats == 2
    assert found.counts == {"cpu": 1, "vram": 1}
    assert found.sums == {"cpu": 0.5, "vram": 0.5}
    assert found.util_max is None


def test_gpus_count_by_their_mean() -> None:
    pulse: dict[str, Any] = {"gpu": [[100, 10, 0], [0, 30, 0], [None, None, None]]}
    assert figures(pulse)["util"] == pytest.approx(0.5)
    assert figures(pulse)["vram"] == pytest.approx(0.2)


def test_a_bucket_begins_on_the_five_minutes() -> None:
    (key,) = summed([Sample("a", "x", 7 * BUCKET_MS + 1, {})])
    assert key.bucket_ms == 7 * BUCKET_MS


@given(SAMPLES, st.randoms(use_true_random=False), st.integers(0, 10))
def test_any_order_over_two_workers_gives_the_same_sums(
    samples: list[Sample], chance: Any, cut: int
) -> None:
    whole = summed(samples)
    mixed = list(samples)
    chance.shuffle(mixed)
    merged: dict[Any, Sums] = {}
    for part in (mixed[:cut], mixed[cut:]):
        for key, sums in summed(part).items():
            merged.setdefault(key, Sums()).merge(sums)
    assert merged.keys() == whole.keys()
    for key, sums in whole.items():
        other = merged[key]
        assert (other.beats, other.counts, other.util_max) == (
            sums.beats,
            sums.counts,
            sums.util_max,
        )
        for name in FIGURES:
            assert other.sums.get(name, 0) == pytest.approx(sums.sums.get(name, 0))
