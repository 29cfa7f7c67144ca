"""The doctor on a real API server that is broken in one way at a time."""

import re
import secrets
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import yaml
from aiohttp import web

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.cli.doctor.asking import Cluster
from citadel_k8s.cli.doctor.checks import Checks, RedisLook
from citadel_k8s.cli.doctor.finding import Verdict
from citadel_k8s.cli.doctor.running import run
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.local.stack import Stack
from citadel_k8s.local.valkey import Valkey
from tests.integration.cli.doctor.conftest import DAEMONSET, MANIFESTS, Examine, settle
from tests.unit.clients.test_kube_transport import kubeconfig

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
OK, WARNING, FAILURE, UNKNOWN = Verdict


async def label_namespace(kube: KubeClient, level: str) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace"}
    labels = {"pod-security.kubernetes.io/enforce": level}
    await kube.apply([space | {"metadata": {"name": "citadel", "labels": labels}}])


async def test_manifests_that_are_applied_leave_only_what_no_process_has_done_yet(
    examine: Examine,
) -> None:
    found = await examine()
    well = {name for name, finding in found.items() if finding.verdict is OK}
    assert well >= {
        "api-server",
        "clock",
        "crd-fabricnodes",
        "crd-fabricstatuses",
        "your-rights",
        "operator-rights",
        "admission-policy",
        "pod-security",
        "runtime-class",
        "agents",
        "operator",
        "pods",
    }
    for name in ("leader", "pipeline", "heartbeats"):
        assert found[name].verdict is FAILURE, name
        assert found[name].fix


async def test_a_definition_that_is_not_there_is_told_with_the_command_that_brings_it(
    kube: KubeClient, examine: Examine
) -> None:
    await kube.request("DELETE", f"{CRDS}/fabricstatuses.fabric.aceteam.ai")
    found = await examine()
    assert found["crd-fabricstatuses"].verdict is FAILURE
    assert found["crd-fabricstatuses"].fix == "kubectl apply --server-side -f manifests/crds"
    assert found["crd-fabricnodes"].verdict is OK


async def test_an_old_definition_is_told_by_the_field_that_it_lacks(
    kube: KubeClient, examine: Examine
) -> None:
    path = f"{CRDS}/fabricnodes.fabric.aceteam.ai"
    found = await kube.request("GET", path)
    schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    del schema["status"]["properties"]["configRevision"]
    await kube.request("PUT", path, body=found)
    told = (await examine())["crd-fabricnodes"]
    assert told.verdict is FAILURE
    assert "status.configRevision" in told.said


@pytest.mark.parametrize("level", ["baseline", "restricted"])
async def test_a_namespace_that_refuses_the_agents_is_told_with_its_label(
    kube: KubeClient, examine: Examine, level: str
) -> None:
    await label_namespace(kube, level)
    told = (await examine())["pod-security"]
    assert told.verdict is FAILURE
    assert "hostPath /proc" in told.said
    assert told.fix == (
        "kubectl label namespace citadel pod-security.kubernetes.io/enforce=privileged --overwrite"
    )


async def test_a_runtime_class_that_agents_name_has_to_be_there(
    kube: KubeClient, examine: Examine
) -> None:
    name = f"nvidia-{secrets.token_hex(3)}"
    await name_runtime(kube, name)
    told = (await examine())["runtime-class"]
    assert told.verdict is FAILURE
    assert name in told.said
    runtime: dict[str, Any] = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass"}
    await kube.apply([runtime | {"metadata": {"name": name}, "handler": "nvidia"}])
    assert (await examine())["runtime-class"].verdict is OK
    await name_runtime(kube, None)


async def name_runtime(kube: KubeClient, name: str | None) -> None:
    daemonset = await kube.request("GET", DAEMONSET)
    spec = daemonset["spec"]["template"]["spec"]
    spec.pop("runtimeClassName", None)
    spec |= {"runtimeClassName": name} if name else {}
    await kube.request("PUT", DAEMONSET, body=daemonset)
    await settle(kube)


async def test_agents_that_are_not_ready_are_told(kube: KubeClient, examine: Examine) -> None:
    await settle(kube, agents=3, ready=1)
    told = (await examine())["agents"]
    assert told.verdict is FAILURE
    assert "1 of 3" in told.said


async def test_a_gpu_node_without_an_agent_and_a_pod_that_cannot_start_are_told(
    kube: KubeClient, examine: Examine
) -> None:
    node = f"gpu-{secrets.token_hex(3)}"
    labels = {"nvidia.com/gpu.present": "true"}
    bare: dict[str, Any] = {"apiVersion": "v1", "kind": "Node"}
    await kube.apply([bare | {"metadata": {"name": node, "labels": labels}}])
    told = (await examine())["gpu-nodes"]
    assert told.verdict is FAILURE
    assert node in told.said
    pod = await agent_pod(kube, node)
    found = await examine()
    assert found["gpu-nodes"].verdict is OK
    assert found["pods"].verdict is FAILURE
    assert "ErrImagePull" in found["pods"].said
    assert found["pods"].fix == f"kubectl -n citadel describe pod {pod}"
    await kube.request(
        "DELETE", f"/api/v1/namespaces/citadel/pods/{pod}", query={"gracePeriodSeconds": "0"}
    )
    await kube.request("DELETE", f"/api/v1/nodes/{node}")


async def agent_pod(kube: KubeClient, node: str) -> str:
    template = (await kube.request("GET", DAEMONSET))["spec"]["template"]
    name = f"citadel-agent-{secrets.token_hex(3)}"
    metadata = template["metadata"] | {"name": name, "namespace": "citadel"}
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    status: dict[str, Any] = {
        "phase": "Pending",
        "containerStatuses": [
            {
                "name": "agent",
                "image": "x",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": waiting,
            }
        ],
    }
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    spec = template["spec"] | {"nodeName": node}
    await kube.apply([body | {"spec": spec, "status": status}])
    return name


async def test_a_policy_that_is_gone_is_a_warning(kube: KubeClient, examine: Examine) -> None:
    await kube.request("DELETE", f"{POLICIES}/citadel-operator-writes")
    assert (await examine())["admission-policy"].verdict is WARNING


async def test_rights_that_the_operator_lost_are_named(kube: KubeClient, examine: Examine) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/citadel/rolebindings"
    await kube.request("DELETE", f"{roles}/citadel-operator")
    told = (await examine())["operator-rights"]
    assert told.verdict is FAILURE
    assert "create leases in citadel" in told.said
    assert told.fix == "kubectl apply -f manifests/rbac.yaml"


async def test_who_may_look_at_nothing_is_told_which_right_each_look_needs(
    kube: KubeClient, examine: Examine
) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}}
    await kube.apply([account])
    nobody = kube.with_token(await kube.create_token("default", "nobody"))
    found = await examine(nobody)
    await nobody.close()
    assert found["your-rights"].verdict is FAILURE
    assert found["your-rights"].fix is not None
    assert found["your-rights"].fix.endswith("--user system:serviceaccount:default:nobody")
    assert found["pods"].verdict is UNKNOWN
    assert found["pods"].said == "needs list on pods in namespace citadel"
    assert found["heartbeats"].said == "needs list on fabricnodes.fabric.aceteam.ai"
    assert found["crd-fabricnodes"].verdict is UNKNOWN
    looked_at = {name for name, finding in found.items() if finding.verdict is OK}
    assert looked_at == {"api-server", "clock"}


async def test_a_redis_that_is_down_is_told_and_the_rest_of_it_is_unknown(
    examine: Examine, own_valkey: Valkey
) -> None:
    well = await examine(redis=RedisLook(own_valkey.url))
    assert well["redis"].verdict is OK
    assert well["redis-memory"].verdict is OK
    assert well["redis-clock"].verdict is OK
    assert well["redis-stream"].verdict is FAILURE  # nobody wrote
    await own_valkey.pause()
    found = await examine(redis=RedisLook(own_valkey.url))
    await own_valkey.resume()
    assert found["redis"].verdict is FAILURE
    assert "no answer within 3 s" in found["redis"].said
    assert found["redis-stream"].verdict is UNKNOWN


async def test_a_namespace_that_is_not_there_is_told(examine: Examine) -> None:
    found = await examine(space="elsewhere")
    assert found["pod-security"].verdict is FAILURE
    assert "elsewhere" in found["pod-security"].said
    assert found["agents"].verdict is FAILURE


async def serve(handler: Any) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.mark.parametrize(
    ("date", "verdict"),
    [("Thu, 01 Jan 2026 00:00:00 GMT", FAILURE), ("nonsense", UNKNOWN)],
)
async def test_a_clock_that_is_wrong_shows_by_the_servers_date(
    tmp_path: Path, date: str, verdict: Verdict
) -> None:
    async def answer(_: web.Request) -> web.Response:
        body = {"major": "1", "minor": "27", "gitVersion": "v1.27.4"}
        return web.json_response(body, headers={"Date": date})

    runner, url = await serve(answer)
    file = tmp_path / "kube.conf"
    file.write_text(yaml.safe_dump(kubeconfig(url)))
    client = await KubeClient.connect(file)
    checks = Checks(Cluster(client, "citadel"), SystemClock(), RedisLook(), None)
    found = {one.check: one for one in await run(checks.all()[:2])}
    await client.close()
    await runner.cleanup()
    assert found["clock"].verdict is verdict
    assert found["api-server"].verdict is FAILURE
    assert "1.27.4 is older than 1.28" in found["api-server"].said


async def test_a_login_page_is_not_a_ready_api(examine: Examine) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="<html>please sign in</html>")

    runner, url = await serve(answer)
    told = (await examine(api=url))["api"]
    await runner.cleanup()
    assert told.verdict is FAILURE
    assert "please sign in" in told.said


async def test_an_api_server_that_hangs_costs_one_deadline(breakable: Stack) -> None:
    client = await KubeClient.connect(breakable.kubeconfig, timeout=5.0)
    checks = Checks(Cluster(client, "citadel"), SystemClock(), RedisLook(), None)
    await breakable.kube.pause()
    clock = SystemClock()
    began = clock.monotonic()
    found = {one.check: one for one in await run(checks.all(), deadline=0.5)}
    took = clock.monotonic() - began
    await breakable.kube.resume()
    await client.close()
    assert took < 2
    assert found["api-server"].verdict is FAILURE
    assert {one.verdict for name, one in found.items() if name != "api-server"} == {UNKNOWN}


async def test_users_of_redis_are_told_what_they_may_not(
    examine: Examine, own_valkey: Valkey
) -> None:
    config = next(iter(yaml.safe_load_all((MANIFESTS / "redis.yaml").read_text())))
    found = re.findall(r"^user (\S+) (.*)$", config["data"]["start.sh"], re.MULTILINE)
    admin = redis.asyncio.Redis.from_url(own_valkey.url)
    for name, rules in found:
        words = re.findall(r"\([^)]*\)|\S+", re.sub(r"\$\{\w+\}", "secret", rules))
        if name != "default":
            await admin.execute_command("ACL", "SETUSER", name, *words)
    await admin.xadd("node:status:stream", {"nodeId": "n"})
    await admin.aclose()
    url = f"redis://127.0.0.1:{own_valkey.port}"
    well = await examine(redis=RedisLook(url, "operator", "secret"))
    assert well["redis-rights"].verdict is OK
    assert well["redis-stream"].verdict is OK
    assert well["redis-memory"].said.endswith("needs +info")
    other = await examine(redis=RedisLook(url, "agent", "secret"))
    assert other["redis-rights"].verdict is FAILURE
    assert "XREAD" in other["redis-rights"].said
    wrong = await examine(redis=RedisLook(url, "operator", "no"))
    assert wrong["redis"].verdict is FAILURE
    assert "'no'" not in wrong["redis"].said


async def test_a_password_may_come_from_the_secret(
    kube: KubeClient, examine: Examine, own_valkey: Valkey
) -> None:
    password = own_valkey.url.partition(":")[2].partition(":")[2].partition("@")[0]
    body = {"apiVersion": "v1", "kind": "Secret", "stringData": {"operator-password": password}}
    await kube.apply([body | {"metadata": {"name": "citadel-redis", "namespace": "citadel"}}])
    url = f"redis://127.0.0.1:{own_valkey.port}"
    found = await examine(redis=RedisLook(url, "default", secret="citadel-redis"))
    assert found["redis"].verdict is OK
    lost = await examine(redis=RedisLook(url, "default", secret="elsewhere"))
    assert lost["redis"].verdict is UNKNOWN
    assert "cannot be read" in lost["redis"].said
