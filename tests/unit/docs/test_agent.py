"""The agent's page is what the agent is."""

import re
from pathlib import Path, PurePath
from typing import Any, get_args

import pydantic
import pytest

from citadel_k8s.agent.http import OPEN_PATHS
from citadel_k8s.agent.wiring import Collectors
from citadel_k8s.collectors.engines.commands import DEFAULT_PORTS
from citadel_k8s.config.agent import AgentSettings, EngineEndpoint, EngineKind

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/agent.md").read_text()
NESTED = {"pods", "canary"}


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def shown(default: Any) -> str:
    match default:
        case None:
            return "\N{EN DASH}"
        case ():
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{default:g}`"
        case PurePath():
            return f"`{default.as_posix()}`"
        case _:
            return f"`{default}`"


def settings(model: type[pydantic.BaseModel], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for field in model.model_fields.values():
        key = f"{prefix}{field.alias}"
        default = field.get_default(call_default_factory=True)
        if field.alias in NESTED:
            found |= settings(type(default), f"{key}.")
        else:
            found[key] = shown(default)
    return found


def test_every_setting_is_told_with_its_default_and_no_other():
    told = {row[0].strip("`"): row[1] for row in rows(section("Settings"))[1:]}
    assert told == settings(AgentSettings)


def test_every_setting_of_an_engine_is_told():
    (row,) = [row for row in rows(section("Settings")) if row[0] == "`engines`"]
    for field in EngineEndpoint.model_fields.values():
        assert f"`{field.alias}`" in row[2]


def test_every_kind_of_service_is_told():
    table = rows((ROOT / "docs/engines.md").read_text())
    kinds = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in table)))
    assert kinds == set(get_args(EngineKind))


def test_the_usual_ports_are_told():
    for _, port in DEFAULT_PORTS:
        assert re.search(rf"\b{port}\b", section("What it reads"))


def test_every_source_is_told():
    told = {row[0].strip("`") for row in rows(section("What it reads"))}
    sources = {"host", "drm", "pods", "processes", "containers", "engines"}
    assert sources <= set(Collectors.__dataclass_fields__)
    assert sources | {"nvml"} <= told


def test_every_route_is_told_and_whether_it_is_open():
    told = {
        route: row[2:] == ["yes"]
        for row in rows(section("What it serves"))[1:]
        for route in re.findall(r"`(/[\w/]+)`", row[0])
    }
    source = (ROOT / "citadel_k8s/agent/http.py").read_text()
    assert set(told) == set(re.findall(r'\("(/[\w/]+)", self\._', source))
    assert {route for route, is_open in told.items() if is_open} == OPEN_PATHS


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"])
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target
