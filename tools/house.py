"""House rules that no linter has: lengths of modules, and no open ends."""

import re
import subprocess
import sys
from pathlib import Path

MAX_LINES = 400
"""Longest module, in lines: what is longer is two things."""

LEFT_OPEN = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XXX)\b")
"""Marks of work left open; open work is in the tracker, where it is seen."""

SOURCES = (".py", ".sh", ".go", ".md", ".yaml", ".yml", ".toml", "Makefile", "Dockerfile")


def files() -> list[Path]:
    """Give the files that git has or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return [path for path in map(Path, listed.stdout.splitlines()) if path.is_file()]


def problems(path: Path) -> list[str]:
    """Give what is wrong with one file."""
    if not path.name.endswith(SOURCES):
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [
        f"{path}:{number}: work left open: {line.strip()}"
        for number, line in enumerate(lines, 1)
        if LEFT_OPEN.search(line)
    ]
    if path.suffix == ".py" and len(lines) > MAX_LINES:
        found.append(f"{path}: {len(lines)} lines; at most {MAX_LINES}")
    return found


def main() -> int:
    """Print every problem; 1 if there is one."""
    found = [problem for path in files() for problem in problems(path)]
    print("\n".join(found) if found else "house: in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
