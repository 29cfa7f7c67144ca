"""Whether a stream's reader may stay, and how far ingest is."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from citadel_k8s.models.identity import Principal, Role
from citadel_k8s.stores.postgres import migrate
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.tokens import DeviceTokens
from citadel_k8s.stores.postgres.users import Users
from citadel_k8s.stores.postgres.watching import Watching


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await migrate.upgrade(database_url)
    opened = Database(database_url, pool_max=2)
    await Orgs(opened).create("acme", "Acme")
    await Orgs(opened).create("other", "Other")
    yield opened
    await opened.close()


def device(token_id: UUID, org: str = "acme") -> Principal:
    return Principal("device", org, f"token:{token_id}")


def person(user_id: UUID, role: Role = Role.VIEWER) -> Principal:
    return Principal("user", "acme", f"user:{user_id}", role=role)


async def test_a_device_stays_until_its_token_is_revoked(database: Database):
    tokens, watching = DeviceTokens(database), Watching(database)
    row, _ = await tokens.create("acme", "gpu-1", created_by="test")
    assert await watching.still(device(row.token_id))
    assert not await watching.still(device(row.token_id, "other"))
    assert not await watching.still(device(uuid4()))
    await tokens.revoke("acme", row.token_id)
    assert not await watching.still(device(row.token_id))


async def test_a_person_stays_until_signed_out_everywhere(database: Database):
    user = await Users(database).create("acme", "Ada", role=Role.VIEWER)
    logins, watching = Logins(database), Watching(database)
    assert await watching.still(person(user.user_id))
    await logins.open("acme", user.user_id, method="link", life=timedelta(hours=1))
    assert await watching.still(person(user.user_id))
    assert not await watching.still(person(user.user_id, Role.ADMIN))
    async with database.transaction() as connection:
        await connection.execute("UPDATE sessions SET revoked_at = now()")
    assert not await watching.still(person(user.user_id))


@pytest.mark.parametrize("subject", ["workload:c1/citadel/agent", "workload:odd"])
async def test_a_workload_stays_until_its_org_is_disabled(database: Database, subject: str):
    watching = Watching(database)
    who = Principal("workload", "acme", subject)
    assert await watching.still(who)
    await Orgs(database).disable("acme")
    assert not await watching.still(who)


async def test_ingest_is_as_far_as_its_slowest_part(database: Database):
    watching = Watching(database)
    assert await watching.frontier() is None
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO fabric_ingest (partition, stream_epoch, last_ms, last_seq, frontier_ms,"
            " clear_since_ms, looked_ms) VALUES (0, 1, 5, 0, 5, 1, 5), (1, 1, 3, 0, 3, 1, 3)"
        )
    assert await watching.frontier() == 3
