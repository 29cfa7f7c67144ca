"""Every route of the proxy. Paths, bodies and answers are the wire contract's, to the letter."""

from pathlib import Path
from typing import Final

from aiohttp import web

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.refusal import upgrade_required
from citadel_k8s.api.frame.route import ANYONE, PUBLIC, Call, Route, device
from citadel_k8s.api.proxy.conversation import Conversation
from citadel_k8s.api.proxy.frames import FRAME_MAX
from citadel_k8s.api.proxy.gatekeeper import Gatekeeper, MeshId, Note, no_mesh
from citadel_k8s.api.proxy.jobs import Jobs
from citadel_k8s.api.proxy.keyvalues import Texts
from citadel_k8s.api.proxy.nodes import STATE_MAX, NodePages
from citadel_k8s.api.proxy.room import Room
from citadel_k8s.api.proxy.sendqueue import SendQueue
from citadel_k8s.api.proxy.session import Authenticate, Session
from citadel_k8s.api.proxy.shapes import (
    BLOCK_MAX_MS,
    AcknowledgeBody,
    Acknowledged,
    AddBody,
    Added,
    Authkey,
    AuthorizedKeys,
    ConsumeBody,
    Consumed,
    Deleted,
    KeyQuery,
    KeyValue,
    Pong,
    PublishBody,
    Published,
    Put,
    PutBody,
    TerminalTokens,
    WorkerConfig,
)
from citadel_k8s.api.proxy.streams import Count, Streams, uncounted
from citadel_k8s.models.identity import Scope

BODY_MAX: Final = 2 * 1024 * 1024 + 64 * 1024
"""Bytes of a body that holds an entry: JSON within JSON is up to twice as long."""

ANSWER_SECONDS: Final = 4.5
"""Seconds for a write: clients of the contract may hang up after five."""

HEARTBEATS_LOGGED: Final = 1000
"""One heartbeat in so many is logged."""

CONSUME_COST: Final = 0.25
"""Requests that a consume counts for: the contract has a client of two queues ask 70,000 times a
day, and the published quota is 50,000."""

READ: Final = device(Scope.REDIS_READ)
SPEAK: Final = device(Scope.REDIS_PUBSUB)
STATE: Final = device(Scope.STATE_WRITE)

REDIS: Final = "/api/fabric/redis"
TAG: Final = "proxy"


def routes(
    room: Room,
    authenticate: Authenticate,
    clock: Clock,
    *,
    note: Note | None = None,
    count: Count = uncounted,
    mesh_id: MeshId = no_mesh,
    authkey_file: Path | None = None,
    ca_file: Path | None = None,
) -> list[Route]:
    """Give the proxy's routes.

    Parameters
    ----------
    room : Room
        Its connections; run by its owner.
    authenticate : callable
        Says whether the credential of a socket that is open still holds.
    note : callable or None
        Takes rows of the audit log.
    count : callable
        Counts a node's heartbeats; raises RefusalError 429 beyond the day's quota.
    mesh_id : callable
        Gives the mesh's id of an org's node, None if it is not known.
    authkey_file, ca_file : Path or None
        The key for the mesh, and the certificates, that devices are given.
    """
    gatekeeper = Gatekeeper(clock, note, mesh_id)
    streams = Streams(room.appender, gatekeeper, room.rations, count=count)
    jobs = Jobs(room.queues, gatekeeper, room.rations)
    texts = Texts(room.values, gatekeeper, room.rations)
    pages = NodePages(room.rest, gatekeeper, authkey_file=authkey_file, ca_file=ca_file)
    return [
        *_stream_routes(streams),
        *_job_routes(jobs),
        *_text_routes(texts),
        *_page_routes(pages),
        _socket_route(room, gatekeeper, authenticate),
    ]


def _stream_routes(streams: Streams) -> list[Route]:
    return [
        Route(
            "POST", f"{REDIS}/streams/add", streams.add,
            "Append an entry to a stream: a heartbeat, use, or activity.",
            SPEAK, TAG, body=AddBody, answers={200: Added}, cost=0, body_max=BODY_MAX,
            deadline=ANSWER_SECONDS, paced=False, log_every=HEARTBEATS_LOGGED,
        ),
        Route(
            "POST", f"{REDIS}/pubsub/publish", streams.publish, "Say something on a channel.",
            SPEAK, TAG, body=PublishBody, answers={200: Published}, body_max=BODY_MAX,
            deadline=ANSWER_SECONDS, log_every=HEARTBEATS_LOGGED, meter="publishing",
        ),
    ]  # fmt: skip


def _job_routes(jobs: Jobs) -> list[Route]:
    return [
        Route(
            "POST", f"{REDIS}/jobs/consume", jobs.consume,
            "Wait for an entry of a queue and claim it; at most one is given.",
            READ, TAG, body=ConsumeBody, answers={200: Consumed},
            deadline=BLOCK_MAX_MS / 1000 + ANSWER_SECONDS, log_every=HEARTBEATS_LOGGED,
            cost=CONSUME_COST,
        ),
        Route(
            "POST", f"{REDIS}/jobs/acknowledge", jobs.acknowledge, "Be done with an entry.",
            READ, TAG, body=AcknowledgeBody, answers={200: Acknowledged},
            deadline=ANSWER_SECONDS,
        ),
    ]  # fmt: skip


def _text_routes(texts: Texts) -> list[Route]:
    path = f"{REDIS}/kv"
    return [
        Route(
            "GET", path, texts.get, "Give what lies under a key.",
            READ, TAG, query=KeyQuery, answers={200: KeyValue}, deadline=ANSWER_SECONDS,
        ),
        Route(
            "POST", path, texts.put, "Lay a text under a key.",
            SPEAK, TAG, body=PutBody, answers={200: Put}, deadline=ANSWER_SECONDS,
        ),
        Route(
            "DELETE", path, texts.delete, "Take away what lies under a key.",
            SPEAK, TAG, query=KeyQuery, answers={200: Deleted}, deadline=ANSWER_SECONDS,
        ),
    ]  # fmt: skip


def _page_routes(pages: NodePages) -> list[Route]:
    nodes = "/api/fabric/nodes"
    return [
        Route(
            "GET", f"{REDIS}/ping", pages.ping, "Say that the credential is good.",
            READ, TAG, answers={200: Pong}, deadline=ANSWER_SECONDS,
        ),
        Route(
            "GET", "/api/fabric/worker-config", pages.worker_config,
            "Say where a node's work lies and whose it is.",
            device(), TAG, answers={200: WorkerConfig},
        ),
        Route(
            "POST", "/api/fabric/node-state", pages.node_state,
            "Take a node's actual state (octets); nothing is done with it.",
            STATE, TAG, answers={202: None}, body_max=STATE_MAX,
        ),
        Route(
            "GET", f"{nodes}/{{headscale_id}}/desired-state", pages.desired_state,
            "Give a node's desired state (octets): always the empty one.",
            device(), TAG, answers={200: None},
        ),
        Route(
            "GET", "/api/fabric/ca/chain", pages.ca_chain,
            "Give the certificates (PEM) that nodes are to trust.",
            PUBLIC, TAG, answers={200: None},
        ),
        Route(
            "GET", "/api/fabric/terminal/tokens/{org_id}/hashes", pages.terminal_tokens,
            "Say who may open a terminal on a node.",
            device(), TAG, answers={200: TerminalTokens},
        ),
        Route(
            "GET", f"{nodes}/{{name}}/authorized-keys", pages.authorized_keys,
            "Say whose keys a node lets in.",
            ANYONE, TAG, answers={200: AuthorizedKeys},
        ),
        Route(
            "POST", "/api/fabric/authkey/generate", pages.authkey,
            "Give a key for the mesh.",
            device(Scope.AUTHKEY_WRITE), TAG, answers={200: Authkey}, audit="authkey.generate",
        ),
    ]  # fmt: skip


def _socket_route(room: Room, gatekeeper: Gatekeeper, authenticate: Authenticate) -> Route:
    async def socket(call: Call) -> web.StreamResponse:
        wire = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=FRAME_MAX)
        if not wire.can_prepare(call.request):
            raise upgrade_required()
        claims = await gatekeeper.mesh_claims(call)
        with room.rations.socket(call.who):
            await wire.prepare(call.request)
            conversation = Conversation(
                claims, room.appender, room.queues, room.hub, room.live, rations=room.rations
            )
            await Session(call, wire, SendQueue(), conversation, authenticate).run()
        return wire

    return Route(
        "GET", f"{REDIS}/ws", socket,
        "Say, hear and consume over one connection: frames of the wire contract.",
        SPEAK, TAG, answers={101: None}, deadline=None,
    )  # fmt: skip
