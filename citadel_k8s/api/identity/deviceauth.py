"""Enrolment of devices (RFC 8628), the server's side, to the letter of the wire contract.

Who approves has to have the code: what waits is listed to nobody, for until somebody approves it a
device belongs to no org.
"""

import re
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.address import neighbourhood
from citadel_k8s.api.frame.refusal import RefusalError, bad_request, not_found, unavailable
from citadel_k8s.api.frame.route import PUBLIC, Call, Route, person
from citadel_k8s.api.identity.deviceviews import (
    GRANT,
    CodeQuery,
    DecisionBody,
    PendingView,
    PollAnswer,
    PollBody,
    StartAnswer,
    StartBody,
)
from citadel_k8s.api.identity.paces import Paces
from citadel_k8s.api.identity.stored import known_id, stamp, stored
from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.config.server import Enrolment
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.keys import node_id_from_name
from citadel_k8s.errors import WireError
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.deviceauths import DeviceAuth, DeviceAuths
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.usercode import shown
from citadel_k8s.stores.postgres.users import User, Users
from citadel_k8s.telemetry.log import get_logger

START: Final = "/api/fabric/device-auth/start"
BODY_MAX: Final = 16 * 1024
"""Bytes of a body: a client's has 200."""

NO_MESH: Final = "no-mesh"
"""``authkey`` where no mesh is set up (``enrolment.authkeyFile``). Clients take an empty one for a
failure; this is no secret and opens nothing."""

AUTHKEY_SECONDS: Final = 3600
"""``expires_in`` of an approved enrolment: how soon ``authkey`` should be used. The device token
has no end of its own."""

START_PACE: Final = (0.2, 20.0)
"""Starts a second and at once, of one caller: a rack behind one address begins together."""

DECIDE_PACE: Final = (0.2, 20.0)
"""Codes a second and at once that one person may try: of 2.5 million that could be valid one is,
so that guessing takes years."""

_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9._-]+")

log = get_logger("api")


class DeviceAuthRoutes:
    """Lets devices in.

    Parameters
    ----------
    settings : Enrolment
        What an approved device is given besides its token.
    public_url : str or None
        How browsers and devices come here.
    clock : Clock
        Measures how often somebody asks.
    """

    def __init__(
        self,
        auths: DeviceAuths,
        users: Users,
        orgs: Orgs,
        settings: Enrolment,
        *,
        public_url: str | None,
        clock: Clock,
    ) -> None:
        self._auths = auths
        self._users = users
        self._orgs = orgs
        self._nexus = settings.nexus_url
        self._verification = settings.verification_url
        self._public_url = public_url.rstrip("/") if public_url else None
        file = settings.authkey_file
        self._authkey = SecretFile(file) if file is not None else None
        self._starts = Paces(clock, START_PACE)
        self._decisions = Paces(clock, DECIDE_PACE)

    def routes(self) -> list[Route]:
        """Give the routes."""
        editor, tag = person(Role.EDITOR), "enrolment"
        return [
            Route(
                "HEAD",
                START,
                self._probe,
                "Whether somebody is here.",
                PUBLIC,
                tag,
                answers={204: None},
                cost=0.1,
            ),
            Route(
                "POST",
                START,
                self._start,
                "A device asks to be let in: gets a code to show, and one to ask with.",
                PUBLIC,
                tag,
                body=StartBody,
                answers={200: StartAnswer},
                body_max=BODY_MAX,
            ),
            Route(
                "POST",
                "/api/fabric/device-auth/token",
                self._poll,
                "A device asks whether it was let in: 400 with a word until it is.",
                PUBLIC,
                tag,
                body=PollBody,
                answers={200: PollAnswer},
                body_max=BODY_MAX,
                cost=0.2,
            ),
            Route(
                "GET",
                "/api/fabric/device-auth/pending",
                self._pending,
                "The device that waits with a code, to look at before it is let in.",
                editor,
                tag,
                query=CodeQuery,
                answers={200: PendingView},
            ),
            Route(
                "POST",
                "/api/fabric/device-auth/approve",
                self._approve,
                "Let the device with a code in, as one node of one's own org.",
                editor,
                tag,
                body=DecisionBody,
                answers={200: PendingView},
                body_max=BODY_MAX,
                audit="device.approve",
            ),
            Route(
                "POST",
                "/api/fabric/device-auth/deny",
                self._deny,
                "Refuse the device with a code.",
                editor,
                tag,
                body=DecisionBody,
                answers={200: PendingView},
                body_max=BODY_MAX,
                audit="device.deny",
            ),
        ]

    async def _probe(self, _call: Call) -> web.Response:
        return web.Response(status=204)

    async def _start(self, call: Call) -> StartAnswer:
        body = call.sent(StartBody)
        self._starts.take(neighbourhood(call.address), "too many enrolments are started here")
        with stored():
            begun = await self._auths.start(
                client_id=body.client_id,
                client_version=_told(body.client_version),
                hostname=_told(body.hostname),
                machine_id=_told(body.machine_id),
                force_new=bool(body.force_new),
                address=call.address,
            )
        where = self._verification or f"{self._here(call)}/device"
        sign = "&" if "?" in where else "?"
        return StartAnswer(
            device_code=begun.device_code,
            user_code=begun.user_code,
            verification_uri=where,
            verification_uri_complete=f"{where}{sign}code={quote(begun.user_code)}",
            expires_in=begun.expires_in,
            interval=begun.interval,
        )

    async def _poll(self, call: Call) -> dict[str, Any]:
        body = call.sent(PollBody)
        if body.grant_type != GRANT:
            raise _no("unsupported_grant_type", f"grant_type must be {GRANT}")
        # Before the code is used up: whoever cannot be given everything asks again.
        authkey = await self._read_authkey()
        poll = await self._auths.poll(body.device_code)
        if poll.outcome == "pending":
            raise _no("authorization_pending", "nobody has approved the code yet")
        if poll.outcome == "slow_down":
            raise _no("slow_down", f"ask again in {poll.interval} s, not sooner")
        if poll.outcome == "denied":
            raise _no("access_denied", "the device was refused")
        if poll.outcome == "expired":
            raise _expired()
        with stored():
            used = await self._auths.consume(body.device_code)
        if used is None:
            raise _expired()
        auth, token, raw = used
        org = await self._orgs.get(token.org_id)
        approver = await self._approver(auth, token.org_id)
        call.notes["org"] = token.org_id
        call.notes["audit"] = "device.enrol"
        call.notes["target"] = token.node_id or str(token.token_id)
        call.notes["detail"] = {"token": str(token.token_id), "approved_by": auth.decided_by}
        answer = PollAnswer(
            authkey=authkey,
            expires_in=AUTHKEY_SECONDS,
            nexus_url=self._nexus,
            org_id=token.org_id,
            org_name=org.name if org else token.org_id,
            device_api_token=raw,
            api_base_url=self._public_url,
            user_email=approver.email if approver else None,
            user_name=approver.name if approver else None,
        )
        return answer.model_dump(exclude_none=True)

    async def _pending(self, call: Call) -> PendingView:
        self._decisions.take(call.who.subject, "too many codes are tried")
        auth = await self._auths.pending(call.asked(CodeQuery).user_code)
        if auth is None:
            raise _nothing_waits()
        return _view(auth, node_id=_node_id(auth))

    async def _approve(self, call: Call) -> PendingView:
        self._decisions.take(call.who.subject, "too many codes are tried")
        body = call.sent(DecisionBody)
        waiting = await self._auths.pending(body.user_code)
        if waiting is None:
            raise _nothing_waits()
        node_id = body.node_id or _node_id(waiting)
        if node_id is None:
            raise bad_request("the device told no name that a node can have; give node_id")
        with stored():
            auth = await self._auths.approve(
                body.user_code,
                org_id=call.who.org_id,
                node_id=node_id,
                decided_by=call.who.subject,
            )
        if auth is None:
            raise _nothing_waits()
        call.notes["target"] = node_id
        call.notes["detail"] = {"hostname": auth.hostname, "address": auth.address}
        return _view(auth, node_id=node_id)

    async def _deny(self, call: Call) -> PendingView:
        self._decisions.take(call.who.subject, "too many codes are tried")
        with stored():
            auth = await self._auths.deny(
                call.sent(DecisionBody).user_code,
                org_id=call.who.org_id,
                decided_by=call.who.subject,
            )
        if auth is None:
            raise _nothing_waits()
        call.notes["detail"] = {"hostname": auth.hostname, "address": auth.address}
        return _view(auth, node_id=None)

    def _here(self, call: Call) -> str:
        # The Host header is the asker's own word, and goes back to nobody else.
        return self._public_url or f"{call.request.scheme}://{call.request.host}"

    async def _read_authkey(self) -> str:
        if self._authkey is None:
            return NO_MESH
        try:
            return await self._authkey.read()
        except DeliveryError as error:
            log.warning("authkey_unreadable", error=str(error))
            raise unavailable("the mesh's key cannot be read here; try again") from error

    async def _approver(self, auth: DeviceAuth, org_id: str) -> User | None:
        kind, _, name = (auth.decided_by or "").partition(":")
        return await self._users.get(org_id, known_id(name, "user")) if kind == "user" else None


def named(text: str | None) -> str | None:
    """Give the node id of a device that calls itself so; None if nothing is left of the name."""
    name = _UNSAFE.sub("-", text or "").strip("-.")
    try:
        return node_id_from_name(name) if name else None
    except WireError:
        return None


def _node_id(auth: DeviceAuth) -> str | None:
    return named(auth.hostname)


def _told(text: str | None) -> str | None:
    return clip(text, 200) if text else None


def _view(auth: DeviceAuth, *, node_id: str | None) -> PendingView:
    return PendingView.model_validate(
        {
            "user_code": shown(auth.user_code),
            "state": auth.state,
            "client_id": auth.client_id,
            "client_version": auth.client_version,
            "hostname": auth.hostname,
            "address": auth.address,
            "force_new": auth.force_new,
            "node_id": node_id,
            "org_id": auth.org_id,
            "created_at": stamp(auth.created_at),
            "expires_at": stamp(auth.expires_at),
        }
    )


def _no(word: str, description: str) -> RefusalError:
    return RefusalError(400, word, description)


def _expired() -> RefusalError:
    return _no("expired_token", "the code is not known, was used, or is no longer valid")


def _nothing_waits() -> RefusalError:
    return not_found("no device waits with this code; it may have expired")
