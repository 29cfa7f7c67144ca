"""Rules of the house that no linter has."""

import ast
import configparser
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "citadel_k8s"
MODULES = sorted(PACKAGE.rglob("*.py"))
LOCKS = [ROOT / "requirements.lock", ROOT / "tools" / "uv.lock.txt"]
HOUSE = runpy.run_path(str(ROOT / "tools" / "house.py"))


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def constants(tree: ast.Module) -> list[tuple[str, bool]]:
    """Name of each constant of a module, and whether a text stands under it."""
    found = []
    for statement, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            told = (
                isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            )
            found.append((statement.target.id, told))
    return found


def test_every_constant_says_under_it_what_it_is() -> None:
    found = constants(ast.parse((PACKAGE / "constants.py").read_text()))

    assert found
    assert [name for name, told in found if not told] == []


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_a_module_keeps_the_rules_of_the_house(path: Path) -> None:
    assert HOUSE["problems"](path) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n" * 401, "401 lines"),
        ("# " + "TO" + "DO: later\n", "some.py:1: work left open"),
        ("x = 1\npath = '/ro" + "ot/x'\n", "some.py:2: a folder of one machine"),
        ("-----BEGIN EC PRIVATE " + "KEY-----\n" + "a" * 20, "secret"),
        ("token = 'gh" + "p_" + "a" * 36 + "'\n", "secret"),
        ("x" * 1_100_000, "1100000 bytes"),
    ],
)
def test_what_the_house_forbids_is_found(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "some.py"
    path.write_text(text)

    assert told in HOUSE["problems"](path)[0]


@pytest.mark.parametrize(
    "text", ["x = 1\n" * 400, "# /proc/1/root/etc\n", "# https://host/work/x\n"]
)
def test_what_only_looks_forbidden_is_not(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.py"
    path.write_text(text)

    assert HOUSE["problems"](path) == []


def test_every_dependency_says_what_it_is_for() -> None:
    requirement = re.compile(r'^\s+"(?!citadel-k8s\[)[A-Za-z0-9_.\[\]-]+(?:[<>=!~][^"]*)",?(.*)$')
    text = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]")[0]
    text = text.partition("\ndependencies = [")[2]
    comments = [
        found.group(1).strip() for found in map(requirement.match, text.splitlines()) if found
    ]

    extras = pyproject()["project"]["optional-dependencies"]
    listed = [
        *pyproject()["project"]["dependencies"],
        *(name for e in extras.values() for name in e),
    ]
    assert len(comments) == len([name for name in listed if not name.startswith("citadel-k8s[")])
    assert [comment for comment in comments if not re.match(r"# \S.{8,}", comment)] == []


@pytest.mark.parametrize("path", LOCKS, ids=names)
def test_a_lock_pins_every_package_by_hash_and_names_no_registry(path: Path) -> None:
    text = path.read_text()
    entries = re.findall(r"^(?!#)(\S.*?)(?=^\S|\Z)", text, flags=re.MULTILINE | re.DOTALL)

    assert entries
    assert [e for e in entries if not re.match(r"[a-z0-9.-]+==\S+", e)] == []
    assert [e for e in entries if "--hash=sha256:" not in e] == []
    assert not re.search(r"https?:|--(extra-)?index|--find-links|--trusted-host", text)


def test_the_lock_names_every_direct_dependency() -> None:
    locked = set(re.findall(r"^([a-z0-9.-]+)==", LOCKS[0].read_text(), flags=re.MULTILINE))
    project = pyproject()["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    plain = {re.split(r"[\[<>=!~ ]", name)[0].lower().replace("_", "-") for name in wanted}

    assert plain - {"citadel-k8s"} <= locked


def test_every_room_stands_on_a_floor() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:floors"]["layers"]
    floors = set(re.findall(r"\w+", layers))
    rooms = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }

    assert rooms - {"__init__", "__main__"} <= floors
    assert contracts["importlinter:contract:floors"].getboolean("exhaustive")


def test_every_ignored_lint_rule_has_its_reason() -> None:
    section = (ROOT / "pyproject.toml").read_text().partition("\nignore = [")[2].partition("\n]")[0]

    assert [line for line in section.splitlines() if line.strip() and "#" not in line] == []


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_no_module_silences_a_tool_without_naming_the_rule(path: Path) -> None:
    silenced = re.findall(r"#\s*(noqa|type: ignore|pyright: ignore)(?!:\s*\w|\[)", path.read_text())

    assert silenced == []
