"""Settings of the agent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pydantic
from pydantic import Field, SecretStr, field_validator

from citadel_k8s.config.base import Group, Settings
from citadel_k8s.constants import (
    HEARTBEAT_INTERVAL,
    INTERVAL_MAX,
    INTERVAL_MIN,
    STATUS_STREAM_MAXLEN,
)
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import WireError

_DETAIL_MAX = 200
"""Characters kept of what is wrong with an engine."""

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
