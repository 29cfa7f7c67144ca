"""A database with the schema and two orgs that must never see each other."""

from collections.abc import AsyncIterator

import pytest_asyncio

from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.migrate import upgrade
from citadel_k8s.stores.postgres.orgs import Orgs


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with the newest schema and the orgs ``acme`` and ``other``."""
    await upgrade(database_url)
    opened = Database(database_url)
    for org_id in ("acme", "other"):
        await Orgs(opened).create(org_id, org_id.title())
    yield opened
    await opened.close()
