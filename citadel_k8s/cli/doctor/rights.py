"""Rights that have to be there, as questions to the API server; manifests/rbac.yaml grants them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import override

from citadel_k8s.models.fabricnode import GROUP

COORDINATION: Final = "coordination.k8s.io"
OPERATOR_LEASE: Final = "citadel-operator"
"""Name of the Lease of the operator that writes, unless its settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource; an empty namespace stands for all, an empty name for any."""

    verb: str
    resource: str
    group: str = GROUP
    namespace: str = ""
    name: str = ""

    @override
    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{place}"

    def attributes(self) -> dict[str, Any]:
        """Give the ``resourceAttributes`` of an access review."""
        resource, _, sub = self.resource.partition("/")
        told = {
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": sub,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {key: value for key, value in told.items() if value or key == "group"}


def of_the_operator(namespace: str, lease: str = OPERATOR_LEASE) -> tuple[Right, ...]:
    """Give all that the operator asks for, with its Lease in a namespace."""
    return (
        *_rights("fabricnodes", "get list watch create delete patch"),
        *_rights("fabricstatuses", "get create"),
        *_rights("fabricnodes/status", "patch"),
        *_rights("fabricstatuses/status", "patch"),
        *_rights("nodes", "get list watch", ""),
        *_rights("leases", "create", COORDINATION, namespace),
        *_rights("leases", "get update", COORDINATION, namespace, lease),
        *_rights("leases", "get list", COORDINATION, "kube-node-lease"),
        *_rights("events", "create patch", "", "default"),
    )


OF_PEOPLE: Final = (
    Right("get", "fabricnodes"),
    Right("list", "fabricnodes"),
    Right("watch", "fabricnodes"),
    Right("get", "fabricstatuses"),
)
"""What who looks at the fleet needs: the ClusterRole citadel-view has it."""


def _rights(
    resource: str, verbs: str, group: str = GROUP, namespace: str = "", name: str = ""
) -> Iterator[Right]:
    for verb in verbs.split():
        yield Right(verb, resource, group, namespace, name)
