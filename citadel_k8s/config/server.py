"""Settings of the control plane: worker and API."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator

from citadel_k8s.config.base import Group, Settings
from citadel_k8s.constants import HEARTBEAT_INTERVAL, MISSED_HEARTBEATS, SKEW_SECONDS


class DatabaseSettings(Settings):
    """Where PostgreSQL is. The password may come apart from the URL (``databasePassword``)."""

    database_url: str | None = None
    database_password: SecretStr | None = None
    database_pool_max: int = Field(default=10, ge=1, le=100)

    @property
    def database_secret(self) -> str | None:
        """The password, for whoever connects."""
        password = self.database_password
        return None if password is None else password.get_secret_value()

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            message = "must start with postgresql://"
            raise ValueError(message)
        return value


class SchemaSettings(DatabaseSettings):
    """What is needed to look after the schema, out of the worker's file or the API's."""

    model_config = ConfigDict(extra="ignore")


class Headscale(Group):
    """The mesh's coordination server, asked for its machines. ``orgs``: its users' orgs."""

    url: str | None = Field(default=None, max_length=2048)
    api_key_file: Path | None = None
    ca_file: Path | None = None
    interval_seconds: float = Field(default=60, ge=5)
    orgs: dict[str, str] = Field(default_factory=dict[str, str])
    default_org: str | None = None

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://x")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "must be http://host or https://host"
            raise ValueError(message)
        return value


class Retention(Group):
    """How long what is stored stays, in days."""

    history_days: int = Field(default=14, ge=1, le=3650)
    events_days: int = Field(default=90, ge=1, le=3650)
    audit_days: int = Field(default=365, ge=1, le=3650)


class WorkerSettings(DatabaseSettings):
    """Settings of the worker.

    ``org_id`` is whose nodes write to Redis directly; entries that the proxy stamped say so
    themselves. The heartbeat values are for nodes that name none.
    """

    org_id: str | None = None
    interval_seconds: float = Field(default=HEARTBEAT_INTERVAL, ge=5, le=300)
    missed_heartbeats: int = Field(default=MISSED_HEARTBEATS, ge=1, le=20)
    skew_seconds: float = Field(default=SKEW_SECONDS, ge=0, le=120)
    batch: int = Field(default=500, ge=1, le=5000)
    consumer: str | None = Field(default=None, max_length=128)
    trim: bool = True
    adopt_nodes: bool = True
    headscale: Headscale = Headscale()
    retention: Retention = Retention()
    listen_host: str = "0.0.0.0"
    listen_port: int = Field(default=8080, ge=0, le=65535)


class Live(Group):
    """Which addresses of nodes may be asked. The default is the mesh's range.

    Add the cluster's own for nodes whose agents answer at their pods' addresses.
    """

    enabled: bool = True
    allowed_cidrs: tuple[str, ...] = ("100.64.0.0/10", "fd7a:115c:a1e0::/48")
    deadline_seconds: float = Field(default=3, gt=0, le=30)
    token_file: Path | None = None
    ca_file: Path | None = None


class Oidc(Group):
    """A provider of identities for people."""

    issuer: str | None = None
    client_id: str | None = None
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    org_claim: str | None = None
    default_org: str | None = None
    role_claim: str | None = None


class TrustedHeader(Group):
    """A proxy in front that has already asked who it is, believed from its addresses only."""

    name: str | None = None
    from_cidrs: tuple[str, ...] = ()
    org_id: str | None = None
    role: Literal["viewer", "editor", "admin"] = "viewer"


class Quota(Group):
    """How much one credential may ask. Heartbeats below the published quota are never refused."""

    daily_requests: int = Field(default=50_000, ge=1)
    requests_per_second: float = Field(default=50, gt=0)
    burst: int = Field(default=200, ge=1)


class Limits(Group):
    """What one caller may hold of the server. Seconds end who sends or takes too slowly."""

    connections: int = Field(default=10_000, ge=1)
    connections_per_address: int = Field(default=2_048, ge=1)
    header_seconds: float = Field(default=10, gt=0)
    body_seconds: float = Field(default=15, gt=0)
    answer_seconds: float = Field(default=30, gt=0)
    keepalive_seconds: float = Field(default=75, gt=0)


class Enrolment(Group):
    """What a device is given when it is approved. Source: the wire contract.

    ``ca_file`` holds the certificates, in PEM, that nodes are told to trust.
    """

    authkey_file: Path | None = None
    nexus_url: str | None = None
    verification_url: str | None = None
    ca_file: Path | None = None


class Page(Group):
    """What the Fabric page links to. ``{node}`` in ``grafana_url`` stands for a node's id."""

    grafana_url: str | None = Field(default=None, max_length=2048)

    @field_validator("grafana_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        # The page makes a link of it: a script behind another scheme would run in the page.
        parts = urlsplit(value or "http://x")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "must be http://host or https://host"
            raise ValueError(message)
        return value


class ApiSettings(DatabaseSettings):
    """Settings of the API and the proxy.

    ``public_url`` is how browsers reach it; ``in_cluster`` lets service accounts of this very
    cluster be reviewed by its API server. ``trusted_proxies`` are whose ``X-Forwarded-For`` is
    believed. Metrics have a port of their own, for they are nobody's business outside. ``org_id``
    is whose nodes read Redis directly: only theirs are told of configurations there, too.
    """

    org_id: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9._-]{1,128}$")

    public_url: str | None = None
    interval_seconds: float = Field(default=HEARTBEAT_INTERVAL, ge=5, le=300)
    missed_heartbeats: int = Field(default=MISSED_HEARTBEATS, ge=1, le=20)
    skew_seconds: float = Field(default=SKEW_SECONDS, ge=0, le=120)
    live: Live = Live()
    oidc: Oidc = Oidc()
    trusted_header: TrustedHeader = TrustedHeader()
    quota: Quota = Quota()
    limits: Limits = Limits()
    trusted_proxies: tuple[str, ...] = ()
    enrolment: Enrolment = Enrolment()
    page: Page = Page()
    in_cluster: Literal["auto", "on", "off"] = "auto"
    kubeconfig: Path | None = None
    audience: str = "citadel"
    session_hours: float = Field(default=24 * 7, gt=0, le=24 * 90)
    cookie_secure: bool = True
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    listen_host: str = "0.0.0.0"
    listen_port: int = Field(default=8080, ge=0, le=65535)
    metrics_port: int = Field(default=9090, ge=0, le=65535)
