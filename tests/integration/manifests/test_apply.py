"""That the manifests apply, and again without a change."""

import asyncio

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.local.stack import Stack
from tests.integration.manifests.conftest import MANIFESTS, documents


async def test_all_objects_are_there_after_they_were_applied(kube: KubeClient) -> None:
    await kube.apply(documents())
    path = "/apis/apps/v1/namespaces/citadel"
    for kind, name in (
        ("daemonsets", "citadel-agent"),
        ("deployments", "citadel-operator"),
        ("deployments", "citadel-redis"),
    ):
        found = await kube.request("GET", f"{path}/{kind}/{name}")
        assert found["spec"]["template"]["spec"]["enableServiceLinks"] is False


async def test_kubectl_applies_the_folder(stack: Stack) -> None:
    command = [str(stack.kubectl), "--kubeconfig", str(stack.kubeconfig)]
    command += ["apply", "--server-side", "--force-conflicts", "-k", str(MANIFESTS)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    assert len(out.decode().splitlines()) == len(documents())
