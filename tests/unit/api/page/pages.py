"""A page as a build leaves it, small and known by heart."""

import hashlib
from pathlib import Path

SCRIPT = b"const state = 'Online';\n" * 200
STYLE = b".badge { color: green }\n" * 100
INDEX = (
    b'<!doctype html><html lang="en"><head><title>Fabric</title>'
    b'<script type="module" crossorigin src="/assets/index-a1B2c3D4.js"></script>'
    b'<link rel="stylesheet" crossorigin href="/assets/index-c3D4e5F6.css"></head>'
    b'<body><div id="page"></div></body></html>\n'
)


def built(folder: Path) -> Path:
    """Write the files of a build into a folder."""
    assets = folder / "assets"
    assets.mkdir()
    (folder / "index.html").write_bytes(INDEX)
    for name in ("favicon.svg", "favicon-alert.svg"):
        (folder / name).write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"/>')
    (assets / "index-a1B2c3D4.js").write_bytes(SCRIPT)
    (assets / "index-c3D4e5F6.css").write_bytes(STYLE)
    noise = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(64))
    (assets / "letters-e5F6_-7H.woff2").write_bytes(noise)
    return folder
