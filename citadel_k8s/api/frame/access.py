"""Whether a principal may: 401 for nobody, 403 for somebody else."""

from citadel_k8s.api.frame.refusal import forbidden, unauthorized
from citadel_k8s.api.frame.route import Access
from citadel_k8s.models.identity import Principal


def check_access(access: Access, principal: Principal | None) -> None:
    """Let a principal pass, or refuse.

    Raises
    ------
    RefusalError
        401 without a principal on a route that is not public; 403 if the principal is of another
        kind, has not the scope, or a lesser role.
    """
    if access.public:
        return
    if principal is None:
        raise unauthorized("this needs a credential: a device token as bearer, or a session")
    if not (access.device or access.scope or access.role):
        return
    if principal.kind == "user":
        _check_person(access, principal)
    else:
        _check_device(access, principal)


def _check_person(access: Access, principal: Principal) -> None:
    if access.role is None:
        raise forbidden("this is for devices, not for people")
    if principal.role is None or not principal.role.covers(access.role):
        has = principal.role or "none"
        raise forbidden(f"this needs the role {access.role}; yours is {has}")


def _check_device(access: Access, principal: Principal) -> None:
    if not access.device:
        raise forbidden("this is for people, not for devices")
    if access.scope and access.scope not in principal.scopes:
        raise forbidden(f"this needs the scope {access.scope}, which the credential has not")
