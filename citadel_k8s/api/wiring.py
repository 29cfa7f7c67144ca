"""Builds the API out of its settings: stores, rooms, the frame around them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Self

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.between import (
    Goodbye,
    audit_appender,
    mesh_ids,
    own_quotas,
    ports_behind,
    rows_of,
    schema_check,
)
from citadel_k8s.api.events import routes as events
from citadel_k8s.api.events.channel import snapshot_after
from citadel_k8s.api.events.hub import Hub
from citadel_k8s.api.fabric import routes as fabric
from citadel_k8s.api.fabric.lastword import LastWord
from citadel_k8s.api.fabric.positions import Positions, nowhere
from citadel_k8s.api.fabric.sending import redis_senders
from citadel_k8s.api.fabric.shelf import Shelf
from citadel_k8s.api.frame.auditing import Auditor
from citadel_k8s.api.frame.limiter import Limiter
from citadel_k8s.api.frame.probes import Check, Readiness
from citadel_k8s.api.frame.route import Route
from citadel_k8s.api.frame.service import ApiService, Behind
from citadel_k8s.api.identity.routes import Identity
from citadel_k8s.api.live import routes as live
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.api.page import routes as page
from citadel_k8s.api.page.files import read_built
from citadel_k8s.api.page.settings import settings_route
from citadel_k8s.api.proxy import routes as proxy
from citadel_k8s.api.proxy.room import Room
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.domain.life import Policy
from citadel_k8s.domain.redisurl import several
from citadel_k8s.errors import ConfigError
from citadel_k8s.stores.connection import RedisConnection
from citadel_k8s.stores.laststatus import LastStatuses
from citadel_k8s.stores.orgfeed import OrgFeed, RedisOrgFeed
from citadel_k8s.stores.orgstream import OrgStreams
from citadel_k8s.stores.postgres.audit import Audit
from citadel_k8s.stores.postgres.database import BAD_VALUES, Database
from citadel_k8s.stores.postgres.fleet import Fleet
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.watching import Watching
from citadel_k8s.stores.quotas import SharedCounts

Job = Callable[[], Awaitable[None]]
"""What runs beside the server for as long as it serves."""


class Api:
    """The API: `start`, `run` beside it, `stop`.

    Without Redis it serves what is stored: no proxy, no streams, no change of configurations.

    Attributes
    ----------
    service
        The frame with all routes.
    """

    def __init__(
        self, service: ApiService, jobs: list[Job], stopping: asyncio.Event, held: AsyncExitStack
    ) -> None:
        self.service = service
        self.stopping = stopping
        self._jobs = jobs
        self._held = held

    @classmethod
    async def build(cls, settings: ApiSettings, clock: Clock) -> Self:
        """Build everything; nothing is asked of PostgreSQL or Redis yet.

        Raises
        ------
        ConfigError
            If a setting is missing or cannot be used.
        """
        async with AsyncExitStack() as held:
            builder = _Builder(settings, clock, held)
            service = await builder.service()
            return cls(service, builder.jobs, builder.stopping, held.pop_all())

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        ConfigError
            If a port is taken.
        """
        await self.service.start()

    async def run(self) -> None:
        """Do what is to be done beside the requests, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.service.run(), name="frame")
            for job in self._jobs:
                group.create_task(_forever(job))

    async def stop(self) -> None:
        """Stop serving; to be called while `run` still runs, so that what is open can be ended."""
        self.stopping.set()
        await self.service.stop()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._held.aclose()


async def _forever(job: Job) -> None:
    await job()


class _Builder:
    """Makes the parts in the order in which they need each other; they are closed in reverse."""

    def __init__(self, settings: ApiSettings, clock: Clock, held: AsyncExitStack) -> None:
        place = several(settings.redis_url or "")
        if place is not None and place.kind == "cluster":
            raise ConfigError("redisUrl: the API works on one Redis, or one that sentinels name")
        if settings.database_url is None:
            raise ConfigError("databaseUrl is not set: the API has nothing to tell without")
        self._settings = settings
        self._clock = clock
        self._held = held
        self._metrics = ApiMetrics()
        self._database = Database(
            settings.database_url,
            password=settings.database_secret,
            pool_max=settings.database_pool_max,
            purpose="citadel-k8s api",
        )
        held.push_async_callback(self._database.close)
        self._fleet = Fleet(self._database)
        self._policy = Policy(
            settings.interval_seconds, settings.missed_heartbeats, settings.skew_seconds
        )
        self._audit = Audit(self._database)
        self._auditor = Auditor(audit_appender(self._audit), clock, self._metrics.audit_lost)
        self._quotas = own_quotas(Orgs(self._database))
        self._limiter = Limiter(settings.quota, clock, None, self._quotas)
        self._told: dict[str, Check] = {}
        self.stopping = asyncio.Event()
        self.jobs: list[Job] = []

    async def service(self) -> ApiService:
        identity = await Identity.build(self._settings, self._database, self._clock)
        self._held.push_async_callback(identity.close)
        self.jobs.append(identity.run)
        rooms = [
            *page.routes(await asyncio.to_thread(read_built)),
            settings_route(
                self._policy,
                self._settings.page.grafana_url,
                live_deadline=self._settings.live.deadline_seconds,
            ),
            *identity.routes(),
        ]
        if self._settings.redis_url is None:
            rooms += self._stored(None)
        else:
            rooms += self._with_redis(self._settings.redis_url, identity)
        readiness = Readiness({"database": schema_check(self._database)}, self._told, self._clock)
        return ApiService(
            self._settings,
            rooms,
            identity.authenticator,
            Behind(readiness, self._limiter, self._auditor, BAD_VALUES),
            metrics=self._metrics,
            clock=self._clock,
            stopping=self.stopping,
        )

    def _with_redis(self, url: str, identity: Identity) -> list[Route]:
        login = self._settings.redis_login
        counts = SharedCounts(RedisConnection(url, purpose="quotas", **login))
        self._held.push_async_callback(counts.close)
        self._told["redis"] = counts.check
        self._limiter = Limiter(self._settings.quota, self._clock, counts, self._quotas)
        room = Room(self._settings, self._clock)
        self.jobs.append(room.run)
        feed = RedisOrgFeed(url, **login)
        self._held.push_async_callback(feed.close)
        hub = self._hub(feed)
        self.jobs.append(hub.run)
        enrolment = self._settings.enrolment
        return [
            *self._stored(room, feed),
            *events.routes(hub, public_url=self._settings.public_url),
            *proxy.routes(
                room,
                identity.authenticator,
                self._clock,
                note=self._auditor.note,
                count=self._count_heartbeat,
                mesh_id=mesh_ids(self._fleet),
                authkey_file=enrolment.authkey_file,
                ca_file=enrolment.ca_file,
            ),
        ]

    def _stored(self, room: Room | None, feed: OrgFeed | None = None) -> list[Route]:
        """Give the routes of what is stored, and those that ask nodes."""
        settings, url = self._settings, self._settings.redis_url
        statuses = senders = goodbyes = None
        if url is not None:
            login = self._settings.redis_login
            statuses = LastStatuses(url, **login)
            senders = redis_senders(url, direct_org=self._settings.org_id, **login)
            streams = OrgStreams(url, **login)
            goodbyes = Goodbye(streams, self._clock)
            for part in (statuses, senders, streams):
                self._held.push_async_callback(part.close)
        asker = live.client(settings.live)
        self._held.push_async_callback(asker.close)
        words = LastWord(self._fleet, statuses, self._policy)
        return [
            *fabric.routes(
                self._database,
                statuses=statuses,
                sender=senders,
                audit=self._audit,
                policy=self._policy,
                clock=self._clock,
                goodbyes=goodbyes,
                position=nowhere if feed is None else Positions(feed, self._clock),
            ),
            *live.routes(
                settings.live,
                words,
                self._fleet,
                asker,
                channel=room.live if room else None,
                closed_ports=ports_behind(settings),
            ),
        ]

    def _hub(self, feed: OrgFeed) -> Hub:
        watching = Watching(self._database)
        shelf = Shelf(self._fleet, self._policy, self._clock)
        hub = Hub(
            feed,
            snapshot_after(feed, rows_of(shelf)),
            still=watching.still,
            frontier=watching.frontier,
            clock=self._clock,
        )
        self._metrics.add_streams(hub.figures)
        return hub

    def _count_heartbeat(self, key: str) -> None:
        self._limiter.take(key, 1, paced=False)
