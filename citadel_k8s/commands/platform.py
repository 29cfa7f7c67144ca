"""What the commands work on: the database, and a word to the replicas of the API."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import typer

from citadel_k8s.api.identity.revocations import CHANNEL
from citadel_k8s.config.base import load
from citadel_k8s.config.server import SchemaSettings
from citadel_k8s.errors import CitadelError, ConfigError, StreamError
from citadel_k8s.stores.channels import RedisChannel
from citadel_k8s.stores.postgres.audit import Audit, AuditEntry
from citadel_k8s.stores.postgres.clusters import Clusters
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.tokens import DeviceTokens
from citadel_k8s.stores.postgres.users import User, Users

T = TypeVar("T")

SUBJECT = "command-line"
"""Who the audit log says it was."""


class NotFoundError(CitadelError):
    """What a command names is not there."""


class PlatformSettings(SchemaSettings):
    """The settings that these commands read; all others of the file are left alone."""

    public_url: str | None = None
    audience: str = "citadel"


@dataclass(frozen=True, slots=True)
class Platform:
    """The stores, and the settings."""

    settings: PlatformSettings
    database: Database

    @property
    def orgs(self) -> Orgs:
        """The orgs."""
        return Orgs(self.database)

    @property
    def users(self) -> Users:
        """The people."""
        return Users(self.database)

    @property
    def logins(self) -> Logins:
        """Their links and sessions."""
        return Logins(self.database)

    @property
    def tokens(self) -> DeviceTokens:
        """The device tokens."""
        return DeviceTokens(self.database)

    @property
    def clusters(self) -> Clusters:
        """The clusters."""
        return Clusters(self.database)

    async def user(self, org_id: str, name: str) -> User:
        """Give a person of an org by id or e-mail address, disabled ones too.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        try:
            found = await self.users.get(org_id, UUID(name))
        except ValueError:
            found = await self.users.named(org_id, name)
        if found is None:
            raise NotFoundError(f"org {org_id} has nobody who is {name!r}; see `user list`")
        return found

    async def noted(self, org_id: str, action: str, target: str, **detail: Any) -> None:
        """Tell the audit log."""
        entry = AuditEntry(org_id, SUBJECT, action, target, detail=detail)
        await Audit(self.database).append([entry])

    async def told(self, what: str) -> None:
        """Tell the replicas of the API that something is revoked; they look within 30 s anyway."""
        settings = self.settings
        if settings.redis_url is None:
            typer.echo("Replicas of the API see this within 30 s (redisUrl is not set).", err=True)
            return
        channel = RedisChannel(settings.redis_url, CHANNEL, **settings.redis_login)
        try:
            await channel.say(json.dumps({"revoked": what}).encode())
            await channel.close()
        except StreamError as error:
            typer.echo(f"Replicas of the API see this within 30 s: {error}", err=True)


@asynccontextmanager
async def opened(config: Path | None, database_url: str | None) -> AsyncGenerator[Platform]:
    """Open the platform's stores.

    Raises
    ------
    ConfigError
        If nobody said where the database is.
    """
    settings = load(PlatformSettings, file=config, database_url=database_url)
    if settings.database_url is None:
        raise ConfigError(
            "databaseUrl is not set: give --config FILE, --database-url or CITADEL__DATABASE_URL"
        )
    database = Database(
        settings.database_url,
        password=settings.database_secret,
        pool_max=2,
        purpose="citadel-k8s command",
    )
    try:
        yield Platform(settings, database)
    finally:
        await database.close()


def done(
    config: Path | None, database_url: str | None, deed: Callable[[Platform], Awaitable[T]]
) -> T:
    """Do something to the platform, and give what came of it."""

    async def whole() -> T:
        async with opened(config, database_url) as platform:
            return await deed(platform)

    return asyncio.run(whole())


def identifier(text: str, what: str) -> UUID:
    """Give an id that was typed.

    Raises
    ------
    ConfigError
        If it is none.
    """
    try:
        return UUID(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no id of a {what}; see `{what} list`") from None
