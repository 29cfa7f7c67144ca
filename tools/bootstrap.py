"""Make ``.venv`` what ``requirements.lock`` says.

Called by ``tools/bootstrap.sh``, which finds the interpreter. Uses the standard library only.
With ``--fresh`` it changes nothing and says by its exit code whether there is nothing to do.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".stamp"
LOCK = Path("requirements.lock")
UV_LOCK = Path("tools/uv.lock.txt")
INPUTS = (LOCK, UV_LOCK, Path("pyproject.toml"), Path("tools/bootstrap.py"))


def fingerprint(version: str) -> str:
    """Give what the environment depends on, as one line."""
    digest = hashlib.sha256()
    for path in INPUTS:
        digest.update(path.read_bytes())
    return f"{version} {digest.hexdigest()}"


def is_fresh(version: str) -> bool:
    """Say whether the environment was finished with exactly these inputs, at this place."""
    try:
        return STAMP.read_text() == f"{fingerprint(version)} {VENV.resolve()}"
    except OSError:
        return False


def version_of(python: Path) -> str | None:
    """Give the version that an interpreter has when it runs; None when it does not."""
    ask = "import sys, pip; print('%d.%d.%d' % sys.version_info[:3])"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", ask], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def step(title: str, *command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run one step, show it and how long it took; its output only when it fails."""
    print(f"bootstrap: {title} ...", end="", flush=True)
    start = time.perf_counter()
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        print(" failed")
        sys.stderr.write(done.stdout)
        sys.exit(f"bootstrap: {title} failed with exit code {done.returncode}")
    print(f" {time.perf_counter() - start:.1f} s", flush=True)


def require_venv() -> None:
    """End with the name of the missing package where an interpreter has no venv or ensurepip."""
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian ships Python without it
        import venv  # noqa: F401, PLC0415 - and sometimes without this
    except ImportError as error:
        own = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        sys.exit(
            f"bootstrap: {sys.executable} lacks {error.name}.\n"
            f"  Debian, Ubuntu: apt-get install python3-venv   (or {own})"
        )


def create() -> None:
    """Create the environment anew."""
    require_venv()
    shutil.rmtree(VENV, ignore_errors=True)
    version = ".".join(map(str, sys.version_info[:3]))
    step(f"create .venv with Python {version}", sys.executable, "-m", "venv", VENV)


def writable(path: str | None) -> bool:
    """Say whether a folder is there and can be written."""
    return path is not None and Path(path).is_dir() and os.access(path, os.W_OK)


def uv_environment() -> dict[str, str]:
    """Give uv what pip was told: uv does not read pip's settings of a mirror or a certificate."""
    env = dict(os.environ)
    env.pop("VIRTUAL_ENV", None)
    for uv_name, pip_name in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        ("UV_INDEX", "PIP_EXTRA_INDEX_URL"),
        ("SSL_CERT_FILE", "PIP_CERT"),
    ):
        if pip_name in env:
            env.setdefault(uv_name, env[pip_name])
    if not writable(env.get("HOME")):
        env.setdefault("UV_CACHE_DIR", str(VENV / ".uv-cache"))
    return env


def install() -> None:
    """Bring the packages of the lock, and this project, into the environment."""
    env = uv_environment()
    pip = (PYTHON, "-I", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input")
    step("install uv", *pip, "--require-hashes", "--no-deps", "-r", UV_LOCK, env=env)
    uv = (VENV / "bin" / "uv", "pip")
    into = ("--python", PYTHON, "--quiet")
    step(
        "install what requirements.lock names",
        *(*uv, "sync", *into, "--require-hashes", "--compile-bytecode", LOCK),
        env=env,
    )
    # Without build isolation nothing is fetched that the lock does not name.
    editable = ("--no-deps", "--no-build-isolation", "-e", ".")
    step("install citadel-k8s itself, editable", *uv, "install", *into, *editable, env=env)


def main() -> None:
    """Do what is missing."""
    own = ".".join(map(str, sys.version_info[:3]))
    if "--fresh" in sys.argv[1:]:
        sys.exit(0 if is_fresh(own) else 1)
    with LOCK.open("rb") as turn:  # two commands at once take turns
        fcntl.flock(turn, fcntl.LOCK_EX)
        version = version_of(PYTHON)
        if version == own and is_fresh(own):
            return
        start = time.perf_counter()
        if version != own:
            create()
        STAMP.unlink(missing_ok=True)
        install()
        STAMP.write_text(f"{fingerprint(own)} {VENV.resolve()}")
        print(f"bootstrap: ready in {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
