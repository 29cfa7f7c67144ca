"""A provider of identities on a real socket, with its own keys, that can be told to misbehave."""

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiohttp import web

from citadel_k8s.aio.clock import SystemClock
from tests.unit.api.identity.signing import jwks, rsa_jwk, signed

CLIENT = "fabric"
SECRET = "s3cret:with/odd&signs"


@dataclass
class FakeProvider:
    """By the book, until a test changes it."""

    issuer: str = ""
    key: str = "one"
    keys: dict[str, Any] = field(default_factory=lambda: jwks(rsa_jwk()))
    claims: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    token: str | None = None
    status: int = 200
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def sign_in(self, location: str) -> tuple[str, str]:
        """Be the person's browser at the provider; give code and state."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return code, query["state"]

    async def discovery(self, _request: web.Request) -> web.Response:
        self.asked.append("discovery")
        if self.status >= 500:
            return web.Response(status=self.status)
        plain = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return web.json_response(plain | self.document)

    async def listed(self, _request: web.Request) -> web.Response:
        self.asked.append("keys")
        return web.json_response(self.keys)

    async def exchange(self, request: web.Request) -> web.Response:
        self.asked.append("token")
        form = await request.post()
        pair = aiohttp.BasicAuth.decode(request.headers["Authorization"])
        assert (pair.login, pair.password) == (CLIENT, "s3cret%3Awith%2Fodd%26signs")
        query = self.codes.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            query is None
            or query["code_challenge"] != challenge
            or query["redirect_uri"] != form["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = SystemClock().now()
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "u-1",
            "exp": now + 300,
            "iat": now,
            "nonce": query["nonce"],
            "email": "ann@acme.example",
            "email_verified": True,
            "name": "Ann",
        } | self.claims
        kept = {name: value for name, value in claims.items() if value is not None}
        token = self.token or signed(kept, key=self.key)
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": token})


@asynccontextmanager
async def providing() -> AsyncIterator[FakeProvider]:
    """Run a provider until left."""
    fake = FakeProvider()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", fake.discovery)
    app.router.add_get("/keys", fake.listed)
    app.router.add_post("/token", fake.exchange)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
