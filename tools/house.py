"""House rules that no linter has: sizes, open ends, and what must never be committed.

Without arguments all files that git has or would take are looked at; with arguments only those.
"""

import re
import subprocess
import sys
from pathlib import Path

MAX_LINES = 400
"""Longest module, in lines: what is longer is two things."""

MAX_BYTES = 1024 * 1024
"""Largest file, in bytes: a repository is cloned more often than it is wanted whole."""

LEFT_OPEN = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X{3})\b")
"""Marks of work left open; open work is in the tracker, where it is seen."""

MACHINE = re.compile(r"(?<![\w.~$}*-])/(?:root|work|farm|Users/\w+|home/(?!node|app)\w+)/\w")
"""Folders of one person's machine."""

SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n?[A-Za-z0-9+/]{16}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bact_[A-Za-z0-9]{24,}\b"
    r"|\bhf_[A-Za-z0-9]{30,}\b|\bxox[abpr]-[A-Za-z0-9-]{20,}"
)
"""Keys and tokens by their look."""

CODE = (".py", ".ts", ".tsx", ".css")
"""Ends of the names of modules, which have a limit of lines."""

SOURCES = (
    ".py",
    ".ts",
    ".tsx",
    ".css",
    ".html",
    ".sh",
    ".go",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".tpl",
    "Makefile",
    "Dockerfile",
)
"""Ends of the names of files that people write."""


def files() -> list[Path]:
    """Give the files that git has or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.splitlines()]


def problems(path: Path) -> list[str]:
    """Give what is wrong with one file."""
    if not path.is_file():
        return []
    size = path.stat().st_size
    if size > MAX_BYTES:
        return [f"{path}: {size} bytes; at most {MAX_BYTES}"]
    if not path.name.endswith(SOURCES):
        return []
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = [f"{path}: looks like a secret"] if SECRET.search(text) else []
    for number, line in enumerate(lines, 1):
        if LEFT_OPEN.search(line):
            found.append(f"{path}:{number}: work left open: {line.strip()}")
        if MACHINE.search(line):
            found.append(f"{path}:{number}: a folder of one machine: {line.strip()}")
    if path.suffix in CODE and len(lines) > MAX_LINES:
        found.append(f"{path}: {len(lines)} lines; at most {MAX_LINES}")
    return found


def main(arguments: list[str]) -> int:
    """Print every problem; 1 if there is one."""
    paths = [Path(name) for name in arguments] or files()
    found = [problem for path in paths for problem in problems(path)]
    print("\n".join(found) if found else "house: in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
