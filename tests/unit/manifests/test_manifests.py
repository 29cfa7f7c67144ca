"""The manifests against the schemas of real Kubernetes versions, and what no schema knows."""

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.config.base import load as load_settings
from citadel_k8s.config.operator import OperatorSettings

ROOT = Path(__file__).parents[3]
MANIFESTS = ROOT / "manifests"
LISTED = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
DOCUMENTS: list[dict[str, Any]] = [
    document for name in LISTED for document in yaml.safe_load_all((MANIFESTS / name).read_text())
]


def named(document: dict[str, Any]) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def pods() -> list[Any]:
    specs = [d["spec"]["template"]["spec"] for d in DOCUMENTS if "template" in d.get("spec", {})]
    return [pytest.param(spec, id=spec["containers"][0]["name"]) for spec in specs]


def without_selectable_fields(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what came with Kubernetes 1.30; older servers do too, with a warning."""
    older = copy.deepcopy(document)
    if document["kind"] == "CustomResourceDefinition":
        for version in older["spec"]["versions"]:
            version.pop("selectableFields", None)
    return older


def test_every_file_is_listed() -> None:
    files = {str(file.relative_to(MANIFESTS)) for file in MANIFESTS.rglob("*.yaml")}
    assert files - {"kustomization.yaml", "cordon.yaml"} == set(LISTED)


def test_changing_nodes_is_a_right_of_its_own_that_nobody_gets_unasked() -> None:
    given = [r for d in DOCUMENTS for r in d.get("rules") or [] if "nodes" in r["resources"]]
    assert [rule["verbs"] for rule in given] == [["get", "list", "watch"]]
    documents = yaml.safe_load_all((MANIFESTS / "cordon.yaml").read_text())
    (rule,) = (rule for document in documents for rule in document.get("rules") or [])
    assert rule == {"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]}


@pytest.mark.parametrize("version", ["1.28", "1.31", "1.36", "1.37"])
@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_object_fits_the_schema_of(document: dict[str, Any], version: str) -> None:
    if version == "1.28" and "AdmissionPolicy" in document["kind"]:
        pytest.skip("policies came with Kubernetes 1.30")
    taken = without_selectable_fields(document) if version == "1.28" else document
    kubernetes_validate.validate(taken, version, strict=True)


@pytest.mark.parametrize("pod", pods())
def test_every_pod_has_no_privileges(pod: dict[str, Any]) -> None:
    assert not {"hostPID", "hostNetwork", "hostIPC"} & set(pod)
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("pod", pods())
def test_every_container_is_probed_and_bounded(pod: dict[str, Any]) -> None:
    for container in pod["containers"]:
        assert {"livenessProbe", "readinessProbe"} <= set(container)
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("pod", pods())
def test_every_folder_of_the_host_is_mounted_read_only(pod: dict[str, Any]) -> None:
    host = {volume["name"] for volume in pod["volumes"] if "hostPath" in volume}
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert all(mounts[name]["readOnly"] for name in host)
    if container["name"] != "agent":
        assert host == set()
        assert pod["securityContext"]["runAsNonRoot"] is True


def test_the_operator_is_two_of_which_one_leads() -> None:
    objects = {named(document): document for document in DOCUMENTS}
    spec = objects["Deployment/citadel-operator"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (2, "RollingUpdate")
    settings = yaml.safe_load(
        objects["ConfigMap/citadel-operator"]["data"]["operator.yaml"]
    )  # fmt: skip
    (rule,) = (r for r in objects["Role/citadel-operator"]["rules"] if "resourceNames" in r)
    assert settings["election"] == {
        "enabled": True,
        "namespace": objects["Role/citadel-operator"]["metadata"]["namespace"],
        "name": rule["resourceNames"][0],
    }
    budget = objects["PodDisruptionBudget/citadel-operator"]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": spec["selector"]}
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"] == spec["selector"]


def test_the_policy_lets_the_operators_own_account_through_and_concerns_one_group() -> None:
    objects = {named(document): document for document in DOCUMENTS}
    spec = objects["ValidatingAdmissionPolicy/citadel-operator-writes"]["spec"]
    (condition,) = spec["matchConditions"]
    assert '"system:serviceaccount:citadel:citadel-operator"' in condition["expression"]
    rules = spec["matchConstraints"]["resourceRules"]
    assert [rule["apiGroups"] for rule in rules] == [["fabric.aceteam.ai"]]
    assert spec["failurePolicy"] == "Fail"


def test_an_agent_has_no_token() -> None:
    (pod,) = (d["spec"]["template"]["spec"] for d in DOCUMENTS if d["kind"] == "DaemonSet")
    assert pod["automountServiceAccountToken"] is False
    paths = {v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v}
    assert paths == {
        "/proc",
        "/sys/fs/cgroup",
        "/var/lib/kubelet/pod-resources",
        "/var/log/containers",
        "/var/log/pods",
    }


def test_no_role_has_a_wildcard_or_reaches_beyond_its_work() -> None:
    roles = [d for d in DOCUMENTS if d["kind"] in {"Role", "ClusterRole"}]
    for rule in (rule for role in roles for rule in role["rules"]):
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert not {"secrets", "pods", "nodes/proxy", "configmaps"} & set(rule["resources"])


def test_no_secret_is_in_the_manifests() -> None:
    assert not [named(d) for d in DOCUMENTS if d["kind"] == "Secret"]


@pytest.mark.parametrize(
    ("name", "kind"), [("agent", AgentSettings), ("operator", OperatorSettings)]
)
def test_the_settings_are_ones_that_the_program_takes(
    tmp_path: Path, name: str, kind: type[AgentSettings] | type[OperatorSettings]
) -> None:
    (config,) = (d for d in DOCUMENTS if named(d) == f"ConfigMap/citadel-{name}")
    file = tmp_path / f"{name}.yaml"
    file.write_text(config["data"][file.name])
    settings = load_settings(kind, file=file, env={})
    assert settings.redis_url == "redis://citadel-redis.citadel.svc:6379/0"
    assert settings.redis_username == name


def test_the_cluster_for_a_look_has_two_workers_with_the_label_that_agents_want() -> None:
    nodes = yaml.safe_load((ROOT / "kind-config.yaml").read_text())["nodes"]
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
    assert [node.get("labels") for node in nodes[1:]] == [{"nvidia.com/gpu.present": "true"}] * 2
