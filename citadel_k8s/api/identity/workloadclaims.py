"""What a projected service-account token says of its pod: pure checks on verified claims."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from citadel_k8s.api.identity.jwks import JwtError
from citadel_k8s.domain.keys import node_id_from_name
from citadel_k8s.errors import WireError

NO_NODE: Final = (
    "the token does not say on which node its pod runs: Kubernetes before 1.30 leaves that out, "
    "and so does a token that is bound to no pod; give this agent a device token (apiTokenFile)"
)
"""What to do where a token cannot be bound to a node."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Who the API server says it is."""

    namespace: str
    service_account: str
    node_id: str
    pod_uid: str
    expires_at: float

    @property
    def account(self) -> str:
        """``namespace/name`` of the service account, as clusters list them."""
        return f"{self.namespace}/{self.service_account}"


def workload_of(claims: Mapping[str, Any], accounts: Collection[str]) -> Workload:
    """Give the workload that verified claims name.

    Parameters
    ----------
    accounts : collection of str
        ``namespace/name`` of the service accounts that may ask.

    Raises
    ------
    JwtError
        If it is none of them, or the token is not bound to a pod on a node.
    """
    kubernetes = _part(claims, "kubernetes.io")
    namespace = _word(kubernetes, "namespace")
    account = _word(_part(kubernetes, "serviceaccount"), "name")
    if f"{namespace}/{account}" not in accounts:
        raise JwtError("its service account is not among those that this cluster registered")
    if claims.get("sub") != f"system:serviceaccount:{namespace}:{account}":
        raise JwtError("its subject is not its service account")
    node = kubernetes.get("node")
    pod = kubernetes.get("pod")
    if not node or not pod:
        raise JwtError(NO_NODE)
    try:
        node_id = node_id_from_name(_word(_part(kubernetes, "node"), "name"))
    except WireError:
        raise JwtError("the name of its node is none") from None
    uid = _word(_part(kubernetes, "pod"), "uid")
    return Workload(namespace, account, node_id, uid, float(claims["exp"]))


def _part(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = claims.get(name)
    if not isinstance(part, dict):
        raise JwtError("it is no token of a Kubernetes service account")
    return cast("Mapping[str, Any]", part)


def _word(part: Mapping[str, Any], name: str) -> str:
    word = part.get(name)
    if not isinstance(word, str) or not word:
        raise JwtError("it is no token of a Kubernetes service account")
    return word
