"""A node's own word through the API server: its agent's pod is asked by the pods' proxy.

Who may `get` pods and `pods/proxy` in the agents' namespace can do this without any API of ours.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.fleetrows import part, parts
from citadel_k8s.domain.proxy import TEXT_MAX
from citadel_k8s.errors import KubeError

TIMEOUT: Final = 5.0
"""Seconds for the agent's answer, the API server's way to it included."""

AGENT_LABEL: Final = "app.kubernetes.io/part-of=citadel-k8s"
"""What the agents' pods have, whichever way they were installed."""

CONTAINER: Final = "agent"
"""Name of the container that answers, in manifests and chart."""

PORT: Final = 8080
"""Port of an agent that names none."""

_FRESH: Final = {"fresh": "1"}
_WHO: Final = "; this agent answers to who is known to it: an API asks for you, set CITADEL_API_URL"
_BAD_GATEWAY: Final = range(502, 505)
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403


async def ask_agent(client: KubeClient, node: str, node_id: str) -> dict[str, Any]:
    """Ask the agent of a Node; give ``live``, ``seconds``, ``address``, and a status or a step.

    Parameters
    ----------
    client : KubeClient
        Asks as whoever the kubeconfig says.
    node : str
        The Node's name.
    node_id : str
        What the agent must say that it is.

    Raises
    ------
    KubeError
        The API server does not answer, or does not let this one ask.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    pod = await _pod(client, node)
    if pod is None:
        why = f"no agent's pod runs on the Node {clip(node)}: an agent beside Kubernetes is asked "
        return _failed("address", why + "by the API: set CITADEL_API_URL", loop.time() - began)
    metadata = part(pod, "metadata")
    space, name, port = str(metadata.get("namespace")), str(metadata.get("name")), _port(pod)
    where = f"the pod {space}/{name} at {part(pod, 'status').get('podIP')}"
    pods, one = f"/api/v1/namespaces/{quote(space)}/pods/", f"{quote(name)}:{port}/proxy/status"
    began = loop.time()
    try:
        try:
            said = await client.request("GET", pods + one, query=_FRESH, timeout=TIMEOUT)
        except KubeError as error:
            if error.status not in _BAD_GATEWAY or "refused" in str(error):
                raise
            # An agent that speaks TLS alone hangs up on a question in clear.
            said = await _by_tls(client, f"{pods}https:{one}", error)
    except KubeError as error:
        # An agent never says 403; and as the API server let this one list pods, 401 is the agent's.
        if error.status == _FORBIDDEN:
            raise
        step = _step(error)
        why = _WHO if step == "auth" else ""
        return _failed(step, clip(f"{error}{why}", TEXT_MAX), loop.time() - began)
    seconds = loop.time() - began
    if said.get("nodeId") not in {node_id, None}:
        other = clip(str(said.get("nodeId")))
        return _failed("identity", f"{where} says that it is {other}", seconds)
    answer = {"live": True, "seconds": round(seconds, 4), "address": where, "complete": True}
    return {**answer, "age": 0.0, "status": said}


async def _by_tls(client: KubeClient, path: str, before: KubeError) -> dict[str, Any]:
    """Ask by TLS; of two ways that both lead nowhere the first is told."""
    try:
        return await client.request("GET", path, query=_FRESH, timeout=TIMEOUT)
    except KubeError as error:
        raise (before if error.status in {0, *_BAD_GATEWAY} else error) from error


async def _pod(client: KubeClient, node: str) -> Mapping[str, Any] | None:
    query = {"labelSelector": AGENT_LABEL, "fieldSelector": f"spec.nodeName={node}", "limit": "50"}
    answer = await client.request("GET", "/api/v1/pods", query=query)
    for pod in parts(answer, "items"):
        names = [container.get("name") for container in parts(part(pod, "spec"), "containers")]
        if CONTAINER in names and part(pod, "status").get("phase") == "Running":
            return pod
    return None


def _port(pod: Mapping[str, Any]) -> int:
    for container in parts(part(pod, "spec"), "containers"):
        if container.get("name") == CONTAINER:
            for port in parts(container, "ports"):
                if port.get("name") == "http":
                    return int(port.get("containerPort") or PORT)
    return PORT


def _step(error: KubeError) -> str:
    if error.status == 0:
        return "timeout"
    if error.status in _BAD_GATEWAY:
        return "connect"
    return "auth" if error.status == _UNAUTHORIZED else "body"


def _failed(step: str, message: str, seconds: float) -> dict[str, Any]:
    told = {"live": False, "seconds": round(seconds, 4), "complete": False}
    return {**told, "step": step, "message": message}
