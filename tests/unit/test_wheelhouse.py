"""The image's wheel has the Fabric page in it, or is not made."""

import runpy
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "wheelhouse.py"))
INDEX = '<link href="/favicon.svg"><script src="/assets/index-a1.js"></script>'
STATIC = "citadel_k8s/api/static"


def wheel(folder: Path, **files: str) -> Path:
    path = folder / "citadel_k8s-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("citadel_k8s/__init__.py", "")
        for name, text in files.items():
            packed.writestr(f"{STATIC}/{name}", text)
    return path


def test_a_wheel_with_the_page_and_all_of_its_files_passes(tmp_path: Path) -> None:
    files = {"index.html": INDEX, "favicon.svg": "<svg/>", "assets/index-a1.js": "1"}
    TOOL["check_page"](wheel(tmp_path, **files))


@pytest.mark.parametrize(
    ("files", "lacking"),
    [
        ({}, "no Fabric page"),
        ({"index.html": "<html>"}, "no Fabric page"),
        ({"index.html": INDEX, "favicon.svg": ""}, "assets/index-a1.js"),
    ],
)
def test_a_wheel_without_the_page_is_refused(
    tmp_path: Path, files: dict[str, str], lacking: str
) -> None:
    with pytest.raises(SystemExit, match=lacking) as caught:
        TOOL["check_page"](wheel(tmp_path, **files))
    assert "make page" in str(caught.value)
