"""A refusal: raised anywhere below a route, answered by the frame in the contract's shape."""

from http import HTTPStatus

from citadel_k8s.errors import CitadelError


class RefusalError(CitadelError):
    """What a request is refused with.

    Parameters
    ----------
    status : int
        HTTP status, 400 or more.
    error : str
        One word for programs, such as ``not_found``; snake_case.
    description : str
        A sentence for people: what is wrong and what to do. Never a secret, never a stack trace.
    retry_after : float or None
        Seconds to wait, for a 429 or a 503.
    limit, window : int or None
        The quota that was used up: requests and seconds.
    """

    def __init__(
        self,
        status: int,
        error: str,
        description: str,
        *,
        retry_after: float | None = None,
        limit: int | None = None,
        window: int | None = None,
    ) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description
        self.retry_after = retry_after
        self.limit = limit
        self.window = window


def bad_request(description: str) -> RefusalError:
    """Give a 400."""
    return RefusalError(HTTPStatus.BAD_REQUEST, "bad_request", description)


def unauthorized(description: str) -> RefusalError:
    """Give a 401."""
    return RefusalError(HTTPStatus.UNAUTHORIZED, "unauthorized", description)


def forbidden(description: str) -> RefusalError:
    """Give a 403."""
    return RefusalError(HTTPStatus.FORBIDDEN, "forbidden", description)


def not_found(description: str) -> RefusalError:
    """Give a 404."""
    return RefusalError(HTTPStatus.NOT_FOUND, "not_found", description)


def upgrade_required() -> RefusalError:
    """Give a 426: this is a WebSocket, and was asked for as if it were none."""
    return RefusalError(
        HTTPStatus.UPGRADE_REQUIRED,
        "upgrade_required",
        "this is a WebSocket; ask for an upgrade",
    )


def unavailable(description: str, *, retry_after: float = 2) -> RefusalError:
    """Give a 503: something behind the API is away."""
    return RefusalError(
        HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", description, retry_after=retry_after
    )
