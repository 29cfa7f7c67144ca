from pathlib import Path

import pytest

from citadel_k8s.domain.xids import LOOK_UP, RULES, rule_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "gpu-faults.md"


def test_the_table_knows_most_numbers_that_a_driver_tells():
    assert len(RULES) >= 100
    assert all(rule.xid == xid for xid, rule in RULES.items())


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.xid)
def test_each_rule_says_what_it_means_in_known_words(rule):
    assert rule.name
    assert rule.severity in {"info", "warning", "fatal"}
    assert rule.cause in {"application", "driver", "hardware", "thermal", "power", "unknown"}
    assert rule.marks in {"none", "degraded", "failed"}
    assert rule.remedy.endswith((".", ";"))
    assert len(rule.remedy) < 120


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.xid)
def test_what_marks_a_gpu_is_no_application_and_what_fails_one_is_fatal(rule):
    if rule.cause == "application" or rule.severity == "info":
        assert rule.marks == "none"
    if rule.marks == "failed":
        assert rule.severity == "fatal"
        assert not rule.clears  # silence is no sign that anything runs again


@pytest.mark.parametrize("xid", [13, 31, 43, 45, 68, 69])
def test_an_applications_errors_are_called_so(xid: int):
    assert rule_of(xid).cause == "application"


def test_a_contained_memory_error_hits_one_application_and_marks_no_gpu():
    assert (rule_of(94).marks, rule_of(95).marks) == ("none", "failed")


@pytest.mark.parametrize("xid", [62, 64, 79, 95, 119, 120, 140, 143])
def test_errors_after_which_nothing_runs_fail_the_gpu(xid: int):
    assert rule_of(xid).marks == "failed"


@pytest.mark.parametrize("xid", [48, 74])
def test_errors_that_ask_for_a_reset_weigh_until_there_was_one(xid: int):
    rule = rule_of(xid)
    assert (rule.marks, rule.clears) == ("degraded", False)


@pytest.mark.parametrize("xid", [0, -1, 999, 10**9])
def test_a_number_that_nobody_knows_is_worth_a_look_and_marks_no_gpu(xid: int):
    rule = rule_of(xid)
    assert (rule.xid, rule.severity, rule.cause, rule.marks) == (xid, "warning", "unknown", "none")
    assert rule.clears
    assert rule.remedy == LOOK_UP


def test_the_document_has_the_same_table():
    rows = [
        f"| {r.xid} | {r.name} | {r.severity} | {r.cause} | {r.marks} | "
        f"{'yes' if r.clears else 'no'} | {r.remedy} |"
        for r in RULES.values()
    ]
    told = [line for line in DOCUMENT.read_text().splitlines() if line[:3].strip("| ").isdigit()]
    assert told == rows
