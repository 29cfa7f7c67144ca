"""People of one's own org, and the org itself."""

from citadel_k8s.api.frame.refusal import RefusalError, not_found
from citadel_k8s.api.frame.route import ANYONE, Call, Route, person
from citadel_k8s.api.identity.revocations import Revocations
from citadel_k8s.api.identity.stored import known_id, stamp, stored
from citadel_k8s.api.identity.views import (
    LinkMade,
    NewRole,
    NewUser,
    OrgView,
    Page,
    UserList,
    UserView,
)
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.users import LIST_LIMIT, User, Users

LINK_PATH = "/api/session/link"
"""Where a login link leads."""


class UserRoutes:
    """Answers about people; all but the org itself is for admins.

    Parameters
    ----------
    base : str
        What stands before a login link's path; empty if nobody said how browsers come here.
    daily_requests : int
        The quota of orgs that have none of their own.
    """

    def __init__(
        self,
        users: Users,
        logins: Logins,
        orgs: Orgs,
        revocations: Revocations,
        *,
        base: str,
        daily_requests: int,
    ) -> None:
        self._users = users
        self._logins = logins
        self._orgs = orgs
        self._revocations = revocations
        self._base = base
        self._daily = daily_requests

    def routes(self) -> list[Route]:
        """Give the routes."""
        admin, tag = person(Role.ADMIN), "identity"
        path = "/api/orgs/users"
        one = path + "/{user_id}"
        return [
            Route(
                "GET",
                "/api/orgs/current",
                self._org,
                "The org that the credential belongs to, and its quota.",
                ANYONE,
                tag,
                answers={200: OrgView},
            ),
            Route(
                "GET",
                path,
                self._list,
                "The org's people, those locked out too.",
                admin,
                tag,
                query=Page,
                answers={200: UserList},
            ),
            Route(
                "POST",
                path,
                self._add,
                "Let somebody in.",
                admin,
                tag,
                body=NewUser,
                answers={201: UserView},
                audit="user.create",
            ),
            Route(
                "PUT",
                one + "/role",
                self._set_role,
                "Let somebody do more or less.",
                admin,
                tag,
                body=NewRole,
                answers={200: UserView},
                audit="user.role",
            ),
            Route(
                "POST",
                one + "/link",
                self._link,
                "Make a link that signs somebody in, once; it is shown in this answer alone.",
                admin,
                tag,
                answers={201: LinkMade},
                audit="user.link",
            ),
            Route(
                "DELETE",
                one,
                self._disable,
                "Lock somebody out, at once.",
                admin,
                tag,
                answers={204: None},
                audit="user.disable",
            ),
        ]

    async def _org(self, call: Call) -> OrgView:
        org = await self._orgs.get(call.who.org_id)
        if org is None:
            raise not_found("the org is gone")
        return OrgView(
            org_id=org.org_id,
            name=org.name,
            daily_quota=org.daily_quota or self._daily,
            created_at=stamp(org.created_at),
        )

    async def _list(self, call: Call) -> UserList:
        rows = await self._users.list(call.who.org_id, after=call.asked(Page).after)
        following = str(rows[-1].user_id) if len(rows) == LIST_LIMIT else None
        return UserList(users=[view(row) for row in rows], next=following)

    async def _add(self, call: Call) -> UserView:
        wanted = call.sent(NewUser)
        with stored():
            user = await self._users.create(
                call.who.org_id, wanted.name, role=wanted.role, email=wanted.email
            )
        call.notes["target"] = str(user.user_id)
        call.notes["detail"] = {"role": str(user.role)}
        return view(user)

    async def _set_role(self, call: Call) -> UserView:
        user = await self._other(call, "change their own role")
        role = call.sent(NewRole).role
        await self._users.set_role(user.org_id, user.user_id, role)
        call.notes["detail"] = {"from": str(user.role), "to": str(role)}
        return view(await self._found(call))

    async def _link(self, call: Call) -> LinkMade:
        user = await self._found(call)
        if user.disabled_at is not None:
            raise RefusalError(409, "conflict", "this person is locked out")
        with stored():
            raw, until = await self._logins.create_link(user.org_id, user.user_id)
        return LinkMade(url=login_link(self._base, raw), expires_at=stamp(until))

    async def _disable(self, call: Call) -> None:
        user = await self._other(call, "lock themselves out")
        await self._users.disable(user.org_id, user.user_id)
        await self._logins.revoke_all(user.org_id, user.user_id)
        await self._revocations.tell(f"user:{user.user_id}")

    async def _other(self, call: Call, deed: str) -> User:
        user = await self._found(call)
        if call.who.subject == f"user:{user.user_id}":
            # Or an org could be left without anybody who lets people in.
            raise RefusalError(409, "conflict", f"nobody may {deed}; ask another admin")
        return user

    async def _found(self, call: Call) -> User:
        user_id = known_id(call.part("user_id"), "user")
        user = await self._users.get(call.who.org_id, user_id)
        if user is None:
            raise not_found("there is no such user")
        return user


def login_link(base: str, raw: str) -> str:
    """Give a login link."""
    return f"{base}{LINK_PATH}?token={raw}"


def view(user: User) -> UserView:
    """Give what is told of a person."""
    return UserView(
        user_id=str(user.user_id),
        name=user.name,
        email=user.email,
        role=str(user.role),
        signs_in_by="oidc" if user.subject else "link",
        created_at=stamp(user.created_at),
        disabled_at=stamp(user.disabled_at),
    )
