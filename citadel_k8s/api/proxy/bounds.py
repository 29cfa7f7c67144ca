"""What a credential may name: its org, and its node if it is bound to one."""

from collections.abc import Callable
from dataclasses import dataclass

from citadel_k8s.api.frame.refusal import RefusalError, bad_request, forbidden
from citadel_k8s.domain.keys import check_node_id
from citadel_k8s.errors import WireError
from citadel_k8s.models.identity import Principal

Denied = Callable[[Principal, str, str], None]
"""Told who named what that is not his: the principal, what it was (``channel``), and a sentence.
It must not wait: the answer does not wait for the audit log."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Checks what somebody names against who he is.

    Attributes
    ----------
    who
        The authenticated caller.
    denied
        Told of each name that is not his.
    mesh_id
        The mesh's id of the node that the credential is bound to; None if that is not known.
    """

    who: Principal
    denied: Denied
    mesh_id: str | None = None

    @property
    def org_id(self) -> str:
        """The org that he belongs to."""
        return self.who.org_id

    @property
    def node_id(self) -> str | None:
        """The one node that he may speak for; None for any of his org."""
        return self.who.node_id

    def check_node(self, node_id: str, where: str) -> str:
        """Give a node's id back if he may speak for it.

        Raises
        ------
        RefusalError
            400 if it is no node's id, 403 if it is another's.
        """
        try:
            check_node_id(node_id)
        except WireError as error:
            raise bad_request(f"{where}: {error.detail}") from None
        if self.node_id is not None and node_id != self.node_id:
            raise self.refused(where, f"this credential is bound to the node {self.node_id}")
        return node_id

    def check_org(self, org_id: str, where: str) -> None:
        """Refuse with a 403 what names another org."""
        if org_id != self.org_id:
            raise self.refused(where, "this credential belongs to another org")

    def check_mesh_id(self, mesh_id: str) -> None:
        """Refuse with a 403 what names another machine of the mesh, where his own is known."""
        if self.mesh_id is not None and mesh_id != self.mesh_id:
            raise self.refused("mesh id", "this credential is bound to another node")

    def refused(self, where: str, why: str) -> RefusalError:
        """Put a name that is not his on record, and give the refusal."""
        self.denied(self.who, where, why)
        return forbidden(f"{where}: {why}")
