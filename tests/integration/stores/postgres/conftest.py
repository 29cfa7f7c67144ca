"""A database with the schema, and two orgs that must never see each other."""

from collections.abc import AsyncIterator

import pytest_asyncio

from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.migrate import upgrade
from citadel_k8s.stores.postgres.orgs import Orgs


@pytest_asyncio.fixture
async def schema_url(database_url: str) -> str:
    """URL of a database with the newest schema."""
    await upgrade(database_url)
    return database_url


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
