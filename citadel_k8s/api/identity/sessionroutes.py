"""Signing in by a link, asking who one is, signing out."""

from datetime import timedelta
from uuid import UUID

from aiohttp import web

from citadel_k8s.api.frame.refusal import RefusalError, unauthorized
from citadel_k8s.api.frame.route import ANYONE, PUBLIC, Call, Route
from citadel_k8s.api.identity.cookies import Cookies
from citadel_k8s.api.identity.origin import SameSite
from citadel_k8s.api.identity.people import SignedIn
from citadel_k8s.api.identity.stored import stamp, stored
from citadel_k8s.api.identity.userroutes import LINK_PATH
from citadel_k8s.api.identity.views import LinkBody, Person, SessionView, SignInMethods
from citadel_k8s.models.identity import Principal
from citadel_k8s.stores.postgres.logins import Logins, Method
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.users import User, Users

HOME = "/"
"""Where somebody is led who has just signed in."""


class SignIn:
    """Begins and ends sessions: always a new secret, whatever the browser came with.

    Parameters
    ----------
    hours : float
        How long a session lasts.
    """

    def __init__(
        self, logins: Logins, signed_in: SignedIn, cookies: Cookies, *, hours: float
    ) -> None:
        self._logins = logins
        self._signed_in = signed_in
        self._cookies = cookies
        self._life = timedelta(hours=hours)

    async def begin(
        self, request: web.Request, response: web.StreamResponse, user: User, method: Method
    ) -> None:
        """Sign somebody in. The session that the browser had, if any, ends."""
        with stored():
            raw, _ = await self._logins.open(
                user.org_id, user.user_id, method=method, life=self._life
            )
        await self._revoke(request)
        self._cookies.set_session(response, raw, self._life.total_seconds())

    async def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """Sign somebody out, and take the cookie back even if it counts no more."""
        await self._revoke(request)
        self._cookies.clear_session(response)

    async def _revoke(self, request: web.Request) -> None:
        old = await self._signed_in.session(request)
        if old is not None:
            await self._logins.revoke(old.org_id, old.session_hash)


class SessionRoutes:
    """Answers about the one who asks."""

    def __init__(
        self,
        *,
        logins: Logins,
        users: Users,
        orgs: Orgs,
        signed_in: SignedIn,
        sign_in: SignIn,
        same_site: SameSite,
        oidc: bool,
    ) -> None:
        self._logins = logins
        self._users = users
        self._orgs = orgs
        self._signed_in = signed_in
        self._sign_in = sign_in
        self._same_site = same_site
        self._oidc = oidc

    def routes(self) -> list[Route]:
        """Give the routes."""
        tag = "session"
        return [
            Route(
                "GET",
                "/api/session",
                self._who,
                "Who asks: kind of credential, org, role or scopes.",
                ANYONE,
                tag,
                answers={200: SessionView},
            ),
            Route(
                "DELETE",
                "/api/session",
                self._out,
                "Sign out: the session ends at once, and its cookie is taken back.",
                PUBLIC,
                tag,
                answers={204: None},
                audit="session.end",
            ),
            Route(
                "GET",
                "/api/session/methods",
                self._methods,
                "How a person can sign in here.",
                PUBLIC,
                tag,
                answers={200: SignInMethods},
            ),
            Route(
                "POST",
                LINK_PATH,
                self._redeem,
                "Sign in with the secret of a login link, which works once.",
                PUBLIC,
                tag,
                body=LinkBody,
                answers={204: None},
                body_max=1024,
                audit="session.begin",
            ),
            Route(
                "GET",
                LINK_PATH,
                self._follow,
                "Sign in by a login link, which works once; leads to the page.",
                PUBLIC,
                tag,
                query=LinkBody,
                answers={303: None},
                audit="session.begin",
            ),
        ]

    async def _who(self, call: Call) -> SessionView:
        who = call.who
        org = await self._orgs.get(who.org_id)
        session = await self._signed_in.session(call.request) if who.kind == "user" else None
        return SessionView(
            kind=who.kind,
            subject=who.subject,
            org_id=who.org_id,
            org_name=org.name if org else who.org_id,
            role=str(who.role) if who.role else None,
            scopes=sorted(str(scope) for scope in who.scopes) if who.kind != "user" else None,
            node_id=who.node_id,
            user=await self._person(who),
            expires_at=stamp(session.expires_at) if session else None,
        )

    async def _person(self, who: Principal) -> Person | None:
        if who.kind != "user":
            return None
        user = await self._users.get(who.org_id, UUID(who.subject.removeprefix("user:")))
        if user is None:
            return None
        return Person(user_id=str(user.user_id), name=user.name, email=user.email)

    async def _out(self, call: Call) -> web.Response:
        self._same_site.check(call.request)
        session = await self._signed_in.session(call.request)
        if session is None:
            # Nobody is signed out, and anybody could fill the audit log with that.
            call.notes["audit"] = None
        else:
            call.notes["org"] = session.org_id
            call.notes["target"] = f"user:{session.user_id}"
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        await self._sign_in.end(call.request, response)
        return response

    async def _methods(self, _call: Call) -> SignInMethods:
        return SignInMethods(oidc=self._oidc)

    async def _redeem(self, call: Call) -> web.Response:
        self._same_site.check(call.request)
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        await self._enter(call, response, call.sent(LinkBody).token)
        return response

    async def _follow(self, call: Call) -> web.Response:
        if call.request.method != "GET":
            # A preview of the link must not use it up.
            raise RefusalError(405, "method_not_allowed", "a login link is opened with GET")
        response = see_other(HOME)
        await self._enter(call, response, call.asked(LinkBody).token)
        return response

    async def _enter(self, call: Call, response: web.Response, raw: str) -> None:
        user = await self._logins.redeem_link(raw)
        if user is None:
            raise unauthorized(
                "this login link was used before, has expired, or is none; ask for another"
            )
        await self._sign_in.begin(call.request, response, user, "link")
        noted(call, user, "link")


def see_other(location: str) -> web.Response:
    """Give a redirect that keeps the address it came from to itself."""
    return web.Response(
        status=303,
        headers={
            "Location": location,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )


def noted(call: Call, user: User, method: str) -> None:
    """Tell the audit log who signed in."""
    call.notes["org"] = user.org_id
    call.notes["target"] = f"user:{user.user_id}"
    call.notes["detail"] = {"method": method}
