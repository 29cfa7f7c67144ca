"""Fill ``dist/wheelhouse`` with what the container image needs: wheels, and their hashes.

This project's own has the Fabric page in it, which is built first (``tools/page.py``).

The versions are those of ``requirements.lock``; of its packages only those come that the agent and
the operator need. The wheels are for the image's interpreter, not for this one.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HOUSE = Path("dist/wheelhouse")
BIN = Path(sys.executable).parent
EXTRAS = ("agent", "operator")
GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""Kinds of wheels that a current Debian image can run, newest first."""

PAGE = "citadel_k8s/api/static/index.html"
"""The page in a wheel; without it the API would say that it was not built."""


def run(*command: str | Path) -> None:
    """Run a command; end with its words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}wheelhouse: {command[0]} failed")


def compile_requirements(python: str, arch: str, target: Path) -> None:
    """Write the part of the lock that the image needs."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    platform = f"{arch}-manylinux_2_28"
    where = ("--python-version", python, "--python-platform", platform)
    how = ("--quiet", "--no-header", "--no-annotate", "--generate-hashes")
    lock = ("--constraint", "requirements.lock")
    run(BIN / "uv", "pip", "compile", *how, *extras, *where, *lock, "-o", target, "pyproject.toml")


def download(python: str, arch: str, requirements: Path) -> None:
    """Fetch the wheels."""
    platforms = [word for glibc in GLIBC for word in ("--platform", f"{glibc}_{arch}")]
    run(
        *(sys.executable, "-I", "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--only-binary", ":all:", "--python-version", python, "--implementation", "cp"),
        *(*platforms, "--require-hashes", "--dest", HOUSE, "-r", requirements),
    )


def check_page(wheel: Path) -> None:
    """End unless a wheel has the page, and each file that the page names."""
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        page = packed.read(PAGE).decode() if PAGE in names else ""
    wanted = re.findall(r'(?:src|href)="/([^"]+)"', page)
    lacking = [name for name in wanted if PAGE.replace("index.html", name) not in names]
    if not any(name.startswith("assets/") for name in wanted) or lacking:
        what = ", ".join(lacking) or "no Fabric page"
        sys.exit(f"wheelhouse: {wheel.name} lacks {what}: run `make page` first")


def build(target: Path) -> str:
    """Build this project's own wheel and give its line of requirements."""
    run(sys.executable, "tools/page.py", "build")
    run(BIN / "hatchling", "build", "-t", "wheel", "-d", target)
    wheel = next(target.glob("citadel_k8s-*.whl"))
    check_page(wheel)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    version = wheel.name.split("-")[1]
    return f"citadel-k8s[{','.join(EXTRAS)}]=={version} --hash=sha256:{digest}\n"


def main() -> None:
    """Make the wheelhouse anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="3.13")
    parser.add_argument("--arch", default="x86_64")
    chosen = parser.parse_args()
    shutil.rmtree(HOUSE, ignore_errors=True)
    HOUSE.mkdir(parents=True)
    requirements = HOUSE / "requirements.txt"
    with tempfile.TemporaryDirectory() as scratch:
        locked = Path(scratch) / "locked.txt"
        compile_requirements(chosen.python, chosen.arch, locked)
        download(chosen.python, chosen.arch, locked)
        requirements.write_text(locked.read_text() + build(HOUSE))
    wheels = list(HOUSE.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels) / 1e6
    print(f"{HOUSE}: {len(wheels)} wheels, {size:.0f} MB, Python {chosen.python}, {chosen.arch}")


if __name__ == "__main__":
    main()
