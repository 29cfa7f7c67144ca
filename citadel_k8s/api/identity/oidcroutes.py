"""Signing in with a provider of identities: there and back."""

import hmac
import secrets
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.refusal import bad_request, unauthorized
from citadel_k8s.api.frame.route import PUBLIC, Call, Route
from citadel_k8s.api.identity.accounts import Accounts, refused
from citadel_k8s.api.identity.cookies import SIGN_IN_SECONDS, Cookies, Seal
from citadel_k8s.api.identity.oidcclient import Provider
from citadel_k8s.api.identity.remembered import Remembered
from citadel_k8s.api.identity.sessionroutes import HOME, SignIn, noted, see_other
from citadel_k8s.api.identity.views import OidcAnswer
from citadel_k8s.telemetry.log import get_logger

START: Final = "/api/session/oidc/start"
CALLBACK: Final = "/api/session/oidc/callback"

STATES_MOST: Final = 10_000
"""Answers that are remembered as used. The provider takes each code once, too."""

_WORD: Final = 64
"""Characters quoted of a provider's error."""

log = get_logger("api")


class OidcRoutes:
    """Sends people to the provider, and takes them back in.

    Parameters
    ----------
    base : str
        How browsers come here; the provider must know ``<base>/api/session/oidc/callback``.
    """

    def __init__(
        self,
        provider: Provider,
        accounts: Accounts,
        sign_in: SignIn,
        cookies: Cookies,
        seal: Seal,
        *,
        base: str,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._accounts = accounts
        self._sign_in = sign_in
        self._cookies = cookies
        self._seal = seal
        self._redirect = base + CALLBACK
        self._used = Remembered[str, bool](clock, seconds=SIGN_IN_SECONDS, most=STATES_MOST)

    def routes(self) -> list[Route]:
        """Give the routes."""
        tag = "session"
        return [
            Route(
                "GET",
                START,
                self._start,
                "Sign in with the provider of identities: leads there.",
                PUBLIC,
                tag,
                answers={303: None},
            ),
            Route(
                "GET",
                CALLBACK,
                self._callback,
                "Where the provider of identities sends people back to.",
                PUBLIC,
                tag,
                query=OidcAnswer,
                answers={303: None},
                deadline=45.0,
                audit="session.begin",
            ),
        ]

    async def _start(self, _call: Call) -> web.Response:
        note = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        address = await self._provider.authorization(**note, redirect_uri=self._redirect)
        response = see_other(address)
        self._cookies.set_sign_in(response, self._seal.seal(note, SIGN_IN_SECONDS))
        return response

    async def _callback(self, call: Call) -> web.Response:
        answer = call.asked(OidcAnswer)
        note = self._note(call, answer)
        if answer.error is not None:
            word = "".join(c for c in answer.error[:_WORD] if c.isalnum() or c in "_-")
            raise refused(f"the identity provider did not sign you in: {word}")
        if not answer.code:
            raise bad_request("the identity provider sent no code")
        if answer.iss is not None and answer.iss != self._provider.issuer:
            # Source: RFC 9207: an answer of another provider, mixed in.
            raise unauthorized("the answer is of another identity provider")
        claims = await self._provider.redeem(
            answer.code,
            nonce=note["nonce"],
            verifier=note["verifier"],
            redirect_uri=self._redirect,
        )
        user = await self._accounts.of(claims)
        response = see_other(HOME)
        await self._sign_in.begin(call.request, response, user, "oidc")
        self._cookies.clear_sign_in(response)
        noted(call, user, "oidc")
        return response

    def _note(self, call: Call, answer: OidcAnswer) -> Mapping[str, str]:
        """Give what this very browser was sent away with; it is good for one answer."""
        sealed = call.request.cookies.get(self._cookies.sign_in, "")
        note = self._seal.unseal(sealed) if sealed else None
        if note is None:
            raise unauthorized("no sign-in is under way in this browser, or it took too long")
        given = (answer.state or "").encode()
        if not hmac.compare_digest(given, note["state"].encode()):
            raise unauthorized("the answer is of another sign-in (state)")
        if self._used.get(note["state"]):
            raise unauthorized("this sign-in was used before; start again")
        self._used.keep(note["state"], value=True)
        return note
