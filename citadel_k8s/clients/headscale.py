"""Headscale's REST interface: the mesh's machines, asked with a key from a file."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any, Final

import aiohttp

from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.mesh import Machine, machines_of
from citadel_k8s.errors import ConfigError, MeshError

TIMEOUT: Final = 15.0
"""Seconds for a list: a thousand machines take Headscale half a second, a busy SQLite longer."""

BODY_MAX: Final = 32 * 1024 * 1024
"""Bytes of an answer, unpacked: 1 kB for each of thirty thousand machines."""

PATHS: Final = ("/api/v1/node", "/api/v1/machine")
"""Where machines are listed: since 0.23, and before."""

_OK: Final = 200
_NOT_FOUND: Final = 404


class Headscale:
    """Asks one server.

    Parameters
    ----------
    url : str
        ``https://host[:port][/path]``.
    key_file : Path
        Its API key; read anew for each list.
    ca_file : Path or None
        Whom to trust instead of the system's authorities.

    Raises
    ------
    ConfigError
        If the authorities cannot be read.
    """

    def __init__(
        self, url: str, key_file: Path, *, ca_file: Path | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._url = url.rstrip("/")
        self._key = SecretFile(key_file)
        self._timeout = timeout
        self._path = PATHS[0]
        try:
            self._trust = ssl.create_default_context(cafile=ca_file) if ca_file else None
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"headscale.caFile {ca_file}: {error}") from error

    async def machines(self) -> tuple[list[Machine], int]:
        """List the machines; the number beside them is of entries that could not be read.

        Raises
        ------
        MeshError
            The server is away, slow, refuses, or its answer cannot be read. Never holds the key.
        """
        try:
            key = await self._key.read()
            async with asyncio.timeout(self._timeout):
                return machines_of(json.loads(await self._list(key)))
        except DeliveryError as error:
            raise MeshError(str(error)) from error
        except TimeoutError as error:
            raise MeshError(f"Headscale: no answer in {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise MeshError(f"Headscale: {clip(str(error) or type(error).__name__)}") from error
        except (ValueError, RecursionError) as error:
            raise MeshError("Headscale: the answer is no JSON") from error

    async def _list(self, key: str) -> bytes:
        trust: Any = True if self._trust is None else self._trust
        session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        async with session:
            for path in (self._path, *(other for other in PATHS if other != self._path)):
                async with session.get(
                    self._url + path, ssl=trust, allow_redirects=False
                ) as answer:
                    if answer.status == _NOT_FOUND:
                        continue  # the other version's
                    if answer.status != _OK:
                        raise MeshError(f"Headscale: {answer.status} for {path}")
                    self._path = path
                    return await _bounded(answer)
        raise MeshError(f"Headscale: neither {' nor '.join(PATHS)} is there; see headscale.url")


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_chunked(64 * 1024):
        size += len(chunk)
        if size > BODY_MAX:
            raise MeshError(f"Headscale: the answer is over {BODY_MAX} bytes")
        parts.append(chunk)
    return b"".join(parts)
