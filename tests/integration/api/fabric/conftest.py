"""A database with the schema and two orgs, and a Valkey, for each test."""

import secrets
from collections.abc import AsyncIterator

import psycopg
import pytest_asyncio
import redis.asyncio
from psycopg import sql

from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.migrate import upgrade
from citadel_k8s.stores.postgres.orgs import Orgs
from tests.integration.api.fabric.world import CLOCK, World, serving
from tests.unit.api.frame.serving import Running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(postgres_server: Postgres) -> AsyncIterator[str]:
    """Name of a database with the newest schema, of which each test gets a copy."""
    name = f"template_{secrets.token_hex(4)}"
    await upgrade(await postgres_server.create_database(name))
    yield name
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture
async def database(postgres_server: Postgres, template: str) -> AsyncIterator[Database]:
    """A database of its own."""
    name = f"test_{secrets.token_hex(4)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template)
    )
    async with await psycopg.AsyncConnection.connect(
        postgres_server.url, autocommit=True
    ) as connection:
        await connection.execute(create)
    opened = Database(postgres_server.url_for(name))
    for org_id in ("acme", "other"):
        await Orgs(opened).create(org_id, org_id.title())
    yield opened
    await opened.close()
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture
async def world(database: Database, own_valkey: Valkey) -> AsyncIterator[World]:
    """Two empty orgs, everything ingested up to now."""
    client = redis.asyncio.Redis.from_url(own_valkey.url)
    made = World(database, client, own_valkey.url)
    await made.ingest(round(CLOCK.now() * 1000))
    yield made
    await client.aclose()


@pytest_asyncio.fixture
async def api(world: World) -> AsyncIterator[Running]:
    """The API in front of them."""
    async with serving(world) as running:
        yield running
