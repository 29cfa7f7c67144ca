"""What an enrolment brought, and where it is kept: two files of the device's own, or a Secret.

The settings file names the token's file beside it, so that the token can be renewed, mounted or
thrown away without touching the settings. Neither is readable by others, not even for a moment.
"""

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import yaml

from citadel_k8s.errors import CitadelError, ConfigError

TOKEN_FILE: Final = "device-token"  # noqa: S105 - a name
"""Name of the token's file beside the settings, and of the token's key in a Secret."""

SETTINGS_MAX: Final = 1024 * 1024
"""Largest settings file that is kept and added to, in bytes; a ConfigMap holds no more."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class EnrolError(CitadelError):
    """The device was not enrolled, or what came of it cannot be kept; says what to do."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the platform gave. ``authkey`` is for the mesh, ``device_api_token`` for the proxy."""

    authkey: str = field(repr=False)
    device_api_token: str | None = field(repr=False)
    api_base_url: str
    org_id: str | None
    org_name: str | None = None
    user_email: str | None = None
    user_name: str | None = None
    nexus_url: str | None = None

    def save(self, path: Path) -> Path:
        """Write the settings of an agent that publishes through the proxy; give the token's file.

        Other settings in the file are kept, comments are not. The token is written first, into
        ``device-token`` beside it: settings never name a token that is not there.

        Raises
        ------
        EnrolError
            If there is no token to save, or a file cannot be written.
        ConfigError
            If the file is there and holds no settings.
        """
        path = path.absolute()
        token = path.with_name(TOKEN_FILE)
        if token == path:
            raise ConfigError(f"{path}: the settings cannot be in the token's own file")
        settings = _existing(path) | self._settings() | {"apiTokenFile": str(token)}
        secret = self._token()
        try:
            _make_folder(path.parent)
            _write(token, f"{secret}\n")
            _write(path, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        except OSError as error:
            raise EnrolError(
                f"{error.filename or path}: {error.strerror}; name another file, and enrol again"
            ) from error
        return token

    def secret_manifest(self, name: str, namespace: str) -> str:
        """Give a Kubernetes Secret with the token and its settings, as YAML.

        Raises
        ------
        EnrolError
            If there is no token.
        ConfigError
            If a name is none.
        """
        for text in (name, namespace):
            if not _NAME.fullmatch(text):
                raise ConfigError(f"{text[:64]!r} is no name of a Kubernetes object")
        strings = {TOKEN_FILE: self._token()}
        strings |= {key: value for key, value in self._settings().items() if key != "publish"}
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "Opaque",
            "stringData": strings,
        }
        return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True)

    def _settings(self) -> dict[str, str]:
        settings = {"publish": "api", "apiBaseUrl": self.api_base_url}
        if self.org_id is not None:
            settings["orgId"] = self.org_id
        return settings

    def _token(self) -> str:
        if self.device_api_token is None:
            raise EnrolError(
                "the device is enrolled, but the platform gave it no token for the proxy "
                "(device_api_token); ask for one there"
            )
        return self.device_api_token


def _existing(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > SETTINGS_MAX:
            raise ConfigError(f"settings file {path} is over {SETTINGS_MAX} bytes")
        document: Any = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"settings file {path}: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"settings file {path}: a mapping is needed at the top")
    return cast("dict[str, Any]", document)


def _make_folder(folder: Path) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
