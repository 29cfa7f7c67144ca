"""What the doctor makes of what it finds, without any server."""

from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml

from citadel_k8s.cli.doctor import cluster, pipeline, redisrules, rights, security, workloads
from citadel_k8s.cli.doctor.finding import Verdict, exit_status, failure, ok, unknown, warning
from citadel_k8s.cli.doctor.objects import moment
from citadel_k8s.stores.inspection import Inspected

MANIFESTS = Path(__file__).parents[4] / "manifests"
OK, WARNING, FAILURE, UNKNOWN = Verdict
NOW = 1_795_420_800.0


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / name).read_text()))


def daemonset() -> dict[str, Any]:
    return next(d for d in documents("agent.yaml") if d["kind"] == "DaemonSet")


def space(level: str | None) -> dict[str, Any]:
    labels = {} if level is None else {security.ENFORCE: level}
    return {"metadata": {"name": "citadel", "labels": labels}}


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([ok("a", "")], 0),
        ([ok("a", ""), warning("b", "")], 0),
        ([unknown("a", ""), warning("b", "")], 3),
        ([unknown("a", ""), failure("b", "")], 1),
        ([], 0),
    ],
)
def test_the_exit_status_tells_broken_from_not_looked_at(findings: list[Any], status: int):
    assert exit_status(findings) == status


def test_what_the_operator_needs_is_what_the_manifests_grant():
    granted = set[rights.Right]()
    for role in documents("rbac.yaml"):
        if (
            role["kind"] not in {"Role", "ClusterRole"}
            or "operator" not in role["metadata"]["name"]
        ):
            continue
        for rule in role["rules"]:
            granted |= {
                rights.Right(verb, resource, group, role["metadata"].get("namespace", ""), name)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
                for name in rule.get("resourceNames", [""])
            }
    assert set(rights.of_the_operator("citadel")) == granted


def test_every_field_that_the_operator_writes_is_in_the_definition_of_the_manifests():
    for plural in ("fabricnodes", "fabricstatuses"):
        found = documents(f"crds/{plural}.yaml")[0]
        found["status"] = {
            "conditions": [{"type": "Established", "status": "True"}],
            "storedVersions": ["v1alpha1"],
        }
        assert cluster.definition(plural, found, "x").verdict is OK
        found["status"]["storedVersions"].append("v1alpha0")
        assert cluster.definition(plural, found, "x").verdict is FAILURE
        found["spec"]["versions"][0]["served"] = False
        assert "not served" in cluster.definition(plural, found, "x").said
        found["status"]["conditions"] = []
        assert "not established" in cluster.definition(plural, found, "x").said


@pytest.mark.parametrize(
    ("minor", "verdict"), [("28", OK), ("29+", OK), ("27", FAILURE), ("", UNKNOWN)]
)
def test_a_version_is_held_to_the_oldest_that_is_supported(minor: str, verdict: Verdict):
    told = {"major": "1", "minor": minor, "gitVersion": "v1.x"}
    assert cluster.version(told).verdict is verdict


@pytest.mark.parametrize(
    ("off", "verdict"),
    [(0, OK), (0.9, OK), (-1.5, OK), (4, WARNING), (-4, WARNING), (60, FAILURE), (-60, FAILURE)],
)
def test_a_clock_is_judged_by_a_date_in_whole_seconds(off: float, verdict: Verdict):
    date = formatdate(NOW - off, usegmt=True)
    assert cluster.clock(date, NOW, NOW + 0.1).verdict is verdict


def test_a_slow_answer_is_no_skew():
    assert cluster.clock(formatdate(NOW + 3, usegmt=True), NOW, NOW + 4).verdict is OK


def test_the_agent_of_the_manifests_needs_privileged_and_says_for_what():
    level, because = security.level_of(daemonset()["spec"]["template"]["spec"])
    assert level == "privileged"
    assert "hostPath /proc" in because


def test_an_agent_without_host_folders_passes_restricted():
    spec = daemonset()["spec"]["template"]["spec"]
    spec["volumes"] = [v for v in spec["volumes"] if "hostPath" not in v]
    assert security.level_of(spec)[0] == "baseline"  # it runs as root
    spec["securityContext"]["runAsNonRoot"] = True
    assert security.level_of(spec) == ("restricted", [])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hostPID": True}, "hostPID"),
        ({"hostNetwork": True}, "hostNetwork"),
    ],
)
def test_what_baseline_forbids_is_named(change: dict[str, Any], why: str):
    assert security.level_of(change | {"containers": []}) == ("privileged", [why])


@pytest.mark.parametrize(
    ("label", "verdict"),
    [(None, OK), ("privileged", OK), ("baseline", FAILURE), ("lax", WARNING)],
)
def test_a_namespaces_label_is_held_against_what_the_pods_need(label: Any, verdict: Verdict):
    found = security.pod_security(space(label), daemonset())
    assert found.verdict is verdict
    assert (found.fix is None) == (verdict is OK)


def test_a_runtime_class_that_cannot_be_looked_at_is_unknown():
    spec = {"runtimeClassName": "nvidia"}
    found = security.runtime_class(spec, None, forbidden=True, installed=daemonset())
    assert found.verdict is UNKNOWN
    found = security.runtime_class({}, None, forbidden=False, installed=daemonset())
    assert found.verdict is OK


def status(**numbers: int) -> dict[str, Any]:
    return daemonset() | {"status": {"observedGeneration": 1, **numbers}}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([], FAILURE),
        ([daemonset()], FAILURE),
        ([status(desiredNumberScheduled=0)], WARNING),
        ([status(desiredNumberScheduled=2, numberReady=1)], FAILURE),
        ([status(desiredNumberScheduled=2, numberReady=2, updatedNumberScheduled=1)], WARNING),
        ([status(desiredNumberScheduled=2, numberReady=2, updatedNumberScheduled=2)], OK),
    ],
)
def test_a_daemonset_is_judged_by_what_its_controller_says(found: list[Any], verdict: Verdict):
    assert workloads.agents(found, "citadel").verdict is verdict


def test_nodes_that_are_heard_without_a_daemonset_are_only_a_warning():
    assert workloads.agents([], "citadel", heard=True).verdict is WARNING
    assert workloads.operators([], "citadel", writes=True).verdict is WARNING
    assert pipeline.leader(None, NOW, "citadel", written=True).verdict is WARNING


@pytest.mark.parametrize(
    ("ready", "replicas", "verdict"),
    [(2, 2, OK), (1, 2, WARNING), (0, 2, FAILURE), (0, 0, FAILURE)],
)
def test_operators_are_counted(ready: int, replicas: int, verdict: Verdict):
    one = {
        "metadata": {"name": "citadel-operator"},
        "spec": {"replicas": replicas},
        "status": {"readyReplicas": ready},
    }
    assert workloads.operators([one], "citadel").verdict is verdict


def test_a_pod_tells_why_it_fails_and_its_logs_are_named_after_a_crash():
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    container = {"state": waiting, "lastState": {"terminated": {"reason": "OOMKilled"}}}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}}
    found = workloads.pods([pod], [], "citadel")
    assert found.said == "1 pods fail: p: CrashLoopBackOff (OOMKilled)"
    assert found.fix == "kubectl -n citadel logs --previous p"


def test_pods_that_were_refused_are_told_by_their_event():
    event = {
        "reason": "FailedCreate",
        "message": "violates PodSecurity",
        "involvedObject": {"name": "citadel-agent"},
    }
    assert workloads.pods([], [event], "citadel").said == "citadel-agent: violates PodSecurity"


def test_a_pod_that_is_only_starting_is_left_alone():
    waiting = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    pod = {"status": {"containerStatuses": [waiting], "phase": "Pending"}}
    assert list(workloads.reasons(pod)) == []


def lease(age: float, **spec: Any) -> dict[str, Any]:
    renewed = {"renewTime": "2026-11-23T08:00:00.000000Z", "holderIdentity": "op-1"}
    del age
    return {"spec": renewed | {"leaseDurationSeconds": 15} | spec}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (None, FAILURE),
        (lease(0), OK),
        (lease(0, renewTime="2026-11-23T07:59:00Z"), FAILURE),
        (lease(0, holderIdentity=None), FAILURE),
        (lease(0, renewTime="nonsense"), UNKNOWN),
    ],
)
def test_a_lease_has_to_be_held_and_fresh(found: Any, verdict: Verdict):
    now = moment("2026-11-23T08:00:02Z")
    assert now is not None
    assert pipeline.leader(found, now, "citadel").verdict is verdict


def told(state: str, confirmed: str = "2026-11-23T08:00:00Z") -> dict[str, Any]:
    condition = {"type": "HeartbeatPipelineHealthy", "status": state, "reason": "R", "message": "m"}
    return {"status": {"conditions": [condition], "confirmedTime": confirmed}}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (None, FAILURE),
        (told("True"), OK),
        (told("False"), FAILURE),
        (told("Unknown"), UNKNOWN),
        (told("True", "2026-11-23T07:00:00Z"), FAILURE),
        ({"status": {}}, UNKNOWN),
    ],
)
def test_the_operators_word_counts_while_it_is_fresh(found: Any, verdict: Verdict):
    now = moment("2026-11-23T08:00:02Z")
    assert now is not None
    assert pipeline.fabric(found, now, "citadel").verdict is verdict


def node(name: str, state: str, clock: str | None = None) -> dict[str, Any]:
    conditions = (
        []
        if clock is None
        else [{"type": "ClockSynced", "status": clock, "message": "off by +90 s"}]
    )
    return {"metadata": {"name": name}, "status": {"state": state, "conditions": conditions}}


@pytest.mark.parametrize(
    ("nodes", "verdict", "clocks"),
    [
        ([], FAILURE, UNKNOWN),
        ([node("a", "Offline")], FAILURE, UNKNOWN),
        ([node("a", "Online", "True"), node("b", "Offline")], WARNING, OK),
        ([node("a", "Online", "True"), node("b", "Decommissioned")], OK, OK),
        ([node("a", "Degraded", "False")], OK, WARNING),
    ],
)
def test_one_node_that_is_heard_is_what_counts(nodes: Any, verdict: Verdict, clocks: Verdict):
    assert pipeline.heartbeats(nodes, "citadel").verdict is verdict
    assert pipeline.node_clocks(nodes).verdict is clocks


@pytest.mark.parametrize(
    ("found", "verdicts"),
    [
        (Inspected(), (UNKNOWN, UNKNOWN, OK, UNKNOWN)),
        (
            Inspected(
                server_ms=1_795_420_800_000,
                policy="noeviction",
                memory_bytes=1,
                limit_bytes=0,
                stream=True,
                last_ms=1_795_420_799_000,
                length=3,
            ),
            (OK, OK, OK, OK),
        ),
        (
            Inspected(
                server_ms=1_795_420_700_000,
                policy="allkeys-lru",
                memory_bytes=1,
                limit_bytes=9,
                stream=True,
                last_ms=1_795_420_000_000,
                length=3,
                refused=("XREAD",),
            ),
            (FAILURE, FAILURE, FAILURE, FAILURE),
        ),
        (
            Inspected(
                server_ms=1_795_420_795_000,
                policy="noeviction",
                memory_bytes=95,
                limit_bytes=100,
                stream=False,
            ),
            (WARNING, FAILURE, OK, WARNING),
        ),
        (
            Inspected(
                server_ms=1_795_420_800_000,
                policy="allkeys-lru",
                memory_bytes=9,
                limit_bytes=0,
                stream=True,
            ),
            (WARNING, UNKNOWN, OK, OK),
        ),
    ],
)
def test_what_redis_tells_is_judged(found: Inspected, verdicts: tuple[Verdict, ...]):
    judged = redisrules.judged(found, NOW)
    assert tuple(f.check for f in judged) == redisrules.CHECKS
    assert tuple(f.verdict for f in judged[1:]) == verdicts


def test_a_redis_without_an_address_is_as_well_as_the_operator_says():
    assert redisrules.by_hearsay(ok("pipeline", "m"), "citadel")[0].verdict is OK
    assert redisrules.by_hearsay(unknown("pipeline", "m"), "citadel")[0].verdict is UNKNOWN


def test_a_policy_that_denies_nothing_is_a_warning():
    bound = {"spec": {"validationActions": ["Audit"]}}
    assert cluster.policy({"metadata": {"name": "p"}}, bound, (1, 30)).verdict is WARNING
    assert cluster.policy({"metadata": {"name": "p"}}, None, (1, 30)).verdict is WARNING
    assert cluster.policy(None, None, (1, 29)).verdict is OK


def test_what_helm_made_is_mended_by_helm():
    made = {
        "metadata": {
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "fabric",
                "meta.helm.sh/release-namespace": "gpu",
            },
        }
    }
    assert cluster.helm(made) == "helm -n gpu upgrade fabric charts/citadel-k8s --reuse-values"
    assert cluster.helm({}) is None


def test_words_of_servers_cannot_move_the_cursor():
    assert "\x1b" not in failure("a", "x\x1b[2Jy\nz").said
