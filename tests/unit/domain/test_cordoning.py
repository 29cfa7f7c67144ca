from typing import Any

import pytest

from citadel_k8s.domain.breaker import CLOSING, Breaker
from citadel_k8s.domain.cordoning import (
    BY,
    DECLINED,
    FAULTS,
    LABEL,
    Taint,
    cordoning,
    declining,
    faults_in,
    forgetting,
    gpus_in,
    is_cordoned,
    is_ours,
    limit_of,
    uncordoning,
)
from citadel_k8s.errors import ConfigError

TAINT = Taint("example.org/broken")
OTHER = {"key": "other", "effect": "NoSchedule"}


def merged(target: Any, patch: Any) -> Any:
    """Apply a merge patch, RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def node(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "n", "resourceVersion": "7"}, "spec": spec}


@pytest.mark.parametrize(
    ("nodes", "ratio", "limit"),
    [(0, 0.1, 0), (9, 0.1, 0), (10, 0.1, 1), (30, 0.1, 3), (5000, 0.1, 500)],
)
def test_the_limit_is_never_over_the_ratio(nodes: int, ratio: float, limit: int) -> None:
    assert limit_of(nodes, ratio) == limit


def test_a_cordon_is_marked_and_taken_back_without_a_trace() -> None:
    plain = node(taints=[OTHER])
    faults = ("GPU 3 GpuLost", "GPU 5 Xid79")
    cordoned = merged(plain, cordoning(plain, faults, 8, TAINT))
    assert is_cordoned(cordoned)
    assert is_ours(cordoned)
    assert faults_in(cordoned, FAULTS) == set(faults)
    assert gpus_in(cordoned) == 8
    assert cordoned["spec"]["taints"] == [OTHER, {"key": TAINT.key, "effect": "NoSchedule"}]
    back = merged(cordoned, uncordoning(cordoned, TAINT))
    assert back["spec"] == {"taints": [OTHER]}
    assert not back["metadata"]["annotations"]
    assert not back["metadata"]["labels"]


def test_a_cordon_names_the_version_that_it_was_decided_on() -> None:
    for patch in (
        cordoning(node(), ("x",), 8, None),
        uncordoning(node(), None),
        declining(node(), None),
        forgetting(node()),
    ):
        assert patch["metadata"]["resourceVersion"] == "7"


def test_without_a_taint_the_taints_of_others_are_not_touched() -> None:
    assert "taints" not in cordoning(node(), ("x",), 8, None)["spec"]
    assert "taints" not in uncordoning(node(), None)["spec"]
    assert "spec" not in declining(node(), None)


def test_a_refusal_remembers_the_faults_until_it_is_forgotten() -> None:
    cordoned = merged(node(), cordoning(node(), ("GPU 3 GpuLost",), 8, TAINT))
    freed = merged(cordoned, {"spec": {"unschedulable": None}})
    declined = merged(freed, declining(freed, TAINT))
    assert not is_ours(declined)
    assert faults_in(declined, DECLINED) == {"GPU 3 GpuLost"}
    assert declined["metadata"]["labels"] == {LABEL: "declined"}
    assert "taints" not in declined["spec"]
    assert not merged(declined, forgetting(declined))["metadata"]["labels"]


def test_somebody_elses_mark_is_not_ours() -> None:
    assert not is_ours({"metadata": {"annotations": {BY: "somebody"}}})
    assert not is_ours({"metadata": {"annotations": None}})
    assert gpus_in({"metadata": {"annotations": {"fabric.aceteam.ai/cordon-gpus": "x"}}}) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", Taint("a")),
        ("a=b", Taint("a", "b")),
        ("a=b:NoExecute", Taint("a", "b", "NoExecute")),
        ("a:PreferNoSchedule", Taint("a", "", "PreferNoSchedule")),
    ],
)
def test_a_taint_is_read_as_kubectl_reads_it(text: str, expected: Taint) -> None:
    assert Taint.parse(text) == expected


@pytest.mark.parametrize("text", ["", ":NoSchedule", "a:Never", "=b"])
def test_what_is_no_taint_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"cordon\.taint"):
        Taint.parse(text)


def test_the_breaker_opens_only_when_something_would_be_done() -> None:
    breaker = Breaker()
    assert breaker.judge(wanted=11, limit=10, ripe=False, now=0) is None
    assert breaker.judge(wanted=11, limit=10, ripe=True, now=1) == "opened"
    assert breaker.judge(wanted=11, limit=10, ripe=True, now=2) is None
    assert breaker.is_open


def test_the_breaker_closes_after_a_time_with_little_to_do() -> None:
    breaker = Breaker()
    breaker.judge(wanted=11, limit=10, ripe=True, now=0)
    assert breaker.judge(wanted=10, limit=10, ripe=True, now=10) is None
    assert breaker.judge(wanted=11, limit=10, ripe=True, now=20) is None
    assert breaker.judge(wanted=0, limit=10, ripe=False, now=30) is None
    assert breaker.judge(wanted=0, limit=10, ripe=False, now=29 + CLOSING) is None
    assert breaker.judge(wanted=0, limit=10, ripe=False, now=30 + CLOSING) == "closed"
    assert not breaker.is_open
