"""The operator's page is what the operator is."""

import re
from pathlib import Path
from typing import Any, get_args

import pydantic
import pytest
from prometheus_client.metrics import MetricWrapperBase

from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.domain import collapse, election, pipe, witness
from citadel_k8s.domain.conditions import OURS
from citadel_k8s.domain.pipe import Witnesses, collapse_condition
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator import canary, fabricstatus, housekeeping, leases, memory, projector
from citadel_k8s.operator import pipe as watch
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.registry import QUARANTINE_MAX, UnknownNodes

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/operator.md").read_text()
METRICS = (ROOT / "docs/metrics.md").read_text()
STATES = (ROOT / "docs/states.md").read_text()
NESTED = {"election", "alerts", "cordon"}


def section(title: str, text: str = TEXT) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def shown(default: Any) -> str:
    match default:
        case None:
            return "\N{EN DASH}"
        case dict():
            assert not default
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{default:g}`"
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
    assert told == settings(OperatorSettings)


def test_every_fate_of_an_unknown_id_is_told():
    told = re.findall(r"^- `(\w+)`:", section("Ids that nobody knows"), re.MULTILINE)
    assert told == list(get_args(UnknownNodes))
    assert f"The last {QUARANTINE_MAX} are" in section("Ids that nobody knows")


def test_every_route_is_told():
    told = re.findall(r"^\| `(/\w+)`", section("What it serves"), re.MULTILINE)
    source = (ROOT / "citadel_k8s/telemetry/probes.py").read_text()
    assert told == re.findall(r'add_get\("(/\w+)"', source)


def test_every_way_in_which_the_pipeline_can_fare_is_told():
    table = section("FabricStatus").split("| PIPELINE | REASON |")[1]
    told = {(row[0], row[1]) for row in rows(table) if row[0] in {"True", "False", "Unknown"}}
    collapses = [
        collapse_condition(10, 10, seen) for seen in (Witnesses(5), Witnesses(0, 5), Witnesses())
    ]
    assert told == {(c.status, c.reason) for c in collapses} | {
        ("True", "Healthy"),
        ("False", "ReaderDown"),
        ("False", "CanaryLost"),
        ("Unknown", "CanaryLost"),
        ("Unknown", "OwnPause"),
    }
    source = (ROOT / "citadel_k8s/operator/pipe.py").read_text()
    given = re.findall(r'PipeCondition\(\s*"(\w+)", "(\w+)"', source)
    assert set(given) <= told


def test_the_columns_of_the_page_are_those_of_the_definition():
    definition = (ROOT / "manifests/crds/fabricstatuses.yaml").read_text()
    columns = re.findall(r"^ +- name: (\S+)\n +type:", definition, re.MULTILINE)
    table = section("FabricStatus").split("| PIPELINE | REASON |")[0]
    told = {name.strip() for row in rows(table)[1:] for name in row[0].split(",")}
    assert told == {name.upper() for name in columns} - {"AGE"}


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (f"{watch.PROOF_LATE:.0f} s: `ReaderDown`", "How a verdict comes about"),
        (f"each {canary.CANARY_EVERY:.0f} s, read back", "How a verdict comes about"),
        (f"{watch.CANARY_LATE:.0f} s: `CanaryLost`", "How a verdict comes about"),
        (f"later than {watch.OWN_PAUSE:.0f} s", "How a verdict comes about"),
        (f"({watch.SHIFT_MAX:.0f} s at most)", "How a verdict comes about"),
        (f"{collapse.COLLAPSE_SHARE:.0%}".replace("%", " %"), "How a verdict comes about"),
        (f"{collapse.RECOVERED_SHARE:.0%}".replace("%", " %"), "How a verdict comes about"),
        (f"{pipe.PROBE_WAIT:.0f} s at most", "How a verdict comes about"),
        (f"in {collapse.RELEASE_SECONDS / 60:.0f} min", "How a verdict comes about"),
        (f"{collapse.RELEASE_PACE_MAX:.0f} s apart at most", "How a verdict comes about"),
        (f"for {leases.LEASE_SECONDS:.0f} s of looking", "How a verdict comes about"),
        (f"(held for {fabricstatus.STEADY:.0f} s", "FabricStatus"),
        (f"writes {fabricstatus.CHANGE_EVERY:.0f} s apart", "FabricStatus"),
        (f"once in {fabricstatus.TEXT_EVERY:.0f} s", "FabricStatus"),
        (f"every {fabricstatus.REFRESH_EVERY / 60:.0f} minutes", "FabricStatus"),
        (f"each {election.RETRY:.0f} s", "Who leads"),
        (f"stops writing {election.leads_until(0):.0f} s", "Who leads"),
        (f"after {election.COURTESY + election.DURATION:.0f} s", "Who leads"),
        (f"saved every {memory.SAVE_INTERVAL:.0f} s and {memory.URGENT_GAP} s", "At a start"),
        (f"{memory.SPEC_HOURS:.0f} h", "At a start"),
        (f"{projector.FAST_RATE:.0f} writes a second", "Writes"),
        (f"{projector.SLOW_RATE:g} for texts", "Writes"),
        (f"{projector.WRITES_AT_ONCE} under way", "Writes"),
        (f"{housekeeping.ENTRY_MINUTES:.0f} minutes", "What it clears up"),
        (f"{housekeeping.GROUP_HOURS:.0f} h", "What it clears up"),
        (f"{housekeeping.REMOVED_AT_ONCE} in a round", "What it clears up"),
    ],
)
def test_the_numbers_of_the_page_are_those_of_the_code(words: str, title: str):
    assert words in re.sub(r"\s+", " ", section(title))


def test_three_late_nodes_make_a_collapse_and_three_addresses_are_asked():
    assert (collapse.LATE_MIN, witness.ADDRESSES_MAX) == (3, 3)


def test_every_state_and_every_condition_is_told():
    table = rows(STATES.split("\n## ")[0])
    assert {row[0] for row in table} >= set(NodeState)
    assert {row[0] for row in rows(section("Conditions", STATES))[1:]} == OURS


def exported() -> dict[str, tuple[str, str]]:
    """Give type and meaning of all series, the names with their labels."""
    metrics = OperatorMetrics()
    metrics.watch({})
    news = NewsMetrics(metrics.registry)
    found: dict[str, tuple[str, str]] = {}
    for part in (*vars(metrics).values(), *vars(news).values()):
        if not isinstance(part, MetricWrapperBase):
            continue
        (family,) = part.describe()
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = f"{{{','.join(part._labelnames)}}}" if part._labelnames else ""
        found[f"{name}{labels}"] = (family.type, family.documentation)
    for name, label in (("citadel_nodes", "state"), ("citadel_node_state", "node,state")):
        kind, meaning = head_of(name, metrics)
        found[f"{name}{{{label}}}"] = (kind, meaning)
    return found


def head_of(name: str, metrics: OperatorMetrics) -> tuple[str, str]:
    text = metrics.render("")[0].decode()
    (meaning,) = re.findall(rf"^# HELP {name} (.*)$", text, re.MULTILINE)
    (kind,) = re.findall(rf"^# TYPE {name} (.*)$", text, re.MULTILINE)
    return kind, meaning


def test_every_metric_is_told_with_its_labels_and_meaning_and_no_other():
    found = exported()
    told = {
        row[0].strip("`"): (row[1], row[2])
        for row in rows(section("The operator", METRICS).split("### What to watch")[0])
        if row[0].startswith("`citadel_")
    }
    assert told == found


def test_the_registry_serves_nothing_that_is_not_told():
    metrics = OperatorMetrics()
    metrics.watch({})
    NewsMetrics(metrics.registry)
    served = re.findall(r"^# TYPE (\w+) ", metrics.render("")[0].decode(), re.MULTILINE)
    told = {name.split("{")[0] for name in exported()}
    assert {name for name in served if not name.endswith("_created")} == told
