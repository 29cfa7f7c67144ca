"""Fills a database and a Redis with three orgs, each text with its org's mark."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import redis.asyncio
from psycopg.types.json import Jsonb

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.domain.keys import last_status_key, org_events_stream, org_key
from citadel_k8s.models.identity import Role, Scope
from citadel_k8s.stores.postgres.clusters import Clusters
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.deviceauths import DeviceAuths
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.tokens import DeviceTokens
from citadel_k8s.stores.postgres.users import Users
from tests.integration.api.isolation import HOUSE, ORGS, SHARED, Org, Owners
from tests.unit.api.identity.signing import jwks, pod_claims, rsa_jwk, signed

CLOCK = SystemClock()
QUEUES = ("jobs:v1:gpu-general", "jobs:v1:cpu-general", "jobs:v1:config", "jobs:v1:tag:big")
SPARES = 24
"""Tokens, people and enrolments of each org that requests may use up."""

DIALLED = {"gpu-1", "gpu-3"}
"""Nodes that are asked by the address that the mesh knows, and by one that they claim."""

RAIDS = {"gpu-4": (1, 2), "gpu-5": (2, 3), "gpu-6": (3, 1)}
"""Nodes that claim the address of another org's node of the same id: whose it is, whose it was."""

BOOT_RAIDS = {"gpu-7": (1, 2), "gpu-8": (2, 3), "gpu-9": (3, 1)}
"""The same where no mesh knows the address: what answers there has a process of its own."""

BARE_RAIDS = {"gpu-10": (1, 2), "gpu-11": (2, 3), "gpu-12": (3, 1)}
"""The same where no mesh knows the address, and what answers there has no boot id either."""

ALL_RAIDS = RAIDS | BOOT_RAIDS | BARE_RAIDS
BOOTLESS = RAIDS.keys() | BARE_RAIDS.keys()


class World:
    """Fills both stores; ``claims`` are addresses of others that an org's own nodes claim."""

    def __init__(self, owners: Owners, database: Database, redis_url: str) -> None:
        self.owners, self.database = owners, database
        self.redis = redis.asyncio.Redis.from_url(redis_url)
        self.now_ms = round(CLOCK.now() * 1000)
        self.ports: dict[str, int] = {}
        self.claims: dict[str, set[str]] = {name: set() for name in ORGS}

    async def fill(self, ports: dict[str, int]) -> None:
        """Fill them; ``ports`` are where each org's machines answer."""
        self.ports = ports
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO fabric_ingest (partition, stream_epoch, last_ms, last_seq,"
                " frontier_ms, clear_since_ms, looked_ms) VALUES (0, 0, %s, 0, %s, 0, %s)",
                (self.now_ms,) * 3,
            )
        for name in ORGS:
            org = self.owners.orgs[name]
            await Orgs(self.database).create(name, org.mark())
            org.keep("org", name)
            await self._people(org)
            await self._devices(org)
            await self._cluster(org)
            await self._nodes(org)
            await self._past(org)
            await self._keys(org)
        await self._house()

    async def _people(self, org: Org) -> None:
        users, logins = Users(self.database), Logins(self.database)
        for role in [*Role, *[Role.VIEWER] * SPARES]:
            mark = org.mark()
            user = await users.create(
                org.name, mark, role=role, email=f"{mark}@x.test", subject=f"idp#{mark}"
            )
            spare = str(role) in org.credentials
            keep = org.keep_spare if spare else org.keep
            keep("user", str(user.user_id))
            org.keep("email", f"{mark}@x.test")
            if spare and len(org.spare["user"]) > 3:
                continue
            raw, _ = await logins.open(
                org.name, user.user_id, method="link", life=timedelta(hours=1)
            )
            await logins.create_link(org.name, user.user_id)
            who = f"leaving-{len(org.spare['user'])}" if spare else str(role)
            org.credentials[who] = {"Cookie": f"citadel_session={raw}", "X-Citadel-CSRF": "1"}

    async def _devices(self, org: Org) -> None:
        tokens, auths = DeviceTokens(self.database), DeviceAuths(self.database)
        own = {"bound": "gpu-1", "unbound": None, "talker": "gpu-2"}
        for who in (*own, *["spare"] * SPARES):
            row, raw = await tokens.create(
                org.name, org.mark(), created_by=org.mark(), scopes=list(Scope),
                node_id=own.get(who, "gpu-1"),
            )  # fmt: skip
            keep = org.keep if who in own else org.keep_spare
            keep("token", str(row.token_id))
            if who in own or len(org.spare["token"]) < 4:
                name = who if who in own else f"leaving-device-{len(org.spare['token'])}"
                org.credentials[name] = {"Authorization": f"Bearer {raw}"}
        for number in range(SPARES):
            begun = await auths.start(
                client_id="c", hostname=f"h-{number}", address=f"10.{org.number}.0.{number}"
            )
            if number >= 8:
                org.spare.setdefault("code", []).append(begun.user_code)
                continue
            org.keep("code", begun.user_code)
            decide = {"org_id": org.name, "decided_by": f"user:{org.has['user'][0]}"}
            if number % 2:
                await auths.approve(begun.user_code, node_id=f"gpu-{number}", **decide)
            else:
                await auths.deny(begun.user_code, **decide)
            await self._run(
                "UPDATE device_auths SET hostname = %s, client_id = %s, machine_id = %s"
                " WHERE org_id = %s AND node_id IS NOT DISTINCT FROM %s AND hostname = %s",
                org.mark(), org.mark(), org.mark(), org.name,
                f"gpu-{number}" if number % 2 else None, f"h-{number}",
            )  # fmt: skip

    async def _cluster(self, org: Org) -> None:
        issuer, now = f"https://{org.mark()}.test", CLOCK.now()
        for number in range(6):
            cluster = await Clusters(self.database).add(
                org.name, org.mark(), issuer=issuer, audience="citadel" if not number
                else org.mark(), jwks=jwks(rsa_jwk(org.name)),
                service_accounts=["citadel/agent", f"{org.mark()}/x"],
            )  # fmt: skip
            (org.keep_spare if number else org.keep)("cluster", cluster.cluster_id)
        org.keep("issuer", issuer)
        claims = pod_claims(iss=issuer, nbf=now - 60, iat=now - 60, exp=now + 3600)
        org.credentials["workload"] = {"Authorization": f"Bearer {signed(claims, key=org.name)}"}
        # Signed by a key that is another org's: the name of an issuer alone opens nothing.
        thief = ORGS[org.number % 3]
        org.credentials["forged"] = {
            "Authorization": f"Bearer {signed(claims, key=thief, kid=org.name)}"
        }

    async def _nodes(self, org: Org) -> None:
        own = [org.mark() for _ in range(3)]
        for node_id in (*SHARED, *own, *(org.mark() for _ in range(6))):
            mesh_id = "7" + "".join(self.owners.rng.choices("0123456789", k=11))
            org.keep("node", node_id)
            org.keep("mesh", mesh_id)
            if node_id not in SHARED and node_id not in own:
                org.keep_spare("node", node_id)
            self.owners.claim(org.name, [mesh_id])
            await self._node(org, node_id, mesh_id)

    def _addresses(self, org: Org, node_id: str) -> tuple[list[str], str | None, int | None]:
        """Give what the mesh knows of a node, what it claims, and at which port it answers."""
        orgs = {one.number: one for one in self.owners.orgs.values()}
        last = int(node_id.removeprefix("gpu-")) if node_id in SHARED else 99
        if node_id in ALL_RAIDS:
            raider, victim = ALL_RAIDS[node_id]
            if org.number == raider:
                aim = orgs[victim]
                self.claims[org.name].add(aim.address(last))
                return [], aim.address(last), self.ports[aim.name]
            if org.number == victim:
                known = [org.address(last)] if node_id in RAIDS else []
                return known, org.address(last), self.ports[org.name]
        if node_id == "gpu-1":
            return [org.address(last)], None, self.ports[org.name]
        if node_id == "gpu-3":
            return [], org.address(last), self.ports[org.name]
        return [], None, None

    async def _node(self, org: Org, node_id: str, mesh_id: str) -> None:
        known, claimed, port = self._addresses(org, node_id)
        boot = None if node_id in BOOTLESS else f"boot-{org.name}-{node_id}"
        raider, _ = BOOT_RAIDS.get(node_id, (0, 0))
        if raider == org.number:
            boot = None
        said = status_of(org, node_id, claimed, port, boot)
        profile = {
            "name": org.mark(), "address": claimed or f"127.1{org.number}.9.9",
            "agent": org.mark(), "gpus": [{"model": org.mark(), "count": 1}],
            "models": [org.mark()], "services": 1, "driver": org.mark(),
        }  # fmt: skip
        key = (org.name, node_id)
        await self._run(
            "INSERT INTO nodes (org_id, node_id, name, source, addresses, labels, headscale_id,"
            " owner) VALUES (%s, %s, %s, 'report', %s, %s, %s, %s)",
            *key, org.mark(), known, Jsonb({org.mark(): org.mark()}), mesh_id, org.mark(),
        )  # fmt: skip
        await self._run(
            "INSERT INTO fabric_node_status (org_id, node_id, boot_id, former_boots, seq,"
            " stream_epoch, stream_ms, stream_seq, interval_seconds, verdict, reason, message,"
            " suspect, state, state_reason, state_since, pulse) VALUES (%s, %s, %s, %s, 1, 0, %s,"
            " 0, 30, 'Degraded', %s, %s, %s, 'Degraded', %s, %s, %s)",
            *key, boot, [org.mark()], self.now_ms, org.mark(), org.mark(), org.mark(),
            org.mark(), datetime(2026, 11, 23, tzinfo=UTC),
            Jsonb({"cpu": 0.1, "power": org.figure()}),
        )  # fmt: skip
        await self._run(
            "INSERT INTO fabric_node_detail (org_id, node_id, digest, profile, status)"
            " VALUES (%s, %s, '', %s, %s)", *key, Jsonb(profile), Jsonb(said),
        )  # fmt: skip
        await self._run(
            "INSERT INTO node_configs (org_id, node_id, revision, config, changed_by)"
            " VALUES (%s, %s, %s, %s, %s)",
            *key, org.mark(), Jsonb({"deviceName": org.mark()}), org.mark(),
        )  # fmt: skip
        await self.redis.set(last_status_key(*key), json.dumps(said))

    async def _past(self, org: Org) -> None:
        at = datetime.fromtimestamp(self.now_ms // 300_000 * 300, tz=UTC)
        for number, node_id in enumerate(org.has["node"] * 3):
            when = at - timedelta(minutes=5 * (number + 1))
            await self._run(
                "INSERT INTO fabric_node_history (org_id, node_id, bucket, beats)"
                " VALUES (%s, %s, %s, %s)", org.name, node_id, when, org.figure(),
            )  # fmt: skip
            await self._run(
                "INSERT INTO fabric_events (org_id, node_id, happened_at, kind, state, reason,"
                " message, dedup) VALUES (%s, %s, %s, 'fault', 'Degraded', %s, %s, %s)",
                org.name, node_id, when, org.mark(), org.mark(), org.mark(),
            )  # fmt: skip
            await self._run(
                "INSERT INTO audit_log (org_id, happened_at, subject, action, target, outcome,"
                " detail, address, request_id) VALUES (%s, %s, %s, %s, %s, 'done', %s, %s, %s)",
                org.name, when, org.mark(), org.mark(), org.mark(),
                Jsonb({"why": org.mark()}), org.address(7), org.mark(),
            )  # fmt: skip

    async def _keys(self, org: Org) -> None:
        house = org.name == HOUSE

        def mapped(name: str) -> str:
            return name if house else org_key(org.name, name)

        shell = () if house else (f"jobs:v1:shell:org_{org.name}",)
        for queue in (*QUEUES, *shell, *(f"dlq:v1:{q.removeprefix('jobs:v1:')}" for q in QUEUES)):
            for _ in range(30):
                entry = await self.redis.xadd(mapped(queue), job(org))
                org.keep("entry", entry.decode())
        for stream in ("node:usage:stream", "node:activity:stream"):
            await self.redis.xadd(mapped(stream), {"data": org.mark()})
        for name in ("shared", *(org.keep("job", org.mark()) for _ in range(12))):
            await self.redis.set(mapped(f"job:{name}:status"), org.mark())
            await self.redis.set(mapped(f"job:cancelled:{name}"), org.mark())
        await self.redis.hset(mapped("citadel:configs"), "gpu-1", org.mark())
        if house:
            return
        said = {"nodeId": "gpu-1", "payload": org.mark(), "orgId": org.name, "principal": "t"}
        org.keep("entry", (await self.redis.xadd(STATUS_STREAM, said)).decode())
        for _ in range(8):
            told = await self.redis.xadd(org_events_stream(org.name), {"d": delta(org)})
            org.keep("place", told.decode())

    async def _house(self) -> None:
        house = self.owners.orgs[HOUSE]
        await self._keys(house)
        await self.redis.set("node:gpu-1:status", house.mark())

    async def _run(self, statement: Any, *values: Any) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(statement, values)


def job(org: Org) -> dict[str, Any]:
    """Give the fields of a job."""
    payload = json.dumps({"what": org.mark(), "target_node": "gpu-1", "nodeId": "gpu-1"})
    return {"jobId": org.mark(), "type": org.mark(), "payload": payload, "rayId": org.mark()}


def delta(org: Org) -> str:
    """Give a change as the worker tells it."""
    told = {"type": "node", "id": "gpu-1", "reason": org.mark(), "profile": {"name": org.mark()}}
    return json.dumps(told)


def status_of(
    org: Org, node_id: str, claimed: str | None, port: int | None, boot: str | None
) -> dict[str, Any]:
    """Give a status as a node sends it."""
    service = {"name": org.mark(), "type": "llm", "status": "running", "health": "ok",
               "models": [org.mark()]}  # fmt: skip
    status = {"version": "1.0", "node": {"name": org.mark(), "network_ip": claimed},
              "system": {"cpu_percent": 1.0}, "services": [service],
              "capabilities": {"tags": [org.mark()]},
              "config": {"revision": org.mark(), "error": org.mark()}}  # fmt: skip
    said = {"version": "1.0", "nodeId": node_id, "status": status, "statusPort": port,
            "bootId": boot, "addresses": [claimed] if claimed else []}  # fmt: skip
    return {key: value for key, value in said.items() if value is not None}
