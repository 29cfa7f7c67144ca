"""A whole control plane for the page's tests, and orgs of their own in it."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import redis.asyncio as redis_asyncio
from playwright.async_api import BrowserContext

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.domain.keys import org_events_stream
from citadel_k8s.local.controlplane import ControlPlane
from citadel_k8s.local.simulate import SimulatedNode
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.users import Users

CLOCK = SystemClock()


@dataclass
class Node:
    """A node that speaks when it is told to."""

    org: "Org"
    simulated: SimulatedNode

    @property
    def id(self) -> str:
        return self.simulated.node_id

    async def beat(self, util: float | None = None, **more: Any) -> str:
        """Send a heartbeat with this utilization of all GPUs; ``more`` goes into its status."""
        said = json.loads(self.simulated.payload(CLOCK.now()))
        said["agent"]["transport"] = "redis"
        if util is not None:
            for gpu in said["status"]["gpu"]:
                gpu["utilization_percent"] = util
        said |= more.pop("envelope", {})
        for key, value in more.items():
            kept = said["status"].get(key)
            said["status"][key] = kept | value if isinstance(kept, dict) else value
        return await self.org.send(self.id, json.dumps(said))


@dataclass
class Org:
    """An org with one person of each role."""

    plane: "Plane"
    id: str
    users: dict[Role, str] = field(default_factory=dict)

    def node(self, name: str, number: int = 0, gpus: int = 8) -> Node:
        return Node(self, SimulatedNode(name, number, changing=False, interval=30, gpus=gpus))

    async def nodes(self, count: int, gpus: int = 8) -> list[Node]:
        """Make nodes that have spoken once."""
        made = [self.node(f"gpu-{number:02d}", number, gpus) for number in range(count)]
        for node in made:
            await node.beat(util=50)
        return made

    async def send(self, node_id: str, payload: str) -> str:
        """Say something as this org's node, as the proxy would pass it on."""
        fields = {
            "nodeId": node_id,
            "timestamp": format_timestamp(CLOCK.now()),
            "payload": payload,
            "orgId": self.id,
        }
        return (await self.plane.redis.xadd(STATUS_STREAM, fields)).decode()

    async def told(self) -> list[str]:
        """Give the ids of all that was told this org."""
        rows = await self.plane.redis.xrange(org_events_stream(self.id))
        return [key.decode() for key, _ in rows]

    async def sign_in(self, context: BrowserContext, url: str, role: Role = Role.ADMIN) -> str:
        """Let a browser in at a URL; gives the session's secret."""
        logins = Logins(self.plane.control.database)
        life = timedelta(hours=1)
        raw, _ = await logins.open(self.id, self.users[role], method="link", life=life)
        cookie = {"name": "citadel_session", "value": raw, "url": url, "sameSite": "Strict"}
        await context.add_cookies([cookie])  # type: ignore[list-item]
        return raw

    async def sign_in_path(self, role: Role = Role.ADMIN) -> str:
        """Give the path of a login link."""
        logins = Logins(self.plane.control.database)
        raw, _ = await logins.create_link(self.id, self.users[role])
        return f"/api/session/link?token={raw}"


@dataclass
class Plane:
    """What runs for all tests."""

    control: ControlPlane
    redis: redis_asyncio.Redis

    @property
    def url(self) -> str:
        return f"{self.control.url}/"

    @property
    def port(self) -> int:
        return int(self.control.url.rpartition(":")[2])

    async def org(self, roles: Iterable[Role] = tuple(Role)) -> Org:
        """Make an org."""
        org = Org(self, f"org-{secrets.token_hex(4)}")
        await Orgs(self.control.database).create(org.id, "Acme <b>& Söhne</b>")
        for role in roles:
            user = await Users(self.control.database).create(org.id, role.value, role=role)
            org.users[role] = user.user_id
        return org
