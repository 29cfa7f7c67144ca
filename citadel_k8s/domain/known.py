"""What is known of one source, and how old it is.

A source that fails does not take back what it said before: the last good value stays, with its
age and the reason.
"""

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from citadel_k8s.models.readings import Absent, Failed, Outcome, Reading

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """What is known of one source. Moments are seconds of a clock that never goes back.

    Attributes
    ----------
    outcome
        Its last answer; None before the first.
    good, good_at
        The last reading, and when it was taken.
    duration
        Seconds that the last answer took.
    """

    outcome: Outcome[T] | None = None
    good: T | None = None
    good_at: float | None = None
    duration: float | None = None

    def learn(self, outcome: Outcome[T], *, at: float, duration: float) -> "Known[T]":
        """Give what is known after this answer."""
        if isinstance(outcome, Reading):
            return Known(outcome, outcome.value, at, duration)
        return Known(outcome, self.good, self.good_at, duration)

    def age(self, now: float) -> float | None:
        """Give the seconds since the last reading."""
        return None if self.good_at is None else max(0.0, now - self.good_at)

    def fresh(self, now: float, limit: float) -> T | None:
        """Give the last reading unless it is older than so many seconds."""
        age = self.age(now)
        return None if age is None or age > limit else self.good


NOTHING: Final[Known[Any]] = Known()
"""What is known of a source before its first answer."""


def state_of(outcome: Outcome[T] | None) -> tuple[str, str]:
    """Give the one word for an answer, ok, absent, failed or unknown, and its reason."""
    match outcome:
        case None:
            return ("unknown", "")
        case Reading():
            return ("ok", "")
        case Absent(reason, _):
            return ("absent", reason)
        case Failed(reason, _):
            return ("failed", reason)


def rounded_age(since: float | None, now: float) -> float | None:
    """Give the seconds since a moment, to a tenth."""
    return None if since is None else round(max(0.0, now - since), 1)
