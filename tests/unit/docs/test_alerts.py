"""The page of alerts is what the operator does."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter

from citadel_k8s.clients.webhook import signature
from citadel_k8s.config.operator import Alerts, Cordon
from citadel_k8s.domain.alertgroups import GroupKey, Message
from citadel_k8s.domain.alerttext import document
from citadel_k8s.domain.cordoning import Taint
from citadel_k8s.domain.hardware import is_hardware_fault
from citadel_k8s.operator.newsmetrics import NewsMetrics

TEXT = (Path(__file__).parents[3] / "docs/alerts.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_settings_of_the_page_are_those_that_there_are() -> None:
    alerts = Alerts.model_validate(yaml.safe_load(blocks("yaml")[0])["alerts"])
    assert alerts.external_labels == {"cluster": "lab-1"}
    cordon = Cordon.model_validate(yaml.safe_load(blocks("yaml")[-1])["cordon"])
    assert Taint.parse(cordon.taint or "").value == "true"
    told = {row.split("`")[1] for row in TEXT.splitlines() if row.startswith("| `")}
    for field in Alerts.model_fields.values():
        assert field.alias in told


def test_the_metrics_of_the_page_are_those_that_there_are() -> None:
    metrics = NewsMetrics(CollectorRegistry())
    names = set()
    for metric in vars(metrics).values():
        (family,) = metric.describe()
        total = "_total" if isinstance(metric, Counter) else ""
        names.add(family.name + total)
    assert set(re.findall(r"^\| `(citadel_operator_\w+)", TEXT, re.MULTILINE)) == names


@pytest.mark.parametrize(
    ("header", "now", "good"),
    [
        (signature("s3cret", 1000, b"{}"), 1100, True),
        (signature("s3cret", 1000, b"{}"), 1301, False),
        (signature("other", 1000, b"{}"), 1000, False),
        (signature("s3cret", 1000, b"[]"), 1000, False),
        ("", 1000, False),
        ("t=x,v1=y", 1000, False),
        ("t=1000,v1=\u00e9", 1000, False),
    ],
)
def test_the_pages_way_to_verify_a_signature_works(header: str, now: float, good: bool) -> None:  # noqa: FBT001
    namespace: dict[str, Any] = {}
    exec(blocks("python")[0], namespace)
    assert namespace["verified"](header, b"{}", b"s3cret", now) is good


def test_the_document_of_the_page_has_the_fields_that_are_sent() -> None:
    shown = yaml.safe_load(blocks("json")[0])
    message = Message(GroupKey("NodeOffline", "AgentSilent"), "critical", (), 0, ())
    assert list(shown) == list(document(message, {}, ""))


def test_the_faults_of_the_page_are_broken_hardware() -> None:
    line = TEXT.split("broken for certain: ")[1].split(" A driver that hangs")[0]
    named = re.findall(r"`(\w+)`", line) + [
        f"Xid{number}" for number in re.findall(r"\b\d+\b", line)
    ]
    assert len(named) > 8
    assert all(is_hardware_fault(reason) for reason in named)
