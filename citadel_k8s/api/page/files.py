"""The built page in memory: every file read, packed and named once, before anybody asks.

No path ever comes from a request: what is asked for is looked up by its name among those that were
found here at the start.
"""

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from citadel_k8s.errors import ConfigError

STATIC: Final = Path(__file__).parents[1] / "static"
"""Where the build puts the page: `tools/page.py`, and with it the wheel."""

INDEX: Final = "index.html"
"""The page itself; without it nothing was built."""

ASSETS: Final = "assets"
"""Folder of the files that the page names."""

_HASHED: Final = re.compile(r".+-[A-Za-z0-9_-]{8}\.[a-z0-9]+")
"""Name of a file as the build gives it: a digest of eight characters before the ending."""

PACK_LEVEL: Final = 9
"""Of 1 to 9: packed once and sent for as long as the process lives."""

PACK_GAIN: Final = 0.9
"""Share of its bytes down to which a file must shrink for the packed one to be sent: pictures and
fonts are packed already."""

SMALLER: Final = ".br"
"""Ending beside a file's name under which the build puts what Brotli makes of it."""

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS

TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""Content type by ending. What has another is served as bytes, which no browser runs."""

_BYTES: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Variant:
    """The bytes of a file as they travel, and their strong tag."""

    body: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page.

    ``packed`` is None where gzip gains nothing, ``smaller`` where the build packed nothing by
    Brotli; ``hashed``: another content has another name.
    """

    content_type: str
    hashed: bool
    plain: Variant
    packed: Variant | None
    smaller: Variant | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """All files: the page, those beside it by name, those that it names.

    ``index`` is None if the page was not built.
    """

    index: File | None
    beside: Mapping[str, File]
    assets: Mapping[str, File]


def read_built(folder: Path = STATIC) -> Built:
    """Read the page; it blocks, for as long as it takes to pack half a megabyte.

    Raises
    ------
    ConfigError
        If a file is there that cannot be read.
    """
    try:
        beside = _files(folder)
        return Built(beside.pop(INDEX, None), beside, _files(folder / ASSETS))
    except OSError as error:
        raise ConfigError(f"the page in {folder}: {error.strerror or error}") from error


def _files(folder: Path) -> dict[str, File]:
    if not folder.is_dir():
        return {}
    paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return {path.name: _file(path) for path in paths if path.suffix != SMALLER}


def _file(path: Path) -> File:
    body = path.read_bytes()
    packed = zlib.compress(body, PACK_LEVEL, _GZIP_WINDOW)
    worth = len(packed) < len(body) * PACK_GAIN
    kind = TYPES.get(path.suffix, _BYTES)
    hashed = path.parent.name == ASSETS and _HASHED.fullmatch(path.name) is not None
    beside = path.with_name(path.name + SMALLER)
    smaller = _variant(beside.read_bytes()) if worth and beside.is_file() else None
    return File(kind, hashed, _variant(body), _variant(packed) if worth else None, smaller)


def _variant(body: bytes) -> Variant:
    # Each encoding has a tag of its own: a strong one stands for these very bytes.
    return Variant(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')
