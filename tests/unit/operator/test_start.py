"""What keeps an operator from reading the stream is told as the trouble of its reading."""

from dataclasses import dataclass

import pytest

from citadel_k8s.operator.start import Start


@dataclass
class Half:
    trouble: str | None = None
    proved_until: float | None = None


@pytest.mark.parametrize(
    ("reader", "memory", "told"),
    [
        (Half(), Half(), None),
        (Half(), Half("refused"), "refused"),
        (Half("timed out"), Half("refused"), "timed out"),
        (Half(proved_until=1.0), Half("read-only"), None),
        (Half("timed out", 1.0), Half(), "timed out"),
    ],
)
def test_redis_away_before_the_reader_began_is_its_trouble(reader, memory, told):
    start = Start(reader, memory)
    assert start.trouble == told
    assert start.proved_until == reader.proved_until
