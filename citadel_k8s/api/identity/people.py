"""People at the door: by the cookie of their session, or by a header that a proxy vouches for."""

import re
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from aiohttp import web

from citadel_k8s.api.frame.refusal import unauthorized
from citadel_k8s.api.identity.cookies import Cookies
from citadel_k8s.api.identity.origin import Networks, peer_address
from citadel_k8s.config.server import TrustedHeader
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.identity import Principal, Role
from citadel_k8s.stores.postgres.logins import Session
from citadel_k8s.stores.postgres.refused import RefusedError
from citadel_k8s.stores.postgres.secret import secret_hash
from citadel_k8s.stores.postgres.users import User
from citadel_k8s.telemetry.log import get_logger

EMAIL_MAX: Final = 254
"""Longest e-mail address, in characters. Source: RFC 5321, with the angle brackets taken off."""

_EMAIL: Final = re.compile(r"[^\s@<>,;\"']+@[^\s@<>,;\"']+")

log = get_logger("api")


class Sessions(Protocol):
    """Where sessions are kept; see `stores.postgres.logins.Logins`."""

    async def find(self, session_hash: bytes) -> Session | None:
        """Give a session that counts."""
        ...

    async def touch(self, session_hash: bytes) -> None:
        """Note that it is used."""
        ...


class Users(Protocol):
    """Where people are kept; see `stores.postgres.users.Users`."""

    async def by_email(self, email: str) -> tuple[User, ...]:
        """Give those with an address who are not disabled."""
        ...

    async def create(
        self,
        org_id: str,
        name: str,
        *,
        role: Role,
        email: str | None = None,
        subject: str | None = None,
    ) -> User:
        """Add a person."""
        ...


class SignedIn:
    """Knows whose a session is. Asked each time: a person who is locked out is out at once."""

    def __init__(self, sessions: Sessions, cookies: Cookies) -> None:
        self._sessions = sessions
        self._cookies = cookies

    async def find(self, request: web.Request) -> Principal | None:
        """Give whose session a request carries; None if it carries none that counts."""
        session = await self.session(request)
        if session is None:
            return None
        if session.idle:
            await self._sessions.touch(session.session_hash)
        return user_principal(session.org_id, session.user_id, session.role)

    def claimed(self, request: web.Request) -> bool:
        """Say whether a request carries a session, one that counts or not."""
        return self._cookies.has_session(request)

    async def session(self, request: web.Request) -> Session | None:
        """Give the session that a request carries, if it counts."""
        raw = self._cookies.session_of(request)
        return await self._sessions.find(secret_hash(raw)) if raw is not None else None


class TrustedProxy:
    """Believes a header with somebody's e-mail address, from its proxy's own addresses only.

    Parameters
    ----------
    settings : TrustedHeader
        Which header, from where, for which org, and the role of those seen first.
    users : Users
        Where people are kept.

    Raises
    ------
    ConfigError
        If addresses or org are missing, or are none.
    """

    def __init__(self, settings: TrustedHeader, users: Users) -> None:
        self._name = settings.name
        self._org_id = settings.org_id or ""
        self._role = Role(settings.role)
        self._networks = Networks(settings.from_cidrs)
        self._users = users
        if self._name and not (settings.from_cidrs and self._org_id):
            raise ConfigError("trustedHeader needs fromCidrs and orgId: whom to believe, for whom")

    async def find(self, request: web.Request) -> Principal | None:
        """Give whom the proxy names; None if it names nobody, or is not the proxy.

        Raises
        ------
        RefusalError
            401, if the proxy names somebody who is locked out, or nobody sensibly.
        """
        given = request.headers.getall(self._name, []) if self._name else []
        if not given:
            return None
        if not self._networks.have(peer_address(request)):
            # Not a word to the sender: whoever makes one up is nobody, like everybody else.
            return None
        email = given[0].strip()
        if len(given) > 1 or len(email) > EMAIL_MAX or not _EMAIL.fullmatch(email):
            raise unauthorized("the proxy's header does not hold one e-mail address")
        user = await self._known(email) or await self._added(email)
        return user_principal(user.org_id, user.user_id, user.role)

    async def _known(self, email: str) -> User | None:
        found = await self._users.by_email(email)
        return next((user for user in found if user.org_id == self._org_id), None)

    async def _added(self, email: str) -> User:
        try:
            user = await self._users.create(self._org_id, email, role=self._role, email=email)
        except RefusedError as error:
            # There after all: added by another replica just now, or locked out.
            known = await self._known(email) if error.reason == "exists" else None
            if known is None:
                raise unauthorized("this person, or their org, may not sign in") from error
            return known
        log.info("user_added", org=user.org_id, user=str(user.user_id), method="header")
        return user


def user_principal(org_id: str, user_id: UUID, role: Role) -> Principal:
    """Give the principal that a person is."""
    return Principal(kind="user", org_id=org_id, subject=f"user:{user_id}", role=role)


def until(moment: datetime, now: float) -> float:
    """Give the seconds until a moment, at least 0."""
    return max(0.0, moment.timestamp() - now)
