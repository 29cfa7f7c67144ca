"""What is asked of the API server for each finding; the rules judge what comes back."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from citadel_k8s.cli.doctor.objects import Object, label, parts, text
from citadel_k8s.cli.doctor.rights import Right
from citadel_k8s.errors import KubeError
from citadel_k8s.models.fabricnode import GROUP, VERSION

PART_OF: Final = "app.kubernetes.io/part-of=citadel-k8s"
"""Label of everything that the manifests and the chart make."""

FORBIDDEN: Final = 403
NOT_FOUND: Final = 404

_CRD: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_AUTHORIZATION: Final = "/apis/authorization.k8s.io/v1"
_SELF: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"


class Kube(Protocol):
    """What is needed of a client; `clients.kube.KubeClient` has it."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Ask for anything."""
        ...

    async def date(self, *, timeout: float | None = None) -> str | None:
        """Give the Date of an answer."""
        ...

    async def list_fabric_nodes(self) -> list[dict[str, Any]]:
        """Give all FabricNodes."""
        ...

    async def get_fabric_status(self, name: str) -> dict[str, Any] | None:
        """Give a FabricStatus."""
        ...

    async def get_lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Give a Lease."""
        ...

    async def list_nodes(self) -> list[dict[str, Any]]:
        """Give the Nodes."""
        ...


class Cluster:
    """Looks at one cluster; each look raises `KubeError` if it is refused or has no answer.

    Parameters
    ----------
    api : Kube
        Who is asked.
    space : str
        Namespace of the operator and the agents.
    """

    def __init__(self, api: Kube, space: str) -> None:
        self.api = api
        self.space = space

    async def version(self) -> Object:
        """Give the API server's version."""
        return await self.api.request("GET", "/version")

    async def definition(self, plural: str) -> Object | None:
        """Give one of our definitions, None if it is not there."""
        return await self._maybe(f"{_CRD}/{plural}.{GROUP}")

    async def served(self) -> Object | None:
        """Give what discovery says of our group, None if it is not served."""
        return await self._maybe(f"/apis/{GROUP}/{VERSION}")

    async def namespace(self) -> Object | None:
        """Give the namespace, None if it is not there."""
        return await self._maybe(f"/api/v1/namespaces/{self.space}")

    async def workloads(self, plural: str, end: str) -> list[dict[str, Any]]:
        """Give our DaemonSets or Deployments whose name ends so."""
        found = await self._items(f"/apis/apps/v1/namespaces/{self.space}/{plural}", PART_OF)
        return [one for one in found if (text(one, "metadata", "name") or "").endswith(end)]

    async def runtime_class(self, name: str) -> Object | None:
        """Give a RuntimeClass, None if it is not there."""
        return await self._maybe(f"/apis/node.k8s.io/v1/runtimeclasses/{name}")

    async def pods(self) -> list[dict[str, Any]]:
        """Give our pods."""
        return await self._items(f"/api/v1/namespaces/{self.space}/pods", PART_OF)

    async def agent_pods(self) -> list[dict[str, Any]]:
        """Give the agents' pods."""
        name = "app.kubernetes.io/name"
        return [p for p in await self.pods() if (label(p, name) or "").endswith("agent")]

    async def events(self) -> list[dict[str, Any]]:
        """Give the Events of the namespace about pods that were refused."""
        query = {"fieldSelector": "reason=FailedCreate", "limit": "50"}
        answer = await self.api.request(
            "GET", f"/api/v1/namespaces/{self.space}/events", query=query
        )
        return parts(answer, "items")

    async def fabric_nodes(self) -> list[dict[str, Any]]:
        """Give the FabricNodes; where their kind is not served there are none."""
        try:
            return await self.api.list_fabric_nodes()
        except KubeError as error:
            if error.status == NOT_FOUND:
                return []
            raise

    async def policy(self, name: str) -> tuple[Object | None, Object | None]:
        """Give an admission policy and its binding, which has its name; None for what is not."""
        found = await self._maybe(f"{_ADMISSION}/validatingadmissionpolicies/{name}")
        binding = await self._maybe(f"{_ADMISSION}/validatingadmissionpolicybindings/{name}")
        return found, binding

    async def policy_name(self, usual: str) -> str:
        """Give the name of our admission policy: a chart's begins with its release's."""
        found = await self._items(f"{_ADMISSION}/validatingadmissionpolicies", PART_OF)
        names = [text(one, "metadata", "name") or "" for one in found]
        return next((name for name in names if name.endswith("operator-writes")), usual)

    async def who(self) -> str | None:
        """Give the name of who asks."""
        told = await self.api.request("POST", _SELF, body=_review("authentication", "SelfSubject"))
        return text(told, "status", "userInfo", "username")

    async def mine(self, rights: Iterable[Right]) -> dict[str, bool | None]:
        """Ask what the asker may do."""
        return await self._reviewed("SelfSubjectAccess", rights, {})

    async def of_account(self, account: str, rights: Iterable[Right]) -> dict[str, bool | None]:
        """Ask what a service account of the namespace may do."""
        user = f"system:serviceaccount:{self.space}:{account}"
        groups = [
            "system:serviceaccounts",
            f"system:serviceaccounts:{self.space}",
            "system:authenticated",
        ]
        return await self._reviewed("SubjectAccess", rights, {"user": user, "groups": groups})

    async def _reviewed(
        self, kind: str, rights: Iterable[Right], who: dict[str, Any]
    ) -> dict[str, bool | None]:
        found: dict[str, bool | None] = {}
        for right in rights:
            body = _review("authorization", kind)
            body["spec"] = {"resourceAttributes": right.attributes(), **who}
            try:
                told = await self.api.request(
                    "POST", f"{_AUTHORIZATION}/{kind.lower()}reviews", body=body
                )
            except KubeError as error:
                if error.status != FORBIDDEN:
                    raise
                # Refused once is refused for all: what may be asked does not depend on the right.
                return dict.fromkeys(map(str, rights))
            found[str(right)] = told.get("status", {}).get("allowed")
        return found

    async def _maybe(self, path: str) -> Object | None:
        try:
            return await self.api.request("GET", path)
        except KubeError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def _items(self, path: str, selector: str) -> list[dict[str, Any]]:
        return parts(
            await self.api.request("GET", path, query={"labelSelector": selector}), "items"
        )


async def unless_forbidden(look: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
    """Give what a look finds and whether it was refused; other errors go through."""
    try:
        return await look(), False
    except KubeError as error:
        if error.status != FORBIDDEN:
            raise
        return None, True


def _review(group: str, kind: str) -> dict[str, Any]:
    return {"apiVersion": f"{group}.k8s.io/v1", "kind": f"{kind}Review"}
