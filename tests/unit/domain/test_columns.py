"""The columns of our own tables are those of kubectl."""

import pytest

from citadel_k8s.domain.columns import age
from citadel_k8s.models.codec import parse_timestamp

MOMENT = "2026-01-01T00:00:00Z"
MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-60, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (2 * MINUTE, "2m"),
        (2 * MINUTE + 1, "2m1s"),
        (10 * MINUTE - 1, "9m59s"),
        (10 * MINUTE + 5, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 5 * MINUTE, "3h5m"),
        (8 * HOUR + 5 * MINUTE, "8h"),
        (2 * DAY - 1, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + HOUR, "2d1h"),
        (8 * DAY + HOUR, "8d"),
        (729 * DAY, "729d"),
        (730 * DAY, "2y"),
        (731 * DAY, "2y1d"),
        (8 * 365 * DAY + DAY, "8y"),
    ],
)
def test_an_age_reads_as_kubectl_writes_it(seconds: float, told: str) -> None:
    assert age(MOMENT, parse_timestamp(MOMENT) + seconds) == told


@pytest.mark.parametrize("moment", [None, "", "yesterday", 7])
def test_of_no_moment_there_is_no_age(moment: object) -> None:
    assert age(moment, 0.0) == ""
