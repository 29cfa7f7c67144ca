"""The worker's connections to Redis and PostgreSQL."""

import os
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

from citadel_k8s.config.server import WorkerSettings
from citadel_k8s.errors import CitadelError, ConfigError
from citadel_k8s.stores.orgstream import OrgStreams
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.statusgroup import StatusGroup
from citadel_k8s.stores.statusletters import StatusLetters
from citadel_k8s.telemetry.log import get_logger

_log = get_logger("worker")

NAME_MAX: Final = 120
"""Longest name of a consumer, in characters, as in the settings."""


@dataclass(frozen=True, slots=True)
class Connections:
    """What the worker talks to; nothing connects before it is used."""

    database: Database
    group: StatusGroup
    streams: OrgStreams
    letters: StatusLetters

    @classmethod
    def open(cls, settings: WorkerSettings) -> Self:
        """Make them.

        Raises
        ------
        ConfigError
            If Redis or PostgreSQL is not configured, or a URL is none.
        """
        if settings.redis_url is None:
            raise ConfigError("the worker needs Redis: set redisUrl")
        if settings.database_url is None:
            raise ConfigError("the worker needs PostgreSQL: set databaseUrl")
        database = Database(
            settings.database_url,
            password=settings.database_secret,
            pool_max=settings.database_pool_max,
            purpose="citadel-k8s worker",
        )
        url, login = settings.redis_url, settings.redis_login
        return cls(
            database=database,
            group=StatusGroup(url, consumer=settings.consumer or consumer_name(), **login),
            streams=OrgStreams(url, **login),
            letters=StatusLetters(url, **login),
        )

    async def close(self) -> None:
        """Let go of all of them."""
        for part in (self.group, self.streams, self.letters, self.database):
            try:
                await part.close()
            except CitadelError as error:
                _log.info("not_closed", error=str(error))


@dataclass(frozen=True, slots=True)
class OrgBook:
    """Looks orgs up for the worker; there are few, and each is asked for once a minute."""

    orgs: Orgs

    async def enabled(self, org_ids: Collection[str]) -> set[str]:
        """Give those orgs that exist and are not disabled."""
        found = [await self.orgs.get(org_id) for org_id in org_ids]
        return {org.org_id for org in found if org is not None and org.disabled_at is None}

    async def org_of_node(self, node_ids: Collection[str]) -> dict[str, list[str]]:
        """Give the orgs that have a node of such an id."""
        return await self.orgs.org_of_node(node_ids)

    async def org_of_headscale(self, headscale_ids: Collection[str]) -> dict[str, list[str]]:
        """Give the orgs that have a node with such an id in the mesh."""
        return await self.orgs.org_of_headscale(headscale_ids)


def consumer_name() -> str:
    """Give a name that no other consumer has: a process that comes after this is another one."""
    return f"{socket.gethostname()[: NAME_MAX - 20]}-{os.getpid()}-{secrets.token_hex(3)}"
