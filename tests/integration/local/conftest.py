"""A Go that is a shell script, and the pinned modules that it pretends to build."""

from collections.abc import Callable
from pathlib import Path

import pytest

GO = """#!/bin/sh
echo "$*" >> {home}/calls
if [ "$1 $2" = "env GOVERSION" ]; then echo {version}; exit 0; fi
mkdir -p "$GOCACHE" "$GOMODCACHE/a@v1"
if [ -e "$GOCACHE/done" ]; then echo "resumed" >> {home}/calls; fi
for module in one two three; do echo "go: downloading example.test/$module v1.0.0" >&2; done
echo x > "$GOMODCACHE/a@v1/file"; chmod 555 "$GOMODCACHE/a@v1"
while [ $# -gt 0 ]; do if [ "$1" = "-o" ]; then out=$2; fi; last=$1; shift; done
for package in runtime net/http; do echo $package >&2; sleep {seconds}; done
touch "$GOCACHE/done"
if [ -e {home}/broken ]; then echo "compile: does not compile" >&2; exit 1; fi
case $last in
  */kubectl) names="kube-apiserver kubectl" ;;
  *) names=server ;;
esac
for name in $names; do printf '#!/bin/sh\\necho built\\n' > "$out$name"; chmod 755 "$out$name"; done
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Pinned modules, as far as the finder of Go looks into them."""
    folder = tmp_path / "tools"
    for module in ("kube", "etcd"):
        (folder / module).mkdir(parents=True)
        (folder / module / "go.mod").write_text("module example.test\n\ngo 1.26.0\n")
    (folder / "go").mkdir()
    return folder


@pytest.fixture
def make_go(tmp_path: Path) -> Callable[..., Path]:
    """Write a pretended Go and return its folder, which also has its ``calls`` file."""

    def make(version: str = "go1.26.8", seconds: float = 0.05, name: str = "go-home") -> Path:
        home = tmp_path / name
        home.mkdir()
        script = home / "go"
        script.write_text(GO.format(home=home, version=version, seconds=seconds))
        script.chmod(0o755)
        return home

    return make
