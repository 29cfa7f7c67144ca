"""What else a node asks of its platform: whose it is, what to run, whom to let in."""

from pathlib import Path
from typing import Final

from aiohttp import web

from citadel_k8s.api.frame.reading import read_body
from citadel_k8s.api.frame.refusal import not_found, unavailable
from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.proxy.gatekeeper import Gatekeeper
from citadel_k8s.api.proxy.shapes import (
    Authkey,
    AuthorizedKeys,
    Pong,
    TerminalTokens,
    WorkerConfig,
)
from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.stores.relay import Relay

BASE_QUEUE: Final = "jobs:v1:cpu-general"
"""The queue of a node that comes by the API. Source: the wire contract."""

WORKER_GROUP: Final = "citadel-workers"
"""The group of those who work. Source: the wire contract."""

STATE_MAX: Final = 1024 * 1024
"""Bytes of a node's actual state: what is on a node fits into a status of that size, too."""

AUTHKEY_SECONDS: Final = 3600
"""Seconds for which a key for the mesh is called good: its file does not say, and a device uses it
within a minute."""

OCTETS: Final = "application/octet-stream"
PEM: Final = "application/x-pem-file"


class NodePages:
    """Answers nodes.

    Parameters
    ----------
    relay : Relay
        Is asked whether Redis is there.
    gatekeeper : Gatekeeper
        Says what a caller may name.
    authkey_file : Path or None
        Holds the key for the mesh that devices are given.
    ca_file : Path or None
        Certificates (PEM) that nodes are to trust.
    """

    def __init__(
        self,
        relay: Relay,
        gatekeeper: Gatekeeper,
        *,
        authkey_file: Path | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._relay, self._gatekeeper = relay, gatekeeper
        self._authkey = None if authkey_file is None else SecretFile(authkey_file)
        self._ca_file = ca_file

    async def ping(self, call: Call) -> Pong:
        """Say that the credential is good and Redis answers."""
        del call
        await self._relay.ask("PING")
        return Pong(status="ok")

    async def worker_config(self, call: Call) -> WorkerConfig:
        """Say where a node's work lies and whose it is."""
        return WorkerConfig(
            queue=BASE_QUEUE,
            queue_names=[BASE_QUEUE],
            consumer_group=WORKER_GROUP,
            org_id=call.who.org_id,
        )

    async def node_state(self, call: Call) -> web.Response:
        """Take a node's actual state and do nothing with it: it is managed by nobody here."""
        await read_body(call.request, STATE_MAX)
        return web.Response(status=202)

    async def desired_state(self, call: Call) -> web.Response:
        """Say "never managed": an empty state, at which a node changes nothing."""
        del call
        return web.Response(body=b"", content_type=OCTETS)

    async def ca_chain(self, call: Call) -> web.Response:
        """Give the certificates that nodes are to trust, if there are any."""
        del call
        if self._ca_file is None:
            raise not_found("no certificates are given out here")
        try:
            body = self._ca_file.read_bytes()
        except OSError as error:
            raise unavailable("the certificates cannot be read") from error
        return web.Response(body=body, content_type=PEM)

    async def terminal_tokens(self, call: Call) -> TerminalTokens:
        """Say who may open a terminal: nobody."""
        self._gatekeeper.claims(call).check_org(call.part("org_id"), "org")
        return TerminalTokens(tokens=[])

    async def authorized_keys(self, call: Call) -> AuthorizedKeys:
        """Say who may log in: nobody."""
        del call
        return AuthorizedKeys(keys=[], authorized_keys="", count=0)

    async def authkey(self, call: Call) -> Authkey:
        """Give a key for the mesh."""
        del call
        if self._authkey is None:
            raise not_found("no keys for the mesh are given out here (enrolment.authkeyFile)")
        try:
            key = await self._authkey.read()
        except DeliveryError as error:
            raise unavailable("the key for the mesh cannot be read") from error
        return Authkey(authkey=key, expires_in=AUTHKEY_SECONDS)
