"""The built page is read once, packed where it pays, and tagged by its bytes."""

import gzip
from pathlib import Path

import pytest

from citadel_k8s.api.page.files import STATIC, read_built
from citadel_k8s.errors import ConfigError
from tests.unit.api.page.pages import SCRIPT, built


def test_every_file_of_the_build_is_known_by_its_name_and_no_other(tmp_path: Path) -> None:
    page = read_built(built(tmp_path))

    assert page.index is not None
    assert set(page.beside) == {"favicon.svg", "favicon-alert.svg"}
    assert set(page.assets) == {"index-a1B2c3D4.js", "index-c3D4e5F6.css", "letters-e5F6_-7H.woff2"}
    assert page.assets["index-a1B2c3D4.js"].content_type == "text/javascript; charset=utf-8"
    assert page.assets["index-c3D4e5F6.css"].content_type == "text/css; charset=utf-8"


def test_what_gzip_makes_smaller_is_packed_once_and_comes_out_the_same(tmp_path: Path) -> None:
    script = read_built(built(tmp_path)).assets["index-a1B2c3D4.js"]

    assert script.packed is not None
    assert gzip.decompress(script.packed.body) == script.plain.body == SCRIPT
    assert len(script.packed.body) < len(script.plain.body) / 2
    assert script.packed.tag != script.plain.tag


def test_what_gzip_makes_no_smaller_is_sent_as_it_is(tmp_path: Path) -> None:
    assert read_built(built(tmp_path)).assets["letters-e5F6_-7H.woff2"].packed is None


def test_what_the_build_packed_smaller_lies_beside_its_file_and_is_none_itself(
    tmp_path: Path,
) -> None:
    folder = built(tmp_path)
    (folder / "assets" / "index-a1B2c3D4.js.br").write_bytes(b"small")
    page = read_built(folder)

    smaller = page.assets["index-a1B2c3D4.js"].smaller
    assert smaller is not None
    assert smaller.body == b"small"
    assert "index-a1B2c3D4.js.br" not in page.assets
    assert page.assets["index-c3D4e5F6.css"].smaller is None


def test_an_ending_that_nobody_knows_is_bytes_which_no_browser_runs(tmp_path: Path) -> None:
    folder = built(tmp_path)
    (folder / "assets" / "odd.wasmish").write_bytes(b"<script>1</script>")

    assert read_built(folder).assets["odd.wasmish"].content_type == "application/octet-stream"


def test_folders_in_it_are_passed_over(tmp_path: Path) -> None:
    folder = built(tmp_path)
    (folder / "assets" / "deeper").mkdir()

    assert "deeper" not in read_built(folder).assets


def test_a_page_that_was_not_built_is_told_from_an_empty_one(tmp_path: Path) -> None:
    missing = read_built(tmp_path / "nowhere")
    assert (missing.index, dict(missing.assets)) == (None, {})


def test_a_file_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    folder = built(tmp_path)
    (folder / "assets" / ("x" * 200)).symlink_to("/proc/self/mem")  # a file that no read gets

    with pytest.raises(ConfigError, match="the page in"):
        read_built(folder)


def test_the_build_goes_where_the_api_looks() -> None:
    config = (Path(__file__).parents[4] / "web/vite.config.ts").read_text()
    assert 'outDir: "../citadel_k8s/api/static"' in config
    assert STATIC.parts[-3:] == ("citadel_k8s", "api", "static")
