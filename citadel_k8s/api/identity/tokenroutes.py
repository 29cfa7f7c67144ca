"""Device tokens of one's own org: list, make, renew, revoke."""

from datetime import timedelta
from typing import Any

from citadel_k8s.api.frame.refusal import not_found
from citadel_k8s.api.frame.route import Call, Route, person
from citadel_k8s.api.identity.revocations import Revocations
from citadel_k8s.api.identity.stored import known_id, stamp, stored
from citadel_k8s.api.identity.views import (
    NewToken,
    Page,
    Rotation,
    TokenList,
    TokenMade,
    TokenView,
)
from citadel_k8s.models.identity import DEVICE_SCOPES, Role
from citadel_k8s.stores.postgres.tokens import LIST_LIMIT, DeviceTokens, TokenRow


class TokenRoutes:
    """Answers about device tokens; all of it is for admins."""

    def __init__(self, tokens: DeviceTokens, revocations: Revocations) -> None:
        self._tokens = tokens
        self._revocations = revocations

    def routes(self) -> list[Route]:
        """Give the routes."""
        admin, tag = person(Role.ADMIN), "identity"
        path = "/api/orgs/tokens"
        return [
            Route(
                "GET",
                path,
                self._list,
                "The org's device tokens, revoked ones too; never their secrets.",
                admin,
                tag,
                query=Page,
                answers={200: TokenList},
            ),
            Route(
                "POST",
                path,
                self._make,
                "Make a device token; it is shown in this answer and never again.",
                admin,
                tag,
                body=NewToken,
                answers={201: TokenMade},
                audit="token.create",
            ),
            Route(
                "POST",
                path + "/{token_id}/rotate",
                self._rotate,
                "Make a token with the same rights; the old one works on for a grace.",
                admin,
                tag,
                body=Rotation,
                answers={201: TokenMade},
                audit="token.rotate",
            ),
            Route(
                "DELETE",
                path + "/{token_id}",
                self._revoke,
                "Revoke a token: at once, on every replica within 30 s at the latest.",
                admin,
                tag,
                answers={204: None},
                audit="token.revoke",
            ),
        ]

    async def _list(self, call: Call) -> TokenList:
        rows = await self._tokens.list(call.who.org_id, after=call.asked(Page).after)
        following = str(rows[-1].token_id) if len(rows) == LIST_LIMIT else None
        return TokenList(tokens=[TokenView(**fields(row)) for row in rows], next=following)

    async def _make(self, call: Call) -> TokenMade:
        wanted = call.sent(NewToken)
        with stored():
            row, raw = await self._tokens.create(
                call.who.org_id,
                wanted.name,
                created_by=call.who.subject,
                scopes=DEVICE_SCOPES if wanted.scopes is None else wanted.scopes,
                node_id=wanted.node_id,
                life=timedelta(days=wanted.days) if wanted.days else None,
            )
        call.notes["target"] = str(row.token_id)
        call.notes["detail"] = {"name": row.name, "node": row.node_id}
        return TokenMade(token=raw, **fields(row))

    async def _rotate(self, call: Call) -> TokenMade:
        token_id = known_id(call.part("token_id"), "token")
        grace = timedelta(hours=call.sent(Rotation).grace_hours)
        with stored():
            row, raw = await self._tokens.rotate(
                call.who.org_id, token_id, created_by=call.who.subject, grace=grace
            )
        # Replicas remember when the old one ends, and that has changed.
        await self._revocations.tell(f"token:{token_id}")
        call.notes["detail"] = {"replaced_by": str(row.token_id)}
        return TokenMade(token=raw, **fields(row))

    async def _revoke(self, call: Call) -> None:
        token_id = known_id(call.part("token_id"), "token")
        if not await self._tokens.revoke(call.who.org_id, token_id):
            raise not_found("there is no such token, or it was revoked before")
        await self._revocations.tell(f"token:{token_id}")


def fields(row: TokenRow) -> dict[str, Any]:
    """Give what is told of a token."""
    return {
        "token_id": str(row.token_id),
        "name": row.name,
        "scopes": sorted(str(scope) for scope in row.scopes),
        "node_id": row.node_id,
        "created_at": stamp(row.created_at),
        "created_by": row.created_by,
        "expires_at": stamp(row.expires_at),
        "used_at": stamp(row.used_at),
        "revoked_at": stamp(row.revoked_at),
        "replaced_by": str(row.replaced_by) if row.replaced_by else None,
    }
