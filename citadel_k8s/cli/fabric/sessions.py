"""Sessions of people, kept between commands: one file for each API, readable by their owner."""

import hashlib
import os
from pathlib import Path
from typing import Final

from citadel_k8s.errors import ConfigError

SECRET_MAX: Final = 300
"""Bytes of a session's file."""


def kept_session(base: str) -> str | None:
    """Give the session that was kept for an API; None if there is none."""
    try:
        text = _file(base).read_bytes()[: SECRET_MAX + 1]
    except OSError:
        return None
    return text.decode(errors="replace").strip() or None if len(text) <= SECRET_MAX else None


def keep_session(base: str, secret: str) -> Path:
    """Keep a session for an API; give its file.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    file = _file(base)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made anew: what somebody else could read already stays readable to them.
        file.unlink(missing_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as opened:
            opened.write(f"{secret}\n")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; the session is not kept") from error
    return file


def forget_session(base: str) -> None:
    """Forget the session of an API."""
    _file(base).unlink(missing_ok=True)


def _file(base: str) -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    name = hashlib.blake2b(base.encode(), digest_size=12).hexdigest()
    return Path(home) / "citadel-k8s" / "sessions" / name
