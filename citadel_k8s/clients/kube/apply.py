"""Server-side apply of objects of any kind, with the waiting that definitions need."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from citadel_k8s.clients.kube.transport import APPLY_PATCH, Transport
from citadel_k8s.errors import KubeError

FIELD_MANAGER: Final = "citadel-k8s"
"""Who owns the fields that are applied."""

ESTABLISH_TIMEOUT: Final = 30.0
"""Seconds until a definition is served; an idle API server takes under 1 s."""

POLL: Final = 0.05
"""Seconds between looks at a definition."""

_DEFINITION: Final = "CustomResourceDefinition"

Object = dict[str, Any]


class Applier:
    """Applies objects; remembers where the server keeps each kind."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._resources: dict[tuple[str, str], Object] = {}
        self._subresources: set[tuple[str, str]] = set()

    async def apply(self, documents: Iterable[Object]) -> None:
        """Apply objects in their order, by force: what another manager set is taken over.

        A namespaced object that names no namespace goes to ``default``; a ``status`` is applied
        too. After a CustomResourceDefinition it is waited for until its kind is served.

        Raises
        ------
        KubeError
            If one is refused; those before it stay applied.
        """
        for document in filter(None, documents):
            await self._apply_one(document)
            if document["kind"] == _DEFINITION:
                await self._established(document)

    async def _apply_one(self, document: Object) -> None:
        path = await self._path(document)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        await self._transport.request(
            "PATCH", path, query=query, body=document, content_type=APPLY_PATCH
        )
        if "status" in document and _key(document) in self._subresources:
            await self._transport.request(
                "PATCH", f"{path}/status", query=query, body=document, content_type=APPLY_PATCH
            )

    async def _path(self, document: Object) -> str:
        resource = await self._resource(document)
        base = _base(document["apiVersion"])
        metadata = document["metadata"]
        if resource["namespaced"]:
            base += f"/namespaces/{quote(metadata.get('namespace', 'default'))}"
        return f"{base}/{resource['name']}/{quote(metadata['name'], safe='')}"

    async def _resource(self, document: Object) -> Object:
        key = _key(document)
        if key not in self._resources:
            await self._discover(document["apiVersion"])
        if key not in self._resources:
            raise KubeError(404, f"the API server knows no {key[1]} in {key[0]}")
        return self._resources[key]

    async def _discover(self, api_version: str) -> None:
        answer = await self._transport.request("GET", _base(api_version))
        for resource in answer["resources"]:
            key = (api_version, resource["kind"])
            if "/" not in resource["name"]:
                self._resources[key] = resource
            elif resource["name"].endswith("/status"):
                self._subresources.add(key)

    async def _established(self, definition: Object) -> None:
        path = await self._path(definition)
        name = definition["metadata"]["name"]
        conditions: dict[str, str] = {}
        try:
            async with asyncio.timeout(ESTABLISH_TIMEOUT):
                while not (
                    conditions.get("Established") == "True" and await self._served(definition)
                ):
                    await asyncio.sleep(POLL)
                    answer = await self._transport.request("GET", path)
                    conditions = _conditions(answer)
        except TimeoutError as error:
            raise KubeError(
                0, f"{name} was not served within {ESTABLISH_TIMEOUT:g} s: {conditions}"
            ) from error

    async def _served(self, definition: Object) -> bool:
        """Tell whether discovery names all versions: "Established" comes a moment before."""
        spec = definition["spec"]
        kind = spec["names"]["kind"]
        for version in (v["name"] for v in spec["versions"] if v["served"]):
            api_version = f"{spec['group']}/{version}"
            try:
                await self._discover(api_version)
            except KubeError as error:
                if error.status not in (404, 503):
                    raise
            if (api_version, kind) not in self._resources:
                return False
        return True


def _key(document: Object) -> tuple[str, str]:
    return document["apiVersion"], document["kind"]


def _base(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _conditions(definition: Object) -> dict[str, str]:
    status: Object = definition.get("status") or {}
    found: list[Object] = status.get("conditions") or []
    return {condition["type"]: condition["status"] for condition in found}
