"""What the stores refuse, as answers; and moments as they are told."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from citadel_k8s.api.frame.refusal import RefusalError, not_found
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.postgres.refused import Reason, RefusedError

CROWD_SECONDS: Final = 60.0
"""Seconds after which somebody who found too many waiting may come again."""

_STATUS: Final[dict[Reason, tuple[int, str]]] = {
    "exists": (409, "conflict"),
    "missing": (404, "not_found"),
    "invalid": (400, "bad_request"),
    "too_many": (429, "rate_limited"),
}


@contextmanager
def stored() -> Generator[None]:
    """Answer what a store refuses."""
    try:
        yield
    except RefusedError as error:
        status, word = _STATUS[error.reason]
        wait = CROWD_SECONDS if error.reason == "too_many" else None
        raise RefusalError(status, word, str(error), retry_after=wait) from error


def known_id(text: str, what: str) -> UUID:
    """Give an id of the path.

    Raises
    ------
    RefusalError
        404, if it is none: nothing has such an id.
    """
    try:
        return UUID(text)
    except ValueError:
        raise not_found(f"there is no such {what}") from None


def stamp(moment: datetime | None) -> str | None:
    """Give a moment in RFC 3339; None stays None."""
    return None if moment is None else format_timestamp(moment.timestamp())
