"""Run make targets one after the other, stop at the first that fails, say how long each took.

The last lines are pytest's own closing lines, so that the end of a log says what was tested.
"""

import re
import subprocess
import sys
import time

CLOSING = re.compile(
    r"^=*\s*(?=.*\b(passed|failed|error|errors|skipped|no tests ran)\b).* in [\d.]+s.*$"
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run(target: str) -> tuple[int, list[str]]:
    """Run one target; show its output and give the exit code and pytest's closing lines."""
    closing: list[str] = []
    command = ["make", "--no-print-directory", target]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in process.stdout:
            print(line, end="", flush=True)
            plain = COLOUR.sub("", line).rstrip()
            if CLOSING.match(plain):
                closing.append(plain)
    return process.returncode, closing


def main(targets: list[str]) -> int:
    """Run the targets and print the summary."""
    rows: list[str] = []
    closing: list[str] = []
    failed = ""
    start = time.perf_counter()
    for target in targets:
        print(f"--- {target}", flush=True)
        began = time.perf_counter()
        code, lines = run(target)
        closing += lines
        verdict = "ok" if code == 0 else f"FAILED (make {target})"
        rows.append(f"{target:<14} {time.perf_counter() - began:7.1f} s  {verdict}")
        if code:
            failed = target
            break
    not_run = targets[len(rows) :]
    print("---")
    print("\n".join(rows + [f"{target:<14} {'-':>9}  not run" for target in not_run]))
    print(f"{'all':<14} {time.perf_counter() - start:7.1f} s  {'FAILED' if failed else 'ok'}")
    print("\n".join(closing), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
