"""What every way out of the node offers."""

from typing import Protocol

from citadel_k8s.models.wire import StatusMessage


class Publisher(Protocol):
    """Delivers status messages; bounded in time by itself."""

    @property
    def transport(self) -> str:
        """What the way out is called in metrics."""
        ...

    async def publish(self, message: StatusMessage) -> None:
        """Deliver one message durably.

        Raises
        ------
        PublishError
            If it is not certain that the message is kept.
        """
        ...

    async def close(self) -> None:
        """Close the connection; a publisher that was closed is not used again."""
        ...
