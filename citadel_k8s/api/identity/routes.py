"""The room as a whole: what it is made of, its routes, and what runs beside them."""

import asyncio
import os
import secrets
from dataclasses import dataclass, field
from typing import Self

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.route import Route
from citadel_k8s.api.identity.accounts import Accounts
from citadel_k8s.api.identity.authenticator import Authenticator
from citadel_k8s.api.identity.clusterroutes import ClusterRoutes
from citadel_k8s.api.identity.cookies import Cookies, Seal
from citadel_k8s.api.identity.deviceauth import DeviceAuthRoutes
from citadel_k8s.api.identity.devices import Devices
from citadel_k8s.api.identity.leaving import LeavingRoutes
from citadel_k8s.api.identity.oidcclient import Provider
from citadel_k8s.api.identity.oidcroutes import OidcRoutes
from citadel_k8s.api.identity.origin import SameSite
from citadel_k8s.api.identity.people import SignedIn, TrustedProxy
from citadel_k8s.api.identity.review import Reviewer
from citadel_k8s.api.identity.revocations import CHANNEL, Channel, Revocations
from citadel_k8s.api.identity.sessionroutes import SessionRoutes, SignIn
from citadel_k8s.api.identity.tokenroutes import TokenRoutes
from citadel_k8s.api.identity.userroutes import UserRoutes
from citadel_k8s.api.identity.workloads import Workloads
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.errors import ConfigError
from citadel_k8s.stores.channels import RedisChannel
from citadel_k8s.stores.postgres.clusters import Clusters
from citadel_k8s.stores.postgres.database import Database, password_of
from citadel_k8s.stores.postgres.deviceauths import DeviceAuths
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.tokens import DeviceTokens
from citadel_k8s.stores.postgres.users import Users
from citadel_k8s.telemetry.log import get_logger

log = get_logger("api")


@dataclass(slots=True)
class Stores:
    """Where everything is kept that says who is who."""

    database: Database
    orgs: Orgs = field(init=False)
    users: Users = field(init=False)
    logins: Logins = field(init=False)
    tokens: DeviceTokens = field(init=False)
    clusters: Clusters = field(init=False)
    auths: DeviceAuths = field(init=False)

    def __post_init__(self) -> None:
        self.orgs = Orgs(self.database)
        self.users = Users(self.database)
        self.logins = Logins(self.database)
        self.tokens = DeviceTokens(self.database)
        self.clusters = Clusters(self.database)
        self.auths = DeviceAuths(self.database)


class Identity:
    """Who is who: `authenticator` for the frame, `routes`, and `run` beside them.

    Parameters
    ----------
    settings : ApiSettings
        Of the API.
    database : Database
        Its pool; not closed in here.
    clock : Clock
        All ages and moments.
    kube : KubeClient or None
        The API server of the cluster that this runs in; closed by `close`.
    channel : Channel or None
        Where revocations are told; closed by `close`.
    seal_secret : str
        What all replicas know: seals sign-ins that are under way.

    Raises
    ------
    ConfigError
        If settings contradict each other.
    """

    def __init__(
        self,
        settings: ApiSettings,
        database: Database,
        clock: Clock,
        *,
        kube: KubeClient | None,
        channel: Channel | None,
        seal_secret: str,
    ) -> None:
        self._settings = settings
        self._stores = stores = Stores(database)
        self._clock = clock
        self._kube = kube
        self._base = settings.public_url.rstrip("/") if settings.public_url else ""
        self._cookies = Cookies(secure=settings.cookie_secure)
        self._same_site = SameSite(settings.public_url)
        self._signed_in = SignedIn(stores.logins, self._cookies)
        self._seal = Seal(seal_secret, "sign-in", clock)
        self._provider = _provider(settings, clock)
        self.revocations = Revocations(channel, self._forget, clock=clock)
        self._devices = Devices(stores.tokens, clock, told=lambda: self.revocations.heard)
        reviewer = Reviewer(kube, clock) if kube is not None else None
        self._workloads = Workloads(stores.clusters, reviewer, clock)
        self.authenticator = Authenticator(
            devices=self._devices,
            workloads=self._workloads,
            signed_in=self._signed_in,
            proxy=TrustedProxy(settings.trusted_header, stores.users),
            same_site=self._same_site,
        )

    @classmethod
    async def build(cls, settings: ApiSettings, database: Database, clock: Clock) -> Self:
        """Make the room as the settings say.

        Raises
        ------
        ConfigError
            If it cannot be made so.
        """
        return cls(
            settings,
            database,
            clock,
            kube=await _own_cluster(settings),
            channel=revocation_channel(settings),
            seal_secret=await common_secret(settings),
        )

    def routes(self) -> list[Route]:
        """Give all routes of the room."""
        stores, settings = self._stores, self._settings
        sign_in = SignIn(
            stores.logins, self._signed_in, self._cookies, hours=settings.session_hours
        )
        session = SessionRoutes(
            logins=stores.logins,
            users=stores.users,
            orgs=stores.orgs,
            signed_in=self._signed_in,
            sign_in=sign_in,
            same_site=self._same_site,
            oidc=self._provider is not None,
        )
        people = UserRoutes(
            stores.users,
            stores.logins,
            stores.orgs,
            self.revocations,
            base=self._base,
            daily_requests=settings.quota.daily_requests,
        )
        devices = DeviceAuthRoutes(
            stores.auths,
            stores.users,
            stores.orgs,
            settings.enrolment,
            public_url=settings.public_url,
            clock=self._clock,
        )
        return [
            *session.routes(),
            *self._oidc(sign_in),
            *people.routes(),
            *TokenRoutes(stores.tokens, self.revocations).routes(),
            *ClusterRoutes(stores.clusters, self.revocations, audience=settings.audience).routes(),
            *devices.routes(),
            *LeavingRoutes(self.authenticator, stores.tokens, self.revocations).routes(),
        ]

    async def run(self) -> None:
        """Hear of revocations, and note which tokens are used, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.revocations.run(), name="revocations")
            group.create_task(self._devices.run(), name="token use")

    async def close(self) -> None:
        """Note what was used last, and let go of all connections but the database's."""
        await self._devices.note()
        await self.revocations.close()
        if self._provider is not None:
            await self._provider.close()
        if self._kube is not None:
            await self._kube.close()

    def _oidc(self, sign_in: SignIn) -> list[Route]:
        if self._provider is None:
            return []
        accounts = Accounts(self._settings.oidc, self._stores.users, self._stores.orgs)
        return OidcRoutes(
            self._provider,
            accounts,
            sign_in,
            self._cookies,
            self._seal,
            base=self._base,
            clock=self._clock,
        ).routes()

    def _forget(self) -> None:
        self._devices.forget()
        self._workloads.forget()


def routes(identity: Identity) -> list[Route]:
    """Give all routes of the room."""
    return identity.routes()


def revocation_channel(settings: ApiSettings) -> RedisChannel | None:
    """Give the channel on which revocations are told; None without Redis."""
    if settings.redis_url is None:
        return None
    return RedisChannel(settings.redis_url, CHANNEL, **settings.redis_login)


def _provider(settings: ApiSettings, clock: Clock) -> Provider | None:
    if settings.oidc.issuer is None:
        return None
    if settings.public_url is None:
        raise ConfigError("oidc needs publicUrl: where the provider sends people back to")
    return Provider(settings.oidc, clock)


async def _own_cluster(settings: ApiSettings) -> KubeClient | None:
    # What a developer's own kubeconfig happens to name is not the cluster that this runs in.
    asked = settings.in_cluster == "on" or settings.kubeconfig is not None
    if settings.in_cluster == "off" or not (asked or os.environ.get("KUBERNETES_SERVICE_HOST")):
        return None
    try:
        return await KubeClient.connect(settings.kubeconfig)
    except ConfigError:
        if asked:
            raise
        log.warning("no_own_cluster", hint="service accounts are held to their signatures alone")
        return None


async def common_secret(settings: ApiSettings) -> str:
    """Give what all replicas know: the provider's secret, else the database's."""
    file = settings.oidc.client_secret_file
    if file is not None:
        try:
            return await SecretFile(file).read()
        except DeliveryError as error:
            raise ConfigError(f"oidc.clientSecretFile: {error}") from error
    in_url = password_of(settings.database_url or "")
    if in_url is not None:
        return in_url
    password = settings.database_password
    if password is not None:
        return password.get_secret_value()
    # A sign-in then has to come back to the replica that it began with.
    return secrets.token_urlsafe(32)
