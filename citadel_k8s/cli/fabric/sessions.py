"""Sessions of people, kept between commands: one file for each API, readable by their owner."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from citadel_k8s.errors import ConfigError

SECRET_MAX: Final = 300
"""Bytes of a session's file."""

_OTHERS: Final = 0o077
"""Rights of everybody but the owner."""


def kept_session(base: str) -> str | None:
    """Give the session that was kept for an API; None if there is none."""
    try:
        # Neither a link nor a pipe, nor anything that somebody else put there or could have read.
        handle = os.open(_file(base), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as opened:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
                return None
            if about.st_mode & _OTHERS:
                return None
            text = opened.read(SECRET_MAX + 1)
    except (OSError, ConfigError):
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
        about = file.parent.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            raise ConfigError(f"{file.parent} is a link or not yours; the session is not kept")
        file.parent.chmod(0o700)
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
    file = _file(base)
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; the session is still there") from error


def _file(base: str) -> Path:
    try:
        home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    except RuntimeError as error:  # a user without an entry anywhere, as in some containers
        raise ConfigError("there is no home directory; set XDG_CONFIG_HOME") from error
    name = hashlib.blake2b(base.encode(), digest_size=12).hexdigest()
    return Path(home) / "citadel-k8s" / "sessions" / name
