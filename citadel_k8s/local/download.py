"""Official release downloads of the Kubernetes programs, checked against their checksums."""

import asyncio
import hashlib
import platform
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final

import aiohttp

from citadel_k8s.errors import BuildError
from citadel_k8s.local.versions import ETCD_VERSION, KUBE_VERSION

Fetch = Callable[[str], AsyncIterator[bytes]]
"""Yields the body behind a URL in chunks; raises OSError, TimeoutError or aiohttp.ClientError."""

REACH_TIMEOUT: Final = 5.0
"""Seconds for all checksums together. They are under 2 kB, so whoever does not send them in this
time will not send 100 MB either, and a machine without a way out must not wait longer."""

STALL_TIMEOUT: Final = 20.0
"""Seconds without a single byte after which a running download is given up."""

CHUNK: Final = 1 << 18
"""Bytes read at once."""

KUBE_URL: Final = f"https://dl.k8s.io/release/v{KUBE_VERSION}/bin"
"""Where Kubernetes publishes its programs, with a .sha256 file beside each."""

ETCD_URL: Final = f"https://github.com/etcd-io/etcd/releases/download/v{ETCD_VERSION}"
"""Where etcd publishes its archives, with one SHA256SUMS file."""


class DownloadError(BuildError):
    """A program could not be downloaded, or what came is not what its publisher says."""


async def fetch(url: str) -> AsyncIterator[bytes]:
    """Yield the body behind `url`; an answer other than 200 is an `aiohttp.ClientError`."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=REACH_TIMEOUT, sock_read=STALL_TIMEOUT)
    async with (
        aiohttp.ClientSession(timeout=timeout, trust_env=True, raise_for_status=True) as http,
        http.get(url) as answer,
    ):
        async for chunk in answer.content.iter_chunked(CHUNK):
            yield chunk


async def checksums(names: Iterable[str], fetch: Fetch) -> dict[str, str]:
    """Fetch the published SHA-256 of each program, as 64 hex digits, all at once.

    Raises
    ------
    DownloadError
        Not all came within `REACH_TIMEOUT` seconds.
    """
    sums: dict[str, str] = {}
    failures: list[Exception] = []

    async def one(name: str) -> None:
        try:
            text = b"".join([chunk async for chunk in fetch(_checksum_url(name))])
            sums[name] = _pick(text.decode(), _url(name).rpartition("/")[2])
        except (OSError, TimeoutError, aiohttp.ClientError, UnicodeDecodeError) as error:
            failures.append(error)

    try:
        async with asyncio.timeout(REACH_TIMEOUT), asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name), name=f"checksum of {name}")
    except TimeoutError as error:
        raise DownloadError(f"no checksums within {REACH_TIMEOUT:.0f} s") from error
    if failures:
        raise DownloadError(f"no checksums: {failures[0]}") from failures[0]
    return sums


async def download(name: str, checksum: str, target: Path, fetch: Fetch) -> Path:
    """Download one program into the folder `target`; there is all of it afterwards, or nothing.

    Parameters
    ----------
    name : str
        ``kube-apiserver``, ``kubectl`` or ``etcd``.
    checksum : str
        SHA-256 of what is behind its URL, 64 hex digits.
    target : Path
        Existing folder where it shall lie.

    Raises
    ------
    DownloadError
        It stalled, broke off, or its checksum is another.
    """
    part = target / f".{name}.part"
    try:
        found = await _receive(_url(name), part, fetch)
        if found != checksum:
            raise DownloadError(
                f"{_url(name)}: SHA-256 is {found}, published is {checksum}; it was thrown away"
            )
        if name == "etcd":
            await asyncio.to_thread(_unpack, part)
        part.chmod(0o755)
        return part.replace(target / name)
    except (OSError, TimeoutError, aiohttp.ClientError, tarfile.TarError, KeyError) as error:
        raise DownloadError(f"{_url(name)}: {error!r}") from error
    finally:
        part.unlink(missing_ok=True)


async def _receive(url: str, path: Path, fetch: Fetch) -> str:
    """Write the body behind `url` to `path` and return its SHA-256."""
    digest = hashlib.sha256()
    chunks = fetch(url)
    with path.open("wb") as file:
        while True:
            async with asyncio.timeout(STALL_TIMEOUT):
                chunk = await anext(chunks, b"")
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
            file.write(chunk)


def _unpack(path: Path) -> None:
    """Replace an etcd archive by the server that it holds."""
    member = f"{_etcd_archive().removesuffix('.tar.gz')}/etcd"
    with tarfile.open(path) as archive:
        source = archive.extractfile(member)
        if source is None:
            raise tarfile.TarError(f"{member} is not a file")
        path.unlink()  # the archive stays open
        with source, path.open("wb") as out:
            shutil.copyfileobj(source, out, CHUNK)


def _pick(text: str, file: str) -> str:
    """Return the checksum of `file` from a checksum file of one or of many lines."""
    for line in text.splitlines():
        digest, _, name = line.partition(" ")
        if len(digest) == 64 and name.strip(" *") in ("", file):  # noqa: PLR2004 - SHA-256 in hex
            return digest
    raise OSError(f"no checksum of {file} was published")


def _url(name: str) -> str:
    if name == "etcd":
        return f"{ETCD_URL}/{_etcd_archive()}"
    return f"{KUBE_URL}/linux/{_architecture()}/{name}"


def _checksum_url(name: str) -> str:
    return f"{ETCD_URL}/SHA256SUMS" if name == "etcd" else f"{_url(name)}.sha256"


def _etcd_archive() -> str:
    return f"etcd-v{ETCD_VERSION}-linux-{_architecture()}.tar.gz"


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
