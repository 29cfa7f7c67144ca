"""Clusters of one's own org whose service accounts are believed."""

from typing import Any, cast

from citadel_k8s.api.frame.refusal import bad_request, not_found
from citadel_k8s.api.frame.route import Call, Route, person
from citadel_k8s.api.identity.jwks import JwtError, keys_of
from citadel_k8s.api.identity.revocations import Revocations
from citadel_k8s.api.identity.stored import stamp, stored
from citadel_k8s.api.identity.views import ClusterList, ClusterView, NewCluster
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.clusters import Cluster, Clusters


class ClusterRoutes:
    """Answers about clusters; all of it is for admins.

    Parameters
    ----------
    audience : str
        For whom tokens are made where a registration names nobody.
    """

    def __init__(self, clusters: Clusters, revocations: Revocations, *, audience: str) -> None:
        self._clusters = clusters
        self._revocations = revocations
        self._audience = audience

    def routes(self) -> list[Route]:
        """Give the routes."""
        admin, tag = person(Role.ADMIN), "identity"
        path = "/api/orgs/clusters"
        return [
            Route(
                "GET",
                path,
                self._list,
                "The org's clusters whose service accounts may report.",
                admin,
                tag,
                answers={200: ClusterList},
            ),
            Route(
                "POST",
                path,
                self._add,
                "Believe the named service accounts of a cluster.",
                admin,
                tag,
                body=NewCluster,
                answers={201: ClusterView},
                body_max=128 * 1024,
                audit="cluster.add",
            ),
            Route(
                "DELETE",
                path + "/{cluster_id}",
                self._remove,
                "Believe a cluster no more.",
                admin,
                tag,
                answers={204: None},
                audit="cluster.remove",
            ),
        ]

    async def _list(self, call: Call) -> ClusterList:
        rows = await self._clusters.list(call.who.org_id)
        return ClusterList(clusters=[view(row) for row in rows])

    async def _add(self, call: Call) -> ClusterView:
        wanted = call.sent(NewCluster)
        jwks = usable_jwks(wanted.jwks)
        with stored():
            row = await self._clusters.add(
                call.who.org_id,
                wanted.cluster_id,
                issuer=wanted.issuer,
                audience=wanted.audience or self._audience,
                jwks=jwks,
                service_accounts=wanted.service_accounts,
            )
        await self._revocations.tell(f"cluster:{row.cluster_id}")
        call.notes["target"] = row.cluster_id
        call.notes["detail"] = {"issuer": row.issuer, "accounts": list(row.service_accounts)}
        return view(row)

    async def _remove(self, call: Call) -> None:
        cluster_id = call.part("cluster_id")
        if not await self._clusters.remove(call.who.org_id, cluster_id):
            raise not_found("there is no such cluster")
        await self._revocations.tell(f"cluster:{cluster_id}")


def usable_jwks(document: Any) -> dict[str, Any]:
    """Give a JWKS back if a token could ever be checked with it.

    Raises
    ------
    RefusalError
        400, if not.
    """
    try:
        usable = keys_of(document)
    except JwtError as error:
        raise bad_request(f"jwks: {error}") from error
    if not usable:
        raise bad_request("jwks: it has no RSA key (2048 bits or more) or P-256 key with a kid")
    return cast("dict[str, Any]", document)


def view(row: Cluster) -> ClusterView:
    """Give what is told of a cluster."""
    return ClusterView(
        cluster_id=row.cluster_id,
        issuer=row.issuer,
        audience=row.audience,
        service_accounts=list(row.service_accounts),
        keys=sorted(keys_of(row.jwks)),
        created_at=stamp(row.created_at),
    )
