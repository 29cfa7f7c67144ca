"""Run one benchmark, or all of them, from the folder ``bench``."""

import subprocess
import sys
from pathlib import Path

NOT_A_BENCH = {"figures"}


def names() -> list[str]:
    """Give the benchmarks that there are."""
    found = {path.stem for path in Path("bench").glob("*.py")} - NOT_A_BENCH
    return sorted(name for name in found if not name.startswith("_"))


def main(name: str, arguments: list[str]) -> int:
    """Run the named benchmark, or list and run all; 1 if a target was missed."""
    there = names()
    if name and name not in there:
        print(f"no benchmark {name!r}; there are: {', '.join(there) or 'none'}", file=sys.stderr)
        return 2
    chosen = [name] if name else there
    print(f"benchmarks: {', '.join(chosen) or 'none'}", file=sys.stderr, flush=True)
    missed = [
        bench
        for bench in chosen
        if subprocess.run(
            [sys.executable, "-m", f"bench.{bench}", *arguments], check=False
        ).returncode
    ]
    if missed:
        print(f"missed or failed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]))
