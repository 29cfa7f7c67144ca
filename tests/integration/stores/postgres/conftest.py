"""A database with the schema, and two orgs that must never see each other."""

import secrets
from collections.abc import AsyncIterator

import psycopg
import pytest_asyncio
from psycopg import sql

from citadel_k8s.local.postgres import Postgres
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.migrate import upgrade
from citadel_k8s.stores.postgres.orgs import Orgs


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(postgres_server: Postgres) -> AsyncIterator[str]:
    """Name of a database with the newest schema, of which each test gets a copy."""
    name = f"template_{secrets.token_hex(4)}"
    await upgrade(await postgres_server.create_database(name))
    yield name
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture
async def schema_url(postgres_server: Postgres, template: str) -> AsyncIterator[str]:
    """URL of a database with the newest schema."""
    name = f"test_{secrets.token_hex(4)}"
    async with await psycopg.AsyncConnection.connect(
        postgres_server.url, autocommit=True
    ) as connection:
        await connection.execute(
            sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(
                name=sql.Identifier(name), template=sql.Identifier(template)
            )
        )
    yield postgres_server.url_for(name)
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture
async def database(schema_url: str) -> AsyncIterator[Database]:
    """A database with the newest schema and the orgs ``acme`` and ``other``."""
    opened = Database(schema_url)
    orgs = Orgs(opened)
    for org_id in ("acme", "other"):
        await orgs.create(org_id, org_id.title())
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def raw(schema_url: str, database: Database) -> AsyncIterator[Database]:
    """A second pool on the same database, for what a test does behind the back of the first."""
    opened = Database(schema_url)
    yield opened
    await opened.close()
