"""A secret in a file: read anew each time, since a Secret's files are renewed, and never told."""

import os
import stat
from pathlib import Path
from typing import Final

from citadel_k8s.aio.patience import Patience
from citadel_k8s.clients.post import DeliveryError

SECRET_MAX: Final = 4096
"""Bytes of a secret."""

READ_SECONDS: Final = 2.0
"""Seconds that the file is waited for."""


class SecretFile:
    """One file with one secret."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._patience = Patience(self._content, READ_SECONDS)

    async def read(self) -> str:
        """Give the secret without the white space around it.

        Raises
        ------
        DeliveryError
            It cannot be read, is empty or too long; worth another try.
        """
        try:
            text = (await self._patience.read()).strip()
        except (OSError, TimeoutError) as error:
            raise DeliveryError(f"secret file {self._path}: {error.strerror or error}") from error
        except UnicodeDecodeError:
            # Its own text would quote the secret.
            raise DeliveryError(f"secret file {self._path}: it is no text") from None
        if not text:
            raise DeliveryError(f"secret file {self._path}: it is empty")
        return text

    def _content(self) -> str:
        # Without waiting: a named pipe in the place of the file would hold the thread up.
        handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise DeliveryError(f"secret file {self._path}: it is no file")
            data = os.read(handle, SECRET_MAX + 1)
        finally:
            os.close(handle)
        if len(data) > SECRET_MAX:
            raise DeliveryError(f"secret file {self._path}: it is over {SECRET_MAX} bytes")
        return data.decode()
