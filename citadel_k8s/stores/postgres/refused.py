"""What the database's rules refuse, in words for the one who asked."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from psycopg import DataError, errors

from citadel_k8s.errors import CitadelError

Reason = Literal["exists", "missing", "invalid", "too_many"]
"""There already; not there; a value that does not fit; more than is kept at once."""


class RefusedError(CitadelError):
    """What was asked cannot be stored; nothing was changed.

    Parameters
    ----------
    reason : {"exists", "missing", "invalid", "too_many"}
        For programs.
    message : str
        For people; it quotes no secret.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@contextmanager
def refusing(what: str) -> Generator[None]:
    """Turn what a constraint says into a refusal; it stands around the transaction."""
    try:
        yield
    except errors.UniqueViolation as error:
        raise RefusedError("exists", f"{what} is there already") from error
    except errors.ForeignKeyViolation as error:
        raise RefusedError("missing", f"{what}: what it belongs to is not there") from error
    except (errors.CheckViolation, errors.NotNullViolation, DataError, UnicodeError) as error:
        raise RefusedError("invalid", f"{what}: a value does not fit") from error
