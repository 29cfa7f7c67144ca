#!/bin/sh
# Makes .venv what requirements.lock says; does nothing, quickly, when it already is.
# PYTHON=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

# A warm .venv answers for itself; anything else is the business of a Python from outside.
if [ -z "${PYTHON:-}" ] && .venv/bin/python -I tools/bootstrap.py --fresh 2>/dev/null; then
    exit 0
fi

# Shims of version managers exist for versions that do not run: only running one tells.
runs() {
    "$1" -I -c "import sys$2; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1
}

# An environment that only has to be brought up to date keeps its interpreter.
own=$(.venv/bin/python -I -c 'import sys; print(sys._base_executable)' 2>/dev/null) || own=
candidates=${PYTHON:-$own python3.13 python3.12 python3.11 python3 python}

for needs in ", ensurepip, venv" ""; do
    for candidate in $candidates; do
        if runs "$candidate" "$needs"; then
            exec "$candidate" -I tools/bootstrap.py
        fi
    done
done

if [ -n "${PYTHON:-}" ]; then
    echo "bootstrap: PYTHON=$PYTHON does not run or is older than 3.11" >&2
else
    echo "bootstrap: no Python >= 3.11 found." >&2
    echo "  Debian, Ubuntu: apt-get install python3 python3-venv" >&2
    echo "  Fedora: dnf install python3.13     elsewhere: PYTHON=/path/to/python make ..." >&2
fi
exit 1
