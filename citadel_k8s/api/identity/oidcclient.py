"""A provider of identities (OpenID Connect): where people sign in, and what it says of them."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
import yarl

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.refusal import unauthorized, unavailable
from citadel_k8s.api.identity.jwks import JwtError, Keys, UnknownKeyError, keys_of, verified
from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.config.server import Oidc
from citadel_k8s.config.wayout import way_out
from citadel_k8s.domain.proxy import is_loopback, json_object
from citadel_k8s.errors import ConfigError
from citadel_k8s.telemetry.log import get_logger

ANSWER_TIMEOUT: Final = 10.0
"""Seconds for one answer of the provider: somebody looks at an empty page meanwhile."""

ANSWER_MAX: Final = 256 * 1024
"""Largest answer, in bytes: the discovery documents of large providers have 5 kB."""

DISCOVERY_SECONDS: Final = 3600.0
"""How long what the provider says of itself is believed, in seconds."""

REFETCH_SECONDS: Final = 60.0
"""Seconds between two looks at its keys, however many unknown ones are shown."""

_OK: Final = 200
_SERVER_ERRORS: Final = 500
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")

log = get_logger("api")


class Provider:
    """One provider.

    Parameters
    ----------
    settings : Oidc
        With an issuer and a client id.
    clock : Clock
        Ages of what is cached, moments in tokens.

    Raises
    ------
    ConfigError
        If the issuer is no https address (http on this machine).
    """

    def __init__(self, settings: Oidc, clock: Clock) -> None:
        if not settings.issuer or not settings.client_id:
            raise ConfigError("oidc needs issuer and clientId")
        _check_address(settings.issuer, "oidc.issuer")
        self.issuer = settings.issuer
        self._client_id = settings.client_id
        self._scopes = " ".join(dict.fromkeys(("openid", *settings.scopes)))
        file = settings.client_secret_file
        self._secret = SecretFile(file) if file is not None else None
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._document: Mapping[str, Any] = {}
        self._documented: float | None = None
        self._keys: Keys = {}
        self._keyed: float | None = None
        self._looking = asyncio.Lock()

    async def authorization(
        self, *, state: str, nonce: str, verifier: str, redirect_uri: str
    ) -> str:
        """Give the address at the provider that a browser is sent to."""
        document = await self._discover()
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        address = str(document["authorization_endpoint"])
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def redeem(
        self, code: str, *, nonce: str, verifier: str, redirect_uri: str
    ) -> Mapping[str, Any]:
        """Exchange a code, and give the checked claims of who signed in.

        Raises
        ------
        RefusalError
            401, if the provider does not take the code or its token does not hold; 503, if it
            does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self._client_id,
        }
        document = await self._discover()
        answer = await self._exchange(document, form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise unauthorized("the identity provider gave no id_token; ask for the scope openid")
        try:
            claims = await self._verified(token)
        except JwtError as error:
            raise unauthorized(f"the identity provider's token is refused: {error}") from error
        self._check(claims, nonce)
        return claims

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise unauthorized("the identity provider's token is of another sign-in (nonce)")
        party = claims.get("azp")
        several = isinstance(claims.get("aud"), list) and len(claims["aud"]) > 1
        if party != self._client_id and (several or party is not None):
            raise unauthorized("the identity provider's token is for another client (azp)")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:  # noqa: PLR2004 - OIDC core
            raise unauthorized("the identity provider's token names nobody (sub)")

    async def _verified(self, token: str) -> Mapping[str, Any]:
        now = self._clock.now()
        keys = await self._jwks(unknown=False)
        try:
            return verified(token, keys, issuer=self.issuer, audience=self._client_id, now=now)
        except UnknownKeyError:
            keys = await self._jwks(unknown=True)
            return verified(token, keys, issuer=self.issuer, audience=self._client_id, now=now)

    async def _discover(self) -> Mapping[str, Any]:
        async with self._looking:
            if self._fresh(self._documented, DISCOVERY_SECONDS):
                return self._document
            address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            _, document = await self._ask("GET", address)
            if document.get("issuer") != self.issuer:
                log.error("oidc_issuer_differs", expected=self.issuer)
                raise unavailable("the identity provider calls itself something else; see the log")
            for name in _ENDPOINTS:
                try:
                    _check_address(document.get(name), name)
                except ConfigError as error:
                    raise unavailable(f"the identity provider's discovery: {error}") from error
            self._document = document
            self._documented = self._clock.monotonic()
            return document

    async def _jwks(self, *, unknown: bool) -> Keys:
        document = await self._discover()
        async with self._looking:
            limit = REFETCH_SECONDS if unknown else DISCOVERY_SECONDS
            if not self._fresh(self._keyed, limit):
                _, answer = await self._ask("GET", str(document["jwks_uri"]))
                self._keys = keys_of(answer)
                self._keyed = self._clock.monotonic()
            return self._keys

    def _fresh(self, since: float | None, seconds: float) -> bool:
        return since is not None and self._clock.monotonic() - since < seconds

    async def _exchange(
        self, document: Mapping[str, Any], form: dict[str, str]
    ) -> Mapping[str, Any]:
        headers: dict[str, str] = {}
        if self._secret is not None:
            try:
                secret = await self._secret.read()
            except DeliveryError as error:
                raise unavailable(f"oidc.clientSecretFile: {error}") from error
            methods = document.get("token_endpoint_auth_methods_supported")
            if isinstance(methods, list) and "client_secret_basic" not in methods:
                form = {**form, "client_secret": secret}
            else:
                headers["Authorization"] = _basic(self._client_id, secret)
        status, answer = await self._ask(
            "POST", str(document["token_endpoint"]), form=form, headers=headers
        )
        if status != _OK:
            # Not quoted beyond its word: the rest is the provider's, and may hold the code.
            log.warning("oidc_code_refused", status=status, error=str(answer.get("error"))[:64])
            raise unauthorized("the identity provider did not take the code; sign in again")
        return answer

    async def _ask(
        self,
        method: str,
        address: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        where = urlsplit(address).netloc
        try:
            async with (
                asyncio.timeout(ANSWER_TIMEOUT),
                self._session.request(
                    method,
                    yarl.URL(address, encoded=True),
                    data=form,
                    headers={"Accept": "application/json", **(headers or {})},
                    allow_redirects=False,
                    proxy=way_out(address),
                ) as response,
            ):
                content = await response.content.read(ANSWER_MAX + 1)
                while len(content) <= ANSWER_MAX and not response.content.at_eof():
                    content += await response.content.read(ANSWER_MAX + 1 - len(content))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("oidc_unreachable", host=where, error=type(error).__name__)
            raise unavailable("the identity provider does not answer; try again") from error
        document = json_object(content) if len(content) <= ANSWER_MAX else None
        wrong = response.status != _OK and (form is None or response.status >= _SERVER_ERRORS)
        if document is None or wrong:
            log.warning("oidc_bad_answer", host=where, status=response.status)
            raise unavailable("the identity provider's answer cannot be used; try again")
        return response.status, document


def _check_address(value: Any, name: str) -> None:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host = parts.hostname or ""
    except ValueError:
        raise ConfigError(f"{name} is no address") from None
    if parts.scheme == "https" and host:
        return
    if parts.scheme != "http" or not is_loopback(host):
        raise ConfigError(f"{name} must be https://host")


def _basic(client_id: str, secret: str) -> str:
    # Source: RFC 6749, section 2.3.1: both are form-encoded first.
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
