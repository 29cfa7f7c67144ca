"""From what a provider of identities says to a person of ours."""

import re
from collections.abc import Mapping
from typing import Any, Final

from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.config.server import Oidc
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.refused import RefusedError
from citadel_k8s.stores.postgres.users import User, Users
from citadel_k8s.telemetry.log import get_logger

NAME_MAX: Final = 200
"""Characters kept of a name."""

_EMAIL: Final = re.compile(r"[^\s@<>,;\"']{1,64}@[^\s@<>,;\"']{1,190}")
_ORG_ID: Final = re.compile(r"[a-zA-Z0-9._-]{1,128}")

log = get_logger("api")


class Accounts:
    """Finds or adds the person that checked claims name.

    Parameters
    ----------
    settings : Oidc
        Which claims name org and role.
    """

    def __init__(self, settings: Oidc, users: Users, orgs: Orgs) -> None:
        self._settings = settings
        self._users = users
        self._orgs = orgs

    async def of(self, claims: Mapping[str, Any]) -> User:
        """Give the person.

        Raises
        ------
        RefusalError
            403, with what is missing or contradicts.
        """
        email = _email(claims)
        org_id = await self._org(claims)
        subject = f"{claims['iss']}#{claims['sub']}"
        user = await self._users.by_subject(subject)
        if user is None and email is not None:
            user = await self._by_email(org_id, email, subject)
        if user is None:
            return await self._added(org_id, email, subject, claims)
        if user.org_id != org_id:
            raise refused("you belong to another org here than the identity provider says")
        return await self._with_role(user, claims)

    async def _org(self, claims: Mapping[str, Any]) -> str:
        name = self._settings.org_claim
        named = _words(claims, name) if name else []
        candidates = named or ([self._settings.default_org] if self._settings.default_org else [])
        if not candidates:
            where = f" (claim {name})" if name else ""
            raise refused(f"the identity provider names no org for you{where}; ask your admin")
        found: list[str] = []
        for candidate in candidates:
            org = await self._orgs.get(candidate) if _ORG_ID.fullmatch(candidate) else None
            if org is not None and org.disabled_at is None:
                found.append(org.org_id)
        if len(found) != 1:
            said = "no org of yours is known here" if not found else "you are in several orgs"
            raise refused(f"{said}; ask your admin")
        return found[0]

    async def _by_email(self, org_id: str, email: str, subject: str) -> User | None:
        known = await self._users.by_email(email)
        user = next((one for one in known if one.org_id == org_id), None)
        if user is None:
            return None
        if user.subject is not None:
            raise refused("this e-mail address belongs to another account here; ask your admin")
        try:
            await self._users.bind(org_id, user.user_id, subject)
        except RefusedError as error:
            raise refused("this account may not sign in; ask your admin") from error
        log.info("user_bound", org=org_id, user=str(user.user_id))
        return user

    async def _added(
        self, org_id: str, email: str | None, subject: str, claims: Mapping[str, Any]
    ) -> User:
        given = claims.get("name")
        name = given.strip()[:NAME_MAX] if isinstance(given, str) else ""
        try:
            user = await self._users.create(
                org_id,
                name or email or str(claims["sub"]),
                role=self._role(claims) or Role.VIEWER,
                email=email,
                subject=subject,
            )
        except RefusedError as error:
            # Known, and not among those who may: locked out, or just now added beside this.
            again = await self._users.by_subject(subject)
            if again is None or again.org_id != org_id:
                raise refused("this account may not sign in; ask your admin") from error
            return again
        log.info("user_added", org=org_id, user=str(user.user_id), method="oidc")
        return user

    async def _with_role(self, user: User, claims: Mapping[str, Any]) -> User:
        role = self._role(claims)
        if role is not None and role is not user.role:
            await self._users.set_role(user.org_id, user.user_id, role)
        return user

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """Give the role that a claim names, the least if it names none; None if none is asked."""
        name = self._settings.role_claim
        if not name:
            return None
        words = _words(claims, name)
        return max(
            (role for role in Role if str(role) in words),
            key=list(Role).index,
            default=Role.VIEWER,
        )


def refused(description: str) -> RefusalError:
    """Give the refusal of a sign-in."""
    return RefusalError(403, "sign_in_refused", description)


def _email(claims: Mapping[str, Any]) -> str | None:
    """Give the address, if the provider has checked that it is theirs."""
    email = claims.get("email")
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        return None
    verified = claims.get("email_verified")
    if verified is True or verified == "true":
        return email
    if verified is None:
        return None  # Not said: then it is no proof of anything, and not kept.
    raise refused("the identity provider has not verified your e-mail address; do that first")


def _words(claims: Mapping[str, Any], name: str) -> list[str]:
    value = claims.get(name)
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list):
        words: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return [word for word in words[:100] if isinstance(word, str) and word]
    return []
