"""A device that leaves: its tokens end."""

from typing import Any, Final
from uuid import UUID

from aiohttp import web

from citadel_k8s.api.frame.refusal import RefusalError, not_found
from citadel_k8s.api.frame.route import PUBLIC, Call, Route
from citadel_k8s.api.identity.authenticator import Authenticator
from citadel_k8s.api.identity.deviceauth import BODY_MAX, named
from citadel_k8s.api.identity.deviceviews import DeregisterBody
from citadel_k8s.api.identity.revocations import Revocations
from citadel_k8s.models.identity import Principal
from citadel_k8s.stores.postgres.tokens import DeviceTokens

_SERVER_ERRORS: Final = 500


class LeavingRoutes:
    """Lets devices go.

    The contract knows two answers, 200 and 404. Who has no credential for the very node that it
    names gets the second, and nothing happens.
    """

    def __init__(
        self, authenticate: Authenticator, tokens: DeviceTokens, revocations: Revocations
    ) -> None:
        self._authenticate = authenticate
        self._tokens = tokens
        self._revocations = revocations

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route(
                "POST",
                "/api/fabric/device-auth/deregister",
                self._deregister,
                "A device leaves: the token that it shows ends.",
                PUBLIC,
                "enrolment",
                body=DeregisterBody,
                answers={200: None},
                body_max=BODY_MAX,
            )
        ]

    async def _deregister(self, call: Call) -> dict[str, Any]:
        who = await self._device(call.request)
        node_id = named(call.sent(DeregisterBody).node_name)
        if who is None or who.node_id is None or who.node_id != node_id:
            raise not_found("no device of this name belongs to this credential")
        token_id = UUID(who.subject.removeprefix("token:"))
        await self._tokens.revoke(who.org_id, token_id)
        await self._revocations.tell(f"token:{token_id}")
        call.notes["org"] = who.org_id
        call.notes["audit"] = "device.deregister"
        call.notes["target"] = node_id
        return {"deregistered": True}

    async def _device(self, request: web.Request) -> Principal | None:
        try:
            who = await self._authenticate(request)
        except RefusalError as error:
            if error.status >= _SERVER_ERRORS:
                raise
            return None
        return who if who is not None and who.kind == "device" else None
