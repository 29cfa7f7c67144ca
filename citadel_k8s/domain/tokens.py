"""A budget of actions: so many a second, and some saved for a burst."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class TokenBucket:
    """Tokens that come back at a rate, up to a burst."""

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> bool:
        """Take one if there is one; ``now`` is in monotonic seconds."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
