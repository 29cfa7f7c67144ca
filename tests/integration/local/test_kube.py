import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from citadel_k8s.errors import KubeError, StackError
from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.kube import Kube
from citadel_k8s.local.stack import Stack


@pytest_asyncio.fixture
async def service_account(stack: Stack, namespace: str) -> str:
    """A service account without a single right."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await stack.kube.request("POST", path, {"metadata": {"name": "robot"}})
    return "robot"


@pytest_asyncio.fixture
async def own_kube(binaries: Binaries) -> AsyncIterator[Kube]:
    """An API server that the test may kill."""
    async with Stack(valkey=False, binaries=binaries) as running:
        yield running.kube


async def kubectl(stack: Stack, kubeconfig: Path, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        stack.kubectl,
        f"--kubeconfig={kubeconfig}",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_client_and_server_are_of_the_pinned_version(stack: Stack) -> None:
    status, output = await kubectl(stack, stack.kubeconfig, "version", "-o", "json")
    assert status == 0
    versions = json.loads(output)
    assert versions["serverVersion"]["gitVersion"] == versions["clientVersion"]["gitVersion"]
    assert versions["serverVersion"]["minor"] == "36"


async def test_a_requested_token_names_its_service_account(
    stack: Stack, namespace: str, service_account: str
) -> None:
    token = await stack.kube.create_token(namespace, service_account)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    answer = await stack.kube.request("POST", path, {**review, "spec": {"token": token}})
    user = f"system:serviceaccount:{namespace}:robot"
    assert answer["status"]["user"]["username"] == user


async def test_a_token_is_good_for_its_audience_only(
    stack: Stack, namespace: str, service_account: str
) -> None:
    token = await stack.kube.create_token(namespace, service_account, audiences=["collector"])
    for audience, wanted in (("collector", True), ("other", None)):
        answer = await stack.kube.request(
            "POST",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {"spec": {"token": token, "audiences": [audience]}},
        )
        assert answer["status"].get("authenticated") is wanted


async def test_a_token_for_a_service_account_that_does_not_exist_is_refused(
    stack: Stack, namespace: str
) -> None:
    with pytest.raises(KubeError, match="not found") as caught:
        await stack.kube.create_token(namespace, "nobody")
    assert caught.value.status == 404


async def test_a_service_account_without_rights_is_refused(
    stack: Stack, namespace: str, service_account: str
) -> None:
    token = await stack.kube.create_token(namespace, service_account)
    with pytest.raises(KubeError, match="cannot list resource") as caught:
        await stack.kube.request("GET", "/api/v1/nodes", token=token)
    assert caught.value.status == 403


async def test_a_role_binding_gives_a_service_account_what_it_says(
    stack: Stack, namespace: str, service_account: str, tmp_path: Path
) -> None:
    group = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}
    subject = {"kind": "ServiceAccount", "name": service_account, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    meta = {"metadata": {"name": "r"}}
    await stack.kube.request("POST", f"{group}/roles", {**meta, "rules": [rule]})
    binding = {**meta, "subjects": [subject], "roleRef": role}
    await stack.kube.request("POST", f"{group}/rolebindings", binding)
    config = await stack.kube.write_kubeconfig(tmp_path / "conf", namespace, service_account)
    assert (await kubectl(stack, config, "get", "configmaps", "-n", namespace))[0] == 0
    status, output = await kubectl(stack, config, "get", "secrets", "-n", namespace)
    assert status == 1
    assert "Forbidden" in output


async def test_who_shows_no_credentials_is_nobody(stack: Stack) -> None:
    context = ssl.create_default_context(cafile=str(stack.kube.ca))
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{stack.kube.server}/api/v1/namespaces", ssl=context) as answer,
    ):
        assert answer.status == 403
        assert 'User "system:anonymous"' in (await answer.json())["message"]


async def test_a_forged_token_is_refused(stack: Stack) -> None:
    with pytest.raises(KubeError) as caught:
        await stack.kube.request("GET", "/api/v1/namespaces", token="forged")
    assert caught.value.status == 401


async def test_etcd_talks_to_nobody_without_a_certificate(stack: Stack) -> None:
    context = ssl.create_default_context(cafile=str(stack.kube.ca))
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(f"{stack.kube.etcd_url}/version", ssl=context)


async def test_the_size_of_etcd_in_use_can_be_read(stack: Stack) -> None:
    async with aiohttp.ClientSession() as http, http.get(stack.kube.etcd_metrics_url) as answer:
        assert "etcd_mvcc_db_total_size_in_use_in_bytes" in await answer.text()


async def test_a_restarted_server_has_its_port_its_data_and_its_tokens(own_kube: Kube) -> None:
    server = own_kube.server
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await own_kube.request("POST", accounts, {"metadata": {"name": "robot"}})
    token = await own_kube.create_token("default", "robot")
    await own_kube.restart()
    assert own_kube.server == server
    with pytest.raises(KubeError, match="cannot list"):
        await own_kube.request("GET", "/api/v1/nodes", token=token)
    await own_kube.kill()
    with pytest.raises(KubeError, match="no answer"):
        await own_kube.request("GET", accounts)
    await own_kube.start()
    found = await own_kube.request("GET", f"{accounts}/robot")
    assert found["metadata"]["name"] == "robot"


async def test_a_paused_server_answers_only_when_it_is_resumed(own_kube: Kube) -> None:
    await own_kube.pause()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await own_kube.request("GET", "/api/v1/namespaces")
    await own_kube.resume()
    assert await own_kube.request("GET", "/api/v1/namespaces")


async def test_a_server_that_does_not_start_shows_the_end_of_its_log(binaries: Binaries) -> None:
    stack = Stack(valkey=False, binaries=binaries, apiserver_flags=["--no-such-flag"])
    with pytest.raises(StackError, match="unknown flag: --no-such-flag"):
        async with stack:
            pass
    with pytest.raises(StackError, match="does not run"):
        _ = stack.folder
