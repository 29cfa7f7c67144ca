"""Settings: one frozen object per process, from a file, the environment and the command line.

The file is a ConfigMap: YAML with camelCase keys. Secrets come by the environment, with a prefix
that ends in two underscores (``CITADEL__REDIS_PASSWORD``): a Service named ``citadel`` makes the
kubelet inject ``CITADEL_PORT=tcp://…``, which must not be taken for a setting. The command line
wins over the environment, which wins over the file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar
from urllib.parse import urlsplit

import pydantic
import yaml
from pydantic import ConfigDict, SecretStr, field_validator
from pydantic.alias_generators import to_camel

from citadel_k8s.domain.redisurl import SCHEMES, several
from citadel_k8s.errors import ConfigError

ENV_PREFIX = "CITADEL__"
"""Start of every environment variable that is a setting."""


class RedisLogin(TypedDict):
    """Who logs in to Redis, beside what its URL says."""

    username: str | None
    password: str | None


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

    @property
    def redis_login(self) -> RedisLogin:
        """User and password, for whoever connects."""
        password = self.redis_password
        return RedisLogin(
            username=self.redis_username,
            password=None if password is None else password.get_secret_value(),
        )

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is None:
            return value
        if not value.startswith(SCHEMES):
            raise ValueError(f"must start with one of {', '.join(SCHEMES)}")
        try:
            several(value)
        except ConfigError as error:
            raise ValueError(str(error)) from error
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


class Group(pydantic.BaseModel):
    """Settings that belong together, under a key of their own."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
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
        `AgentSettings`, `OperatorSettings`, `WorkerSettings` or `ApiSettings`.
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
