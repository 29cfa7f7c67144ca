"""Why a node did not answer: at which step, and a sentence for people."""

from enum import StrEnum

from citadel_k8s.errors import CitadelError


class Step(StrEnum):
    """Where a question ended, the nearest first."""

    ADDRESS = "address"
    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    AUTH = "auth"
    BODY = "body"
    IDENTITY = "identity"

    @property
    def reach(self) -> int:
        """How far the question got; of several the one that got furthest says most."""
        return list(Step).index(self)


NO_ROUTE = frozenset({Step.ADDRESS, Step.RESOLVE, Step.CONNECT})
"""Steps at which nobody was reached: another way may lead there."""


class LiveError(CitadelError):
    """A node did not answer as it should.

    Parameters
    ----------
    step : Step
        Where it ended.
    message : str
        What happened, with the address, without anything that was answered.
    """

    def __init__(self, step: Step, message: str) -> None:
        super().__init__(message)
        self.step = step
