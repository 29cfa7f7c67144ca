"""A publisher that keeps what it is given, and fails when told to."""

from citadel_k8s.errors import PublishError
from citadel_k8s.models.wire import StatusMessage


class FakePublisher:
    """Keeps messages in memory."""

    transport = "fake"

    def __init__(self) -> None:
        self.messages: list[StatusMessage] = []
        self.failure: str | None = None
        self.attempts = 0
        self.closed = False

    async def publish(self, message: StatusMessage) -> None:
        """Keep the message, or raise `PublishError` while ``failure`` is set."""
        self.attempts += 1
        if self.failure is not None:
            raise PublishError(self.failure)
        self.messages.append(message)

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
