"""Settings: one frozen object per process, from a file, the environment and the command line.

The file is a ConfigMap: YAML with camelCase keys. Secrets come by the environment, with a prefix
that ends in two underscores (``CITADEL__REDIS_PASSWORD``): a Service named ``citadel`` makes the
kubelet inject ``CITADEL_PORT=tcp://…``, which must not be taken for a setting. The command line
wins over the environment, which wins over the file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import pydantic
import yaml
from pydantic import ConfigDict, Field, SecretStr, field_validator
from pydantic.alias_generators import to_camel

from citadel_k8s.constants import (
    FAST_INTERVAL,
    FAST_SKEW_SECONDS,
    HEARTBEAT_INTERVAL,
    INTERVAL_MAX,
    INTERVAL_MIN,
    MISSED_HEARTBEATS,
    SKEW_SECONDS,
    STATUS_STREAM_MAXLEN,
)
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import ConfigError, WireError

ENV_PREFIX = "CITADEL__"
"""Start of every environment variable that is a setting."""

_DETAIL_MAX = 200
"""Characters kept of what is wrong with an engine."""


class Settings(pydantic.BaseModel):
    """Common ground of all processes' settings."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
    )

    redis_url: str | None = None
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            message = "must start with redis://, rediss:// or unix://"
            raise ValueError(message)
        return value

    @field_validator("redis_url")
    @classmethod
    def _whole_password(cls, value: str | None) -> str | None:
        # What follows a bare / ? or # in a password would be taken for the rest of the address,
        # and be told as the name of a host that is not there.
        parts = urlsplit(value or "")
        if parts.scheme != "unix" and "@" in f"{parts.path}{parts.query}{parts.fragment}":
            message = "a password with / ? # must be percent-encoded, or given as redisPassword"
            raise ValueError(message)
        return value


EngineKind = Literal[
    "vllm",
    "sglang",
    "ollama",
    "llamacpp",
    "tgi",
    "tei",
    "triton",
    "lmdeploy",
    "infinity",
    "transformers",
    "openai",
    "postgres",
    "redis",
    "http",
    "tcp",
]
"""What can be asked: engines by their own interface, ``openai`` for any other with ``/v1/models``,
databases and plain services."""


class Group(pydantic.BaseModel):
    """Settings that belong together, under a key of their own."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )


class EngineEndpoint(Group):
    """An engine to ask; a configured one that does not answer is told as down."""

    name: str = Field(min_length=1, max_length=64)
    engine: EngineKind
    url: str = Field(max_length=2048)
    type: Literal["llm", "embedding", "database", "other"] | None = None
    api_key_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https", "tcp"} or not parts.hostname or parts.port == 0:
            message = "must be http://host:port, https://host:port or tcp://host:port"
            raise ValueError(message)
        if parts.scheme == "tcp" and parts.port is None:
            message = "tcp://host:port needs its port"
            raise ValueError(message)
        if parts.username is not None or parts.password is not None:
            message = "must hold no user or password; see apiKeyFile"
            raise ValueError(message)
        return value


def check_engine(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the document of an engine told from afar, as those in the settings are.

    Raises
    ------
    WireError
        With reason ``BadField``.
    """
    try:
        engine = EngineEndpoint.model_validate(document, by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = clip(".".join(str(part) for part in first["loc"]))
        raise WireError("BadField", place, clip(first["msg"], _DETAIL_MAX)) from error
    return engine.model_dump(mode="json", by_alias=True, exclude_none=True)


class PodSource(Group):
    """Where names, labels and annotations of the node's pods come from.

    ``kubelet`` asks ``GET /pods`` of the node's kubelet, which needs the right to ``nodes/pods``;
    without it pods are named by the kubelet's folder of logs, where that is mounted.
    """

    kubelet_url: str | None = None
    token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    ca_file: Path | None = None


class Canary(Group):
    """A request of one token to each ready engine, to see that it answers and not only listens."""

    enabled: bool = False
    interval_seconds: float = Field(default=300, ge=30)
    timeout_seconds: float = Field(default=10, gt=0, le=60)


class AgentSettings(Settings):
    """Settings of the agent."""

    node_name: str | None = None
    org_id: str | None = None
    interval_seconds: float = Field(default=HEARTBEAT_INTERVAL, ge=INTERVAL_MIN, le=INTERVAL_MAX)
    display_name: str | None = Field(default=None, max_length=256)
    tags: tuple[str, ...] = Field(default=(), max_length=100)
    headscale_node_id: str | None = Field(default=None, pattern=r"^[0-9]{1,19}$")
    mesh_address: str | None = None
    pod_ip: str | None = None
    publish: Literal["redis", "api", "none"] = "redis"
    stream_max_length: int = Field(default=STATUS_STREAM_MAXLEN, ge=1)
    api_base_url: str | None = None
    api_token_file: Path | None = None
    api_token: SecretStr | None = None
    api_ca_file: Path | None = None
    api_insecure: bool = False
    configuration: Literal["on", "off"] = "on"
    state_folder: Path | None = None
    listen_host: str = "0.0.0.0"
    listen_port: int = Field(default=8080, ge=0, le=65535)
    http_token_file: Path | None = None
    http_cert_file: Path | None = None
    http_key_file: Path | None = None
    http_client_ca_file: Path | None = None
    dcgm_metrics: bool = False
    host_root: Path = Path("/")
    pod_resources_socket: Path = Path("var/lib/kubelet/pod-resources/kubelet.sock")
    pods: PodSource = PodSource()
    container_metrics: bool = True
    engines: tuple[EngineEndpoint, ...] = Field(default=(), max_length=50)
    discover_engines: bool = True
    canary: Canary = Canary()
    deep_checks: bool = False
    fake_gpu: str | None = None

    @field_validator("api_base_url")
    @classmethod
    def _web(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in {"http", "https"}:
            message = "must be https://host or http://host:port"
            raise ValueError(message)
        return value


class Election(Group):
    """Which of several operators writes: the holder of a Lease. Off, one alone always does."""

    enabled: bool = False
    namespace: str = "citadel"
    name: str = "citadel-operator"
    identity: str | None = None


class Alerts(Group):
    """Who is told of nodes that are not well. Nobody, until an address is named.

    ``secret_file`` signs what goes to the webhook; ``slack_url_file`` holds an address that is a
    secret itself.
    """

    alertmanager_url: str | None = Field(default=None, max_length=2048)
    webhook_url: str | None = Field(default=None, max_length=2048)
    secret_file: Path | None = None
    slack_url_file: Path | None = None
    group_wait_seconds: float = Field(default=10, ge=0, le=300)
    repeat_seconds: float = Field(default=14_400, ge=60)
    external_labels: dict[str, str] = Field(default_factory=dict[str, str])

    @field_validator("alertmanager_url", "webhook_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://x")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "must be http://host or https://host"
            raise ValueError(message)
        return value


class Cordon(Group):
    """Whether Nodes with a hardware fault are cordoned: never, only said, or done.

    ``max_ratio`` is the share of the cluster's Nodes beyond which nothing more is cordoned: a
    driver's bad release looks like a thousand broken GPUs.
    """

    mode: Literal["off", "dry-run", "on"] = "off"
    max_ratio: float = Field(default=0.1, gt=0, le=0.1)
    taint: str | None = Field(default=None, max_length=253)


class OperatorSettings(Settings):
    """Settings of the operator. The heartbeat values are for nodes that name none.

    ``profile`` gives those that are not set: ``default`` is 30 s * 3 + 10, ``fast`` 10 s * 3 + 5.
    ``probe_loopback`` lets silent nodes on this very machine be asked, for a tour or a test.
    """

    org_id: str | None = None
    kubeconfig: Path | None = None
    profile: Literal["default", "fast"] = "default"
    interval_seconds: float | None = Field(default=None, ge=INTERVAL_MIN, le=INTERVAL_MAX)
    missed_heartbeats: int | None = Field(default=None, ge=1, le=20)
    skew_seconds: float | None = Field(default=None, ge=0, le=120)
    node_label_selector: str | None = None
    unknown_nodes: Literal["adopt", "quarantine", "ignore"] = "adopt"
    decommission_hours: float = Field(default=72, gt=0, le=8760)
    probe_loopback: bool = False
    election: Election = Election()
    alerts: Alerts = Alerts()
    cordon: Cordon = Cordon()
    listen_host: str = "0.0.0.0"
    listen_port: int = Field(default=8080, ge=0, le=65535)

    @property
    def heartbeat(self) -> tuple[float, int, float]:
        """Interval (s), heartbeats that may be missed, seconds added; the profile's if not set."""
        fast = self.profile == "fast"
        interval = FAST_INTERVAL if fast else HEARTBEAT_INTERVAL
        skew = FAST_SKEW_SECONDS if fast else SKEW_SECONDS
        return (
            interval if self.interval_seconds is None else self.interval_seconds,
            MISSED_HEARTBEATS if self.missed_heartbeats is None else self.missed_heartbeats,
            skew if self.skew_seconds is None else self.skew_seconds,
        )


S = TypeVar("S", bound=Settings)


def load(
    kind: type[S],
    *,
    file: Path | None = None,
    env: Mapping[str, str] | None = None,
    **overrides: Any,
) -> S:
    """Build the settings of a process.

    Parameters
    ----------
    kind : type
        `AgentSettings` or `OperatorSettings`.
    file : Path or None
        YAML file with camelCase keys.
    env : mapping or None
        The environment; that of the process if None. Unknown names are ignored, and so are
        empty values: manifests set those where nothing is meant.
    overrides
        Values from the command line; None means "not given".

    Raises
    ------
    ConfigError
        If the file cannot be read or a value does not fit; the message names file and key.
    """
    values = _from_file(file) if file else {}
    values |= _from_env(kind, os.environ if env is None else env)
    values |= {to_camel(key): value for key, value in overrides.items() if value is not None}
    try:
        # By alias alone: a snake_case key in the file would stand beside the one that wins.
        return kind.model_validate(values, by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False)
        )
        source = f" ({file})" if file else ""
        raise ConfigError(f"settings{source}: {problems}") from error


def _from_file(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"settings file {file}: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"settings file {file}: a mapping is needed at the top")
    return {str(key): value for key, value in document.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _from_env(kind: type[Settings], env: Mapping[str, str]) -> dict[str, Any]:
    names = {f"{ENV_PREFIX}{name.upper()}": to_camel(name) for name in kind.model_fields}
    return {key: env[name] for name, key in names.items() if env.get(name)}
