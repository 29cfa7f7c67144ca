"""Where the device's token comes from: asked before each request, for tokens are renewed."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from citadel_k8s.errors import ConfigError

Token: TypeAlias = Callable[[], str]
"""Gives the token of now, or raises ConfigError. It must neither log what it gives nor
wait, but for a `FileToken`."""

TOKEN_MAX: Final = 16 * 1024
"""Largest token, in bytes: servers refuse headers over 8 or 16 KiB, and a service account's token
has 1 to 2."""


@dataclass(frozen=True, slots=True)
class FileToken:
    """The token in a file; on a disk that hangs, reading it hangs too."""

    path: Path

    def __call__(self) -> str:
        """Give the token of now, or raise ConfigError."""
        return _checked(_content(self.path), f"token file {self.path}")


def token_file(path: Path) -> FileToken:
    """Read the token from a file, anew each time: the kubelet renews projected tokens.

    Who may read the file is not looked at: those of a pod are readable by all in it.
    """
    return FileToken(path)


def token_value(secret: str) -> Token:
    """Give the same token each time.

    Raises
    ------
    ConfigError
        If it can be none.
    """
    token = _checked(secret.encode(errors="replace"), "the device token")
    return lambda: token


def _content(path: Path) -> bytes:
    try:
        # Without waiting: a named pipe in the place of the file would hold the agent up.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"token file {path}: {error.strerror}; enrol this node, or mount the token there"
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ConfigError(f"token file {path} is no file; name the file with the token")
        return os.read(handle, TOKEN_MAX + 1)
    except OSError as error:
        raise ConfigError(f"token file {path}: {error.strerror}") from error
    finally:
        os.close(handle)


def _checked(content: bytes, name: str) -> str:
    if len(content) > TOKEN_MAX:
        raise ConfigError(f"{name} is over {TOKEN_MAX} bytes; it must hold the token and no more")
    token = content.strip()
    if not token:
        raise ConfigError(f"{name} is empty; enrol this node again, or mount the token anew")
    # Whatever else is in it would end up in a header, or in an error about that header.
    if not all(0x21 <= byte <= 0x7E for byte in token):  # noqa: PLR2004 - visible ASCII
        raise ConfigError(f"{name} holds more than one word of plain text; it must hold the token")
    return token.decode()
