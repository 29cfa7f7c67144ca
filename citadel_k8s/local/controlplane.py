"""Worker, API and their database beside the other parts, with one org that all nodes belong to."""

import os
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from citadel_k8s.errors import StackError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.ports import LOOPBACK, Port
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.migrate import upgrade
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.tokens import DeviceTokens
from citadel_k8s.stores.postgres.users import Users

ORG: Final = "demo"
"""The org of everything that runs on one machine."""

START_TIMEOUT: Final = 30.0
"""Seconds in which a part must be up; the slowest takes about three."""

POLL: Final = 0.05
"""Seconds between two looks at a part that starts."""

_OK: Final = 200


@dataclass(slots=True)
class ControlPlane:
    """The server half, on a stack that has PostgreSQL.

    Parameters
    ----------
    stack : Stack
        Running, with Valkey and PostgreSQL.
    interval, missed, skew : float, int, float
        How often nodes speak and how long their silence is borne.
    """

    stack: Stack
    interval: float
    missed: int
    skew: float
    worker: Charge | None = None
    api: Charge | None = None
    link: str = ""
    _port: Port = field(default_factory=Port)
    _database: Database | None = None

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://{LOOPBACK}:{self._port.number}"

    @property
    def folder(self) -> Path:
        """Folder of what the parts write: their reapers delete it if this process is killed."""
        return self.stack.folder / "control"

    @property
    def database(self) -> Database:
        """The database, as its owner."""
        if self._database is None:
            raise StackError("the control plane does not run")
        return self._database

    async def start(self) -> None:
        """Make the schema, the org and one user; start worker and API, and wait for both.

        Raises
        ------
        StackError
            One of them did not start; with the end of its log.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        await upgrade(self.stack.database_url)
        self._database = Database(self.stack.database_url, purpose="citadel-k8s demo")
        await Orgs(self.database).create(ORG, "Demo")
        await self.start_worker()
        await self.start_api()
        self.link = await self.sign_in_link()

    async def start_worker(self) -> None:
        """Start the worker."""
        self.worker = await self._spawn("worker", {"orgId": ORG})

    async def start_api(self) -> None:
        """Start the API, on the port that it always has here, and wait until it is ready."""
        settings: dict[str, Any] = {
            "publicUrl": self.url,
            "orgId": ORG,
            "cookieSecure": False,  # no TLS on one's own machine
            "metricsPort": 0,
            # All nodes are on this machine, whose own addresses nobody else may have asked.
            "live": {"allowedCidrs": ["127.0.0.0/8", "100.64.0.0/10"]},
        }
        self.api = await self._spawn("api", settings, port=self._port.number)
        await self.api.ready(self._answers, timeout=START_TIMEOUT, poll=POLL)

    async def sign_in_link(self) -> str:
        """Give a link that signs an administrator in, once."""
        users = Users(self.database)
        found = await users.list(ORG, limit=1)
        user = found[0] if found else await users.create(ORG, "You", role=Role.ADMIN)
        raw, _ = await Logins(self.database).create_link(ORG, user.user_id)
        return f"{self.url}/api/session/link?token={raw}"

    async def session(self) -> str:
        """Sign the administrator in and give the session's cookie, as ``name=value``.

        Raises
        ------
        StackError
            The API did not sign anybody in.
        """
        jar = aiohttp.CookieJar(unsafe=True)  # an address and no name
        async with aiohttp.ClientSession(cookie_jar=jar) as client:
            async with client.get(await self.sign_in_link(), allow_redirects=False) as answer:
                text = await answer.text()
            cookies = [f"{cookie.key}={cookie.value}" for cookie in jar]
        if not cookies:
            raise StackError(f"signing in: {answer.status} {text[:200]}")
        return cookies[0]

    async def token(self, node_id: str) -> str:
        """Make a device token for one node."""
        tokens = DeviceTokens(self.database)
        _, raw = await tokens.create(ORG, node_id, created_by="demo", node_id=node_id)
        return raw

    def charges(self) -> dict[str, Charge | None]:
        """Give the parts by their names."""
        return {"worker": self.worker, "api": self.api}

    async def close(self) -> None:
        """End both, and let go of the database and the port."""
        for charge in self.charges().values():
            if charge is not None and charge.running:
                await charge.stop()
        if self._database is not None:
            await self._database.close()
        self._port.release()

    async def _spawn(self, name: str, settings: dict[str, Any], port: int = 0) -> Charge:
        heartbeat = {
            "intervalSeconds": self.interval,
            "missedHeartbeats": self.missed,
            "skewSeconds": self.skew,
        }
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(heartbeat | settings))
        argv = [sys.executable, "-m", "citadel_k8s", name, "--config", str(file)]
        argv += ["--listen-host", LOOPBACK, "--listen-port", str(port)]
        # The URLs carry passwords: an environment is not shown to other users, a command is.
        env = {**os.environ, "CITADEL__REDIS_URL": self.stack.redis_url}
        env["CITADEL__DATABASE_URL"] = self.stack.database_url
        log = self.folder / f"{name}-{secrets.token_hex(2)}.log"
        return await spawn(argv, log, env=env, remove=self.folder)

    async def _answers(self) -> bool:
        try:
            async with aiohttp.request("GET", f"{self.url}/readyz") as answer:
                return answer.status == _OK
        except (aiohttp.ClientError, OSError):
            return False
