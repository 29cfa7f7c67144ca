"""What this project asks of the Kubernetes API, each call bounded and none of them repeated."""

import functools
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from citadel_k8s.clients.kube.apply import Applier
from citadel_k8s.clients.kube.transport import (
    MERGE_PATCH,
    REQUEST_TIMEOUT,
    Guard,
    Transport,
    configure,
)
from citadel_k8s.errors import KubeError
from citadel_k8s.models.fabricnode import GROUP, PLURAL, VERSION

EVENT_NAMESPACE: Final = "default"
"""Namespace of the Events of objects that have none. Source: the API server refuses others."""

LIST_CHUNK: Final = 500
"""Objects per answer of a LIST. Source: kubectl and client-go; 500 of 4 kB are 2 MB."""

OK: Final = 200
NOT_FOUND: Final = 404
GONE: Final = 410

_FABRIC_NODES: Final = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
_FABRIC_STATUSES: Final = f"/apis/{GROUP}/{VERSION}/fabricstatuses"
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
_NODES: Final = "/api/v1/nodes"
_DISCOVERY: Final = "/.well-known/openid-configuration"
_JWKS: Final = "/openid/v1/jwks"
_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_EVENTS: Final = f"/api/v1/namespaces/{EVENT_NAMESPACE}/events"

Object = dict[str, Any]


class KubeClient:
    """The Kubernetes API as raw objects.

    Every call raises `KubeError`: ``status`` 0 when there was no answer, ``retry_after`` where
    the server named a time. Nothing is retried in here.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._applier = Applier(transport)

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT,
        context: str | None = None,
    ) -> "KubeClient":
        """Read the credentials; the first request opens the connection.

        Parameters
        ----------
        kubeconfig : Path or None
            The file to use; without it ``KUBECONFIG``, the pod's service account, then
            ``~/.kube/config``.
        timeout : float
            Seconds for each request.
        context : str or None
            The context of the kubeconfig; its current one if None.

        Raises
        ------
        ConfigError
            If there are no credentials; says what to do.
        """
        renew = functools.partial(configure, kubeconfig, environ, context)
        return cls(Transport(await renew(), timeout, renew))

    @property
    def host(self) -> str:
        """The API server's address."""
        return self._transport.configuration.host

    def with_token(self, token: str) -> "KubeClient":
        """Give a client of the same server that is whoever the token says."""
        return KubeClient(self._transport.with_token(token))

    def guarded(self, guard: Guard) -> "KubeClient":
        """Give a client over the same connections whose writes a guard allows and bounds.

        A write that it does not allow is not sent and has status `NOT_ALLOWED`; one that it
        allows for so many seconds is given up after them.
        """
        return KubeClient(self._transport.guarded(guard))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._transport.close()

    # FabricNodes

    async def list_fabric_nodes(self, *, chunk: int = LIST_CHUNK) -> list[Object]:
        """Give all FabricNodes."""
        return await self._list(_FABRIC_NODES, {}, chunk)

    def fabric_node_chunks(self, *, chunk: int = LIST_CHUNK) -> AsyncGenerator[list[Object]]:
        """Give all FabricNodes a few hundred at a time, so that nobody holds 10,000 at once.

        An object may come twice where the API server lost its place in between.
        """
        return self._restarted(_FABRIC_NODES, {}, chunk)

    async def get_fabric_node(self, name: str) -> Object | None:
        """Give one FabricNode, or None if it does not exist."""
        return await self._get(_at(_FABRIC_NODES, name))

    async def create_fabric_node(self, body: Object) -> Object:
        """Create a FabricNode; status 409 if it exists."""
        return await self._transport.request("POST", _FABRIC_NODES, body=body)

    async def patch_fabric_node(self, name: str, patch: Object) -> Object:
        """Merge a patch into spec and metadata of a FabricNode."""
        return await self._patch(_at(_FABRIC_NODES, name), patch)

    async def patch_fabric_node_status(self, name: str, patch: Object) -> Object:
        """Merge ``{"status": …}`` into a FabricNode; all else in it is ignored."""
        return await self._patch(_at(_FABRIC_NODES, name) + "/status", patch)

    async def delete_fabric_node(self, name: str, *, uid: str | None = None) -> bool:
        """Delete a FabricNode; False if it was not there.

        With a ``uid`` only that very object goes: one created since under its name makes
        status 409.
        """
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self._transport.request("DELETE", _at(_FABRIC_NODES, name), body=options)
        except KubeError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return True

    # FabricStatus

    async def get_fabric_status(self, name: str) -> Object | None:
        """Give a FabricStatus, or None if it does not exist."""
        return await self._get(_at(_FABRIC_STATUSES, name))

    async def create_fabric_status(self, body: Object) -> Object:
        """Create a FabricStatus; status 409 if it exists."""
        return await self._transport.request("POST", _FABRIC_STATUSES, body=body)

    async def patch_fabric_status_status(self, name: str, patch: Object) -> Object:
        """Merge ``{"status": …}`` into a FabricStatus."""
        return await self._patch(_at(_FABRIC_STATUSES, name) + "/status", patch)

    # Nodes, Leases, Events, tokens

    async def list_nodes(
        self, *, label_selector: str | None = None, chunk: int = LIST_CHUNK
    ) -> list[Object]:
        """Give the Nodes, all or those that a label selector picks."""
        query = {"labelSelector": label_selector} if label_selector else {}
        return await self._list(_NODES, query, chunk)

    async def get_node(self, name: str) -> Object | None:
        """Give a Node, or None if it does not exist."""
        return await self._get(_at(_NODES, name))

    async def patch_node(self, name: str, patch: Object) -> Object:
        """Merge a patch into a Node.

        One with ``metadata.resourceVersion`` changes that very version: status 409 if it is no
        longer the newest.
        """
        return await self._patch(_at(_NODES, name), patch)

    def node_chunks(
        self, *, label_selector: str | None = None, chunk: int = LIST_CHUNK
    ) -> AsyncGenerator[list[Object]]:
        """Give the Nodes as `fabric_node_chunks` gives FabricNodes."""
        query = {"labelSelector": label_selector} if label_selector else {}
        return self._restarted(_NODES, query, chunk)

    async def get_lease(
        self, namespace: str, name: str, *, timeout: float | None = None
    ) -> Object | None:
        """Give a Lease, or None if it does not exist."""
        return await self._get(_at(_LEASES.format(quote(namespace)), name), timeout)

    async def create_lease(self, body: Object, *, timeout: float | None = None) -> Object:
        """Create a Lease in the namespace that it names; status 409 if it exists."""
        path = _LEASES.format(quote(body["metadata"]["namespace"]))
        return await self._transport.request("POST", path, body=body, timeout=timeout)

    async def replace_lease(self, body: Object, *, timeout: float | None = None) -> Object:
        """Replace a Lease; status 409 if its ``resourceVersion`` is not the newest."""
        metadata = body["metadata"]
        path = _at(_LEASES.format(quote(metadata["namespace"])), metadata["name"])
        return await self._transport.request("PUT", path, body=body, timeout=timeout)

    async def create_event(
        self,
        involved: Object,
        *,
        reason: str,
        message: str,
        first_time: str,
        last_time: str | None = None,
        count: int = 1,
        kind: Literal["Normal", "Warning"] = "Normal",
        component: str = "citadel-operator",
    ) -> Object:
        """Create a core/v1 Event about a cluster-scoped object.

        Parameters
        ----------
        involved : dict
            The object, with ``apiVersion``, ``kind`` and ``metadata`` of at least a name.
        first_time, last_time : str
            RFC 3339 in whole seconds; the second is the first if None.
        count : int
            How often it happened; to tell the same thing once is the caller's part.
        """
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{involved['metadata']['name']}.",
                "namespace": EVENT_NAMESPACE,
            },
            "involvedObject": _reference(involved),
            "reason": reason,
            "message": message[:1024],  # the API server refuses longer ones
            "type": kind,
            "count": count,
            "firstTimestamp": first_time,
            "lastTimestamp": last_time or first_time,
            "source": {"component": component},
            "reportingComponent": component,
        }
        return await self._transport.request("POST", _EVENTS, body=body)

    async def patch_event(self, name: str, patch: Object) -> Object:
        """Merge into an Event of `create_event`, such as a new count and last time."""
        return await self._patch(_at(_EVENTS, name), patch)

    async def create_token(
        self,
        namespace: str,
        service_account: str,
        *,
        seconds: int = 3600,
        audiences: Sequence[str] = (),
    ) -> str:
        """Give a token of a service account that holds for so many seconds (at least 600)."""
        path = (
            f"/api/v1/namespaces/{quote(namespace)}/serviceaccounts/{quote(service_account)}/token"
        )
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds, "audiences": list(audiences)},
        }
        answer = await self._transport.request("POST", path, body=body)
        return str(answer["status"]["token"])

    # Any kind

    async def apply(self, documents: Iterable[Object]) -> None:
        """Apply objects of any kind, in their order; see `Applier.apply`."""
        await self._applier.apply(documents)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        timeout: float | None = None,
    ) -> Object:
        """Ask for anything else; see `Transport.request`."""
        return await self._transport.request(method, path, query=query, body=body, timeout=timeout)

    async def date(self, *, timeout: float | None = None) -> str | None:
        """Give the API server's clock, as the ``Date`` of an answer; see `Transport.date`."""
        return await self._transport.date("/version", timeout=timeout)

    def watch(
        self, path: str, query: Mapping[str, str], *, silence: float
    ) -> AsyncGenerator[Object]:
        """Watch a collection; see `Transport.lines`. Close it (`contextlib.aclosing`)."""
        return self._transport.lines(path, {**query, "watch": "1"}, silence=silence)

    async def issuer(self, *, timeout: float | None = None) -> tuple[str, Object]:
        """Give who signs this cluster's service-account tokens, and the keys (a JWKS)."""
        told = await self._transport.request("GET", _DISCOVERY, timeout=timeout)
        # Under no other name: it answers 406 to who wants JSON.
        accept = "application/jwk-set+json"
        keys = await self._transport.request("GET", _JWKS, accept=accept, timeout=timeout)
        return str(told.get("issuer")), keys

    async def review_token(
        self, token: str, audience: str, *, timeout: float | None = None
    ) -> Object:
        """Give what the API server says of a token: the ``status`` of a TokenReview."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        answer = await self._transport.request("POST", _REVIEWS, body=body, timeout=timeout)
        return answer.get("status") or {}

    async def _get(self, path: str, timeout: float | None = None) -> Object | None:
        try:
            return await self._transport.request("GET", path, timeout=timeout)
        except KubeError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def _patch(self, path: str, patch: Object) -> Object:
        return await self._transport.request("PATCH", path, body=patch, content_type=MERGE_PATCH)

    async def _list(self, path: str, query: Mapping[str, str], chunk: int) -> list[Object]:
        try:
            return [item async for items in self._chunks(path, query, chunk) for item in items]
        except KubeError as error:
            # The token of the next chunk lives as long as etcd's history; start over, once.
            if error.status != GONE:
                raise
            return [item async for items in self._chunks(path, query, chunk) for item in items]

    async def _restarted(
        self, path: str, query: Mapping[str, str], chunk: int
    ) -> AsyncGenerator[list[Object]]:
        try:
            async for items in self._chunks(path, query, chunk):
                yield items
        except KubeError as error:
            if error.status != GONE:
                raise
        else:
            return
        async for items in self._chunks(path, query, chunk):
            yield items

    async def _chunks(
        self, path: str, query: Mapping[str, str], chunk: int
    ) -> AsyncGenerator[list[Object]]:
        following = {**query, "limit": str(chunk)}
        while True:
            answer = await self._transport.request("GET", path, query=following)
            metadata: Object = answer.get("metadata") or {}
            yield _items(path, answer)
            token = metadata.get("continue")
            if not token:
                return
            following["continue"] = token


def _items(path: str, answer: Object) -> list[Object]:
    """Give the objects of a LIST; what is no list must not count as an empty one."""
    if "items" not in answer:
        raise KubeError(OK, f"GET {path}: the answer is no list")
    return answer["items"] or []


def _at(collection: str, name: str) -> str:
    return f"{collection}/{quote(name, safe='')}"


def _reference(involved: Object) -> Object:
    metadata = involved["metadata"]
    reference = {
        "apiVersion": involved["apiVersion"],
        "kind": involved["kind"],
        "name": metadata["name"],
        "uid": metadata.get("uid"),
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {key: value for key, value in reference.items() if value}
