"""Every error that this package raises on purpose.

A message says what is wrong, where, and what to do about it; it is printed as it stands.
"""


class CitadelError(Exception):
    """Root of all errors raised on purpose."""


class ConfigError(CitadelError):
    """A setting, file or command-line value cannot be used."""


class WireError(CitadelError):
    """A message from outside does not fit the wire format.

    Parameters
    ----------
    reason : str
        A CamelCase word fit for a metric label, such as ``Oversized`` or ``BadField``.
    field : str
        Dotted path of the offending field; empty when the message as a whole is at fault.
    detail : str
        What is wrong with it.
    """

    def __init__(self, reason: str, field: str, detail: str) -> None:
        where = f" at {field}" if field else ""
        super().__init__(f"{reason}{where}: {detail}")
        self.reason = reason
        self.field = field
        self.detail = detail


class PublishError(CitadelError):
    """The durable write of a heartbeat failed; the message says why.

    Parameters
    ----------
    message : str
        What was asked and what came back.
    retry_after : float or None
        Seconds that the server asked to wait before the next attempt.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StreamError(CitadelError):
    """The status stream cannot be read."""


class DatabaseError(CitadelError):
    """PostgreSQL is away, silent, or refuses; the message says which."""


class SchemaError(DatabaseError):
    """The database answers, and its tables are not those of this program: see `db upgrade`."""


class MeshError(CitadelError):
    """The mesh's coordination server did not answer, refused, or said what cannot be read."""


class KubeError(CitadelError):
    """The API server refused or did not answer.

    Parameters
    ----------
    status : int
        HTTP status, or 0 when there was no answer.
    message : str
        What was asked and what came back.
    retry_after : float or None
        Seconds that the server asked to wait.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class StackError(CitadelError):
    """A part of the embedded stack did not start; the message carries the end of its log."""


class BuildError(StackError):
    """A program could neither be found nor downloaded nor built."""


def told(error: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the first error of a group of groups: the one that a person is told."""
    first: BaseException = error
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return first  # pyright: ignore[reportUnknownVariableType]
