"""The chart: its parts by themselves, and rendered where a Helm is found (PATH or HELM)."""

import copy
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.config.base import load as load_settings
from citadel_k8s.config.operator import OperatorSettings

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "citadel-k8s"
MANIFESTS = ROOT / "manifests"
CASES = ["", "restricted", "no-gpu"]

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


@functools.cache
def helm() -> str:
    found = os.environ.get("HELM") or shutil.which("helm")
    if not found:
        print("NO HELM: the chart is not rendered; put helm on PATH or name it in HELM",
              file=sys.__stderr__, flush=True)  # fmt: skip
    return found or ""


def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    if not helm():
        pytest.skip("no helm: put it on PATH or name it in HELM")
    return subprocess.run([helm(), *words], capture_output=True, text=True, check=check, timeout=60)


@functools.cache
def _rendered(case: str, version: str) -> str:
    values = ["-f", str(CHART / "ci" / f"{case}-values.yaml")] if case else []
    words = ["template", "citadel", str(CHART), "-n", "citadel", "--kube-version", version]
    return run(*words, *values).stdout


def render(case: str = "", version: str = "1.36.0") -> dict[str, dict[str, Any]]:
    documents = filter(None, yaml.safe_load_all(_rendered(case, version)))
    return {f"{d['kind']}/{d['metadata']['name']}": d for d in documents}


def pod(document: dict[str, Any]) -> dict[str, Any]:
    return document["spec"]["template"]["spec"]


def case_values(case: str) -> dict[str, Any]:
    return yaml.safe_load((CHART / "ci" / f"{case}-values.yaml").read_text())


# Without Helm


def test_the_chart_says_what_it_is() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["apiVersion"], chart["type"]) == ("v2", "application")
    assert chart["kubeVersion"] == ">=1.28.0-0"
    assert chart["annotations"]["artifacthub.io/license"] == "Apache-2.0"
    crds = yaml.safe_load(chart["annotations"]["artifacthub.io/crds"])
    files = [yaml.safe_load(file.read_text()) for file in sorted((MANIFESTS / "crds").iterdir())]
    assert [crd["name"] for crd in crds] == [file["metadata"]["name"] for file in files]


def test_the_definitions_are_those_of_the_manifests_byte_for_byte() -> None:
    for folder, other in ((CHART / "files" / "crds", MANIFESTS / "crds"),):
        assert {f.name for f in folder.iterdir()} == {f.name for f in other.iterdir()}
        for file in folder.iterdir():
            assert file.read_bytes() == (other / file.name).read_bytes(), file.name


def test_the_files_of_the_embedded_redis_are_those_of_the_manifests() -> None:
    config = next(iter(yaml.safe_load_all((MANIFESTS / "redis.yaml").read_text())))
    folder = CHART / "files" / "redis"
    assert {file.name: file.read_text() for file in folder.iterdir()} == config["data"]


def test_the_values_fit_their_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA, jsonschema.Draft7Validator)


@pytest.mark.parametrize("case", [case for case in CASES if case])
def test_the_values_of_every_case_fit_the_schema(case: str) -> None:
    jsonschema.validate(case_values(case), SCHEMA, jsonschema.Draft7Validator)


def unlike(values: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """Give the keys that only the values or only the schema have."""
    properties = schema.get("properties")
    if properties is None or not isinstance(values, dict):
        return []
    known = set(properties) - {"global"}
    found = [f"{path}.{key}" for key in known ^ set(values)]
    for key in known & set(values):
        found += unlike(values[key], properties[key], f"{path}.{key}")
    return found


def test_values_and_schema_have_the_same_keys_and_the_schema_takes_no_others() -> None:
    assert unlike(VALUES, SCHEMA) == []
    with pytest.raises(jsonschema.ValidationError, match="hostAcess"):
        jsonschema.validate({"agent": {"hostAcess": "none"}}, SCHEMA)


def test_every_value_is_explained() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    inside: list[int] = []  # indents of the lists and maps whose entries need no words
    for number, line in enumerate(lines):
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        inside = [i for i in inside if indent > i]
        if not text or text.startswith("#") or inside:
            continue
        explained = number > 0 and lines[number - 1].strip().startswith("#")
        groups = text.endswith(":") and not explained
        assert groups or explained, f"line {number + 1}: {line}"
        if explained and text.endswith(":"):
            inside.append(indent)


# With Helm


def test_helm_finds_no_fault() -> None:
    assert "0 chart(s) failed" in run("lint", "--strict", str(CHART)).stdout


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", ["1.28", "1.31", "1.36", "1.37"])
def test_every_rendered_object_fits_the_schema_of(version: str, case: str) -> None:
    for name, document in render(case, f"{version}.0").items():
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{name}: {error}")


def neutral(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what Helm and its labels add, and what they select by."""
    bare = copy.deepcopy(document)
    for part in (bare, bare.get("spec", {}).get("template", {})):
        part.get("metadata", {}).pop("annotations", None)
        labels = part.get("metadata", {}).pop("labels", {})
        kept = {k: v for k, v in labels.items() if "aggregate-to" in k}
        if kept:
            part["metadata"]["labels"] = kept
    if bare["kind"] == "NetworkPolicy":
        bare["spec"]["ingress"][0]["from"] = len(bare["spec"]["ingress"][0]["from"])
    text = json.dumps(bare).replace(', "app.kubernetes.io/instance": "citadel"', "")
    text = text.replace(', "imagePullPolicy": "IfNotPresent"', "")
    return json.loads(text)


def test_the_chart_makes_what_the_manifests_are() -> None:
    plain = {
        f"{d['kind']}/{d['metadata']['name']}": d
        for name in yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
        for d in yaml.safe_load_all((MANIFESTS / name).read_text())
    }
    made = render()
    assert set(plain) - set(made) == {"Namespace/citadel"}
    assert set(made) - set(plain) == {"Secret/citadel-redis"}
    for name in set(made) & set(plain):
        if name.startswith("ConfigMap/") and name != "ConfigMap/citadel-redis":
            continue  # settings are compared below, as settings
        assert neutral(made[name]) == neutral(plain[name]), name


@pytest.mark.parametrize("case", CASES)
def test_the_rendered_settings_are_ones_that_the_program_takes(tmp_path: Path, case: str) -> None:
    made = render(case)
    for name, kind in (("agent", AgentSettings), ("operator", OperatorSettings)):
        file = tmp_path / f"{name}.yaml"
        file.write_text(made[f"ConfigMap/citadel-{name}"]["data"][file.name])
        settings = load_settings(kind, file=file, env={})
        assert settings.redis_username == name
        assert settings.interval_seconds == (10 if case == "no-gpu" else 30)


def test_without_rights_on_the_host_an_agent_is_what_restricted_asks_for() -> None:
    spec = pod(render("restricted")["DaemonSet/citadel-agent"])
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["runtimeClassName"] == "nvidia"
    assert "affinity" not in spec
    image = spec["containers"][0]["image"]
    assert image == f"registry.example.org/citadel-k8s@sha256:{'0' * 64}"


def test_a_redis_elsewhere_is_used_with_its_secret() -> None:
    made = render("restricted")
    assert not [name for name in made if name.endswith("citadel-redis")]
    (container,) = pod(made["Deployment/citadel-operator"])["containers"]
    (password,) = container["env"]
    assert password["valueFrom"]["secretKeyRef"] == {
        "name": "redis-passwords",
        "key": "operator-password",
    }


def test_older_clusters_get_no_selectable_fields() -> None:
    name = "CustomResourceDefinition/fabricnodes.fabric.aceteam.ai"
    for version, has in (("1.29.0", False), ("1.30.0", True), ("1.36.0", True)):
        (served,) = render("", version)[name]["spec"]["versions"]
        assert ("selectableFields" in served) is has


def test_older_clusters_get_no_policy() -> None:
    for version, count in (("1.28.0", 0), ("1.29.0", 0), ("1.30.0", 2), ("1.36.0", 2)):
        assert len([name for name in render("", version) if "AdmissionPolicy" in name]) == count


def templated(*settings: str) -> dict[str, dict[str, Any]]:
    words = [word for setting in settings for word in ("--set", setting)]
    made = run("template", "x", str(CHART), "-n", "far", "--kube-version", "1.36.0", *words).stdout
    return {f"{d['kind']}/{d['metadata']['name']}": d for d in yaml.safe_load_all(made) if d}


def test_names_of_account_lease_and_policy_agree_under_any_name() -> None:
    made = templated("fullnameOverride=other")
    (condition,) = made["ValidatingAdmissionPolicy/other-operator-writes"]["spec"][
        "matchConditions"
    ]
    assert '"system:serviceaccount:far:other-operator"' in condition["expression"]
    binding = made["ValidatingAdmissionPolicyBinding/other-operator-writes"]["spec"]
    assert binding["policyName"] == "other-operator-writes"
    settings = yaml.safe_load(made["ConfigMap/other-operator"]["data"]["operator.yaml"])
    assert settings["election"] == {"enabled": True, "namespace": "far", "name": "other-operator"}
    (rule,) = (r for r in made["Role/other-operator"]["rules"] if "resourceNames" in r)
    assert rule["resourceNames"] == ["other-operator"]
    assert not [name for name in templated("policy.enabled=false") if "AdmissionPolicy" in name]


@pytest.mark.parametrize("mode", ["off", "dry-run", "on"])
def test_the_operator_may_change_nodes_only_where_cordoning_is_on(mode: str) -> None:
    may = mode == "on"
    made = templated(f"operator.cordon.mode={mode}")
    settings = yaml.safe_load(made["ConfigMap/x-citadel-k8s-operator"]["data"]["operator.yaml"])
    assert OperatorSettings.model_validate(settings, by_alias=True).cordon.mode == mode
    assert ("ClusterRole/x-citadel-k8s-operator-cordon" in made) is may
    assert ("ValidatingAdmissionPolicy/x-citadel-k8s-operator-cordons" in made) is may
    for plain in yaml.safe_load_all((MANIFESTS / "cordon.yaml").read_text()) if may else []:
        name = plain["metadata"]["name"].replace("citadel-operator", "x-citadel-k8s-operator")
        other = json.dumps(made[f"{plain['kind']}/{name}"])
        other = other.replace("x-citadel-k8s-operator", "citadel-operator")
        alike = json.loads(other.replace("serviceaccount:far:", "serviceaccount:citadel:"))
        for part in ("rules", "roleRef", "spec"):
            assert alike.get(part) == plain.get(part)


def test_the_definitions_stay_unless_they_are_to_go() -> None:
    name = "CustomResourceDefinition/fabricnodes.fabric.aceteam.ai"
    kept = {"helm.sh/resource-policy": "keep"}
    assert render()[name]["metadata"]["annotations"] == kept
    assert "annotations" not in render("restricted")[name]["metadata"]


def test_a_new_version_of_the_chart_alone_restarts_no_pod() -> None:
    for document in render().values():
        if document["kind"] in {"DaemonSet", "Deployment"}:
            assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(
                document["spec"]["template"]["metadata"]["labels"]
            )


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("agent.hostAcess=none", "hostAcess"),
        ("agent.hostAccess=all", "hostAccess"),
        ("heartbeat.intervalSeconds=1", "intervalSeconds"),
        ("agent.extraEnv[0].name=CITADEL__NODE_NAME", "CITADEL__NODE_NAME is set twice"),
        ("redis.embedded.enabled=false", "externalRedis.url is needed"),
        ("image.digest=sha256:1", "digest"),
    ],
)
def test_a_mistake_is_refused_by_name(setting: str, told: str) -> None:
    refused = run("template", "x", str(CHART), "--set", setting, check=False)
    assert refused.returncode != 0
    assert told in refused.stderr


def test_two_releases_in_one_cluster_share_no_name() -> None:
    words = ["template", "second", str(CHART), "-n", "other", "--set", "crds.enabled=false"]
    documents = filter(None, yaml.safe_load_all(run(*words).stdout))
    names = {f"{d['kind']}/{d['metadata']['name']}" for d in documents}
    assert not names & set(render())


def test_a_cluster_that_is_too_old_is_refused() -> None:
    words = ["template", "x", str(CHART), "--kube-version", "1.27.0"]
    assert "kubeVersion" in run(*words, check=False).stderr


def configured(*sets: str) -> subprocess.CompletedProcess[str]:
    words = [word for each in sets for word in ("--set-string", each)]
    return run("template", "citadel", str(CHART), "-n", "citadel", *words, check=False)


def test_the_operators_secrets_for_alerts_are_mounted_where_its_settings_look_for_them(
    tmp_path: Path,
) -> None:
    rendered = configured(
        "operator.alerts.alertmanagerUrl=http://alertmanager.monitoring:9093",
        "operator.alerts.webhookUrl=https://ops.example.org/hooks/citadel",
        "operator.alerts.existingSecret=citadel-alerts",
        "operator.alerts.webhookKey=webhook-secret",
        "operator.alerts.slackKey=slack-url",
        "operator.config.alerts.externalLabels.cluster=lab-1",
        "operator.config.decommissionHours=24",
        "operator.config.unknownNodes=quarantine",
        "operator.config.cordon.maxRatio=0.05",
        "operator.cordon.mode=dry-run",
    )
    assert rendered.returncode == 0, rendered.stderr
    documents = {
        f"{d['kind']}/{d['metadata']['name']}": d
        for d in filter(None, yaml.safe_load_all(rendered.stdout))
    }
    file = tmp_path / "operator.yaml"
    file.write_text(documents["ConfigMap/citadel-operator"]["data"]["operator.yaml"])
    settings = load_settings(OperatorSettings, file=file, env={})
    assert settings.alerts.alertmanager_url == "http://alertmanager.monitoring:9093"
    assert settings.alerts.webhook_url == "https://ops.example.org/hooks/citadel"
    assert settings.alerts.external_labels == {"cluster": "lab-1"}
    assert (settings.decommission_hours, settings.unknown_nodes) == (24, "quarantine")
    assert (settings.cordon.mode, settings.cordon.max_ratio) == ("dry-run", 0.05)
    spec = pod(documents["Deployment/citadel-operator"])
    mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
    volumes = {v["name"]: v for v in spec["volumes"]}
    assert volumes["alerts"]["secret"] == {"secretName": "citadel-alerts"}
    assert settings.alerts.secret_file == Path(mounts["alerts"]) / "webhook-secret"
    assert settings.alerts.slack_url_file == Path(mounts["alerts"]) / "slack-url"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("operator.alerts.slackKey=slack-url", "existingSecret"),
        ("operator.config.profile=fast", "heartbeat.* say"),
        ("operator.config.cordon.mode=on", "operator.cordon.mode"),
        ("operator.alerts.webhookKey=../x", "webhookKey"),
        ("operator.alerts.webhookUrl=ops.example.org", "webhookUrl"),
    ],
)
def test_a_value_that_would_do_nothing_or_harm_is_refused(value: str, said: str) -> None:
    rendered = configured(value)
    assert rendered.returncode != 0
    assert said in rendered.stderr
