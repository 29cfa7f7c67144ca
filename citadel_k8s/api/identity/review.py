"""The API server of the cluster that this runs in: which tokens it made, and which still hold."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.identity.jwks import JwtError, Keys, keys_of
from citadel_k8s.errors import KubeError
from citadel_k8s.telemetry.log import get_logger

ANSWER_TIMEOUT: Final = 5.0
"""Seconds for one question: a heartbeat waits for it, and gives up after ten."""

AT_ONCE: Final = 16
"""Reviews under way at most: a fleet that comes back asks for thousands within one interval."""

REFETCH_SECONDS: Final = 60.0
"""Seconds between two looks at the API server's keys, however many unknown ones are shown."""

_BAD_REQUEST: Final = 400
_SERVER_ERRORS: Final = 500

log = get_logger("api")


class ApiServer(Protocol):
    """What is asked of an API server; see `clients.kube.KubeClient`. All raise `KubeError`."""

    async def issuer(self, *, timeout: float | None = None) -> tuple[str, dict[str, Any]]:
        """Give who signs tokens, and the keys."""
        ...

    async def review_token(
        self, token: str, audience: str, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Give the status of a TokenReview."""
        ...


class Reviewer:
    """Asks one API server.

    Parameters
    ----------
    kube : ApiServer
        May create TokenReviews (ClusterRole ``system:auth-delegator``) and read the issuer's
        discovery (``system:service-account-issuer-discovery``, which all service accounts may).
    clock : Clock
        Measures how old the keys are.
    """

    def __init__(self, kube: ApiServer, clock: Clock) -> None:
        self._kube = kube
        self._clock = clock
        self._issuer: str | None = None
        self._keys: Keys = {}
        self.document: Mapping[str, Any] = {}
        """The keys as the API server lists them."""
        self._looked: float | None = None
        self._refused = False
        self._looking = asyncio.Lock()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def owns(self, issuer: str, keys: Keys) -> bool:
        """Say whether an issuer with these keys is this very cluster.

        The name is not enough: most clusters call themselves ``https://kubernetes.default.svc…``.

        Raises
        ------
        KubeError
            If the API server cannot be asked, and was not before.
        """
        if self._refused:
            return False
        if self._issuer is None:
            await self._look()
        if self._issuer != issuer:
            return False
        return any(_same(keys[kid], self._keys.get(kid)) for kid in keys)

    async def keys(self, *, unknown: bool = False) -> Keys:
        """Give the cluster's own keys; anew, once a minute, when an ``unknown`` one was shown.

        Raises
        ------
        KubeError
            If the API server cannot be asked.
        """
        if self._issuer is None or (unknown and self._due()):
            await self._look()
        return self._keys

    async def holds(self, token: str, audience: str, subject: str) -> bool:
        """Ask whether a token still holds: its pod, node and service account are there.

        Raises
        ------
        KubeError
            If the API server cannot be asked, or may not be by this service account.
        """
        async with self._room:
            status = await self._kube.review_token(token, audience, timeout=ANSWER_TIMEOUT)
        user = _mapping(status.get("user"))
        audiences: Any = status.get("audiences")
        return (
            status.get("authenticated") is True
            and user.get("username") == subject
            and isinstance(audiences, list)
            and audience in audiences
        )

    def _due(self) -> bool:
        return self._looked is None or self._clock.monotonic() - self._looked >= REFETCH_SECONDS

    async def _look(self) -> None:
        async with self._looking:
            # Those who waited for the same look need none of their own.
            if self._issuer is not None and not self._due():
                return
            try:
                issuer, keys = await self._kube.issuer(timeout=ANSWER_TIMEOUT)
                self._keys = keys_of(keys)
                self.document = {"keys": keys["keys"]}
            except KubeError as error:
                if self._issuer is None and _BAD_REQUEST <= error.status < _SERVER_ERRORS:
                    # Its own tokens are then held to their signatures alone, and that is told.
                    self._refused = True
                    log.warning("issuer_discovery_refused", error=str(error))
                    return
                raise
            except JwtError as error:
                raise KubeError(0, f"the API server's keys: {error}") from error
            self._issuer = issuer
            self._looked = self._clock.monotonic()


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _same(one: tuple[str, Any], other: tuple[str, Any] | None) -> bool:
    return other is not None and one[1].public_numbers() == other[1].public_numbers()
