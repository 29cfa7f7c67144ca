"""A route: what is asked, by whom, and what is answered. The API's description is made of these."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel

from citadel_k8s.api.frame.refusal import unauthorized
from citadel_k8s.models.identity import Principal, Role, Scope

M = TypeVar("M", bound=BaseModel)

DEADLINE: Final = 30.0
"""Seconds that a request may take unless its route says otherwise. Source: the wire contract's
client gives up after 30."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: anybody (``public``), devices and workloads that hold a scope, people of a role.

    With neither scope nor role on a route that is not public, any principal may.
    """

    public: bool = False
    device: bool = False
    scope: Scope | None = None
    role: Role | None = None


PUBLIC = Access(public=True)
"""Anybody, without a credential."""

ANYONE = Access(device=True, role=Role.VIEWER)
"""Every device and workload, and every person."""


def device(scope: Scope | None = None) -> Access:
    """Give the access of devices and workloads that hold a scope; people have none."""
    return Access(device=True, scope=scope)


def person(role: Role = Role.VIEWER) -> Access:
    """Give the access of people of at least a role; devices have none."""
    return Access(role=role)


@dataclass(slots=True)
class Call:
    """One request that has passed the frame: authenticated, allowed, and of the right shape.

    Attributes
    ----------
    request
        As aiohttp has it.
    request_id
        What logs, the audit log and the answer's ``X-Request-Id`` name it by.
    address
        Where it came from; behind a trusted proxy, who that says.
    principal
        Who asks; None on a public route.
    query, body
        Validated, of the classes that the route names; None if it names none.
    notes
        What the handler tells the frame besides the answer: ``etag`` (see `unchanged`), ``target``
        and ``detail`` of the audit log's row, and ``audit``, the action's name where the route has
        none or another.
    stopping
        Set when the server is about to stop: whoever holds a stream open ends it, with a hint.
    """

    request: web.Request
    request_id: str
    address: str
    principal: Principal | None = None
    query: BaseModel | None = None
    body: BaseModel | None = None
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def who(self) -> Principal:
        """The principal of a route that is not public."""
        if self.principal is None:
            raise unauthorized("this needs a credential")
        return self.principal

    def unchanged(self, version: str) -> bool:
        """Note what the answer is a version of; say whether the caller has that one already.

        If so the handler gives None: the answer is a 304, and no body was made for nothing.
        """
        tag = f'W/"{version}"'
        self.notes["etag"] = tag
        return holds(self.request.headers.get("If-None-Match"), tag)

    def part(self, name: str) -> str:
        """Give a part of the path, such as ``node_id``."""
        return self.request.match_info[name]

    def asked(self, kind: type[M]) -> M:
        """Give the validated query."""
        if not isinstance(self.query, kind):
            raise TypeError(f"this route has no query of {kind.__name__}")
        return self.query

    def sent(self, kind: type[M]) -> M:
        """Give the validated body."""
        if not isinstance(self.body, kind):
            raise TypeError(f"this route has no body of {kind.__name__}")
        return self.body


def holds(asked: str | None, tag: str) -> bool:
    """Say whether an ``If-None-Match`` names a tag; weak or strong is all the same to it."""
    if not asked:
        return False
    bare = tag.removeprefix("W/")
    named = (part.strip() for part in asked.split(","))
    return any(part == "*" or part.removeprefix("W/") == bare for part in named)


Answer = BaseModel | web.StreamResponse | list[Any] | dict[str, Any] | None
"""What a handler gives: a model or plain JSON (200), None (204), or a response as it is."""

Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    Attributes
    ----------
    method, path
        As aiohttp's router takes them: ``/api/fabric/nodes/{node_id}``.
    summary
        A sentence for the API's description.
    query, body
        Models of the query and of the JSON body.
    answers
        Status to the model of the answer's JSON (None: empty or not JSON); refusals need no word.
    cost
        Requests that it counts for in the credential's quota; 0 is free.
    body_max
        Bytes of a body at most.
    audit
        Name of the action in the audit log; None if it changes nothing.
    name
        ``operationId`` of the API's description; made of method and path if None.
    deadline
        Seconds that the handler may take; None for streams, which end by themselves.
    paced
        Whether requests per second are limited, besides those of a day.
    meter
        Which of the credential's daily quotas it counts in: each name has one of its own.
    log_every
        One in so many successes is logged; what goes wrong always is.
    """

    method: Literal["GET", "POST", "PUT", "DELETE", "HEAD"]
    path: str
    handler: Handler
    summary: str
    access: Access
    tag: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    answers: Mapping[int, Any] = field(default_factory=lambda: {200: None})
    cost: float = 1
    body_max: int = 1024 * 1024
    audit: str | None = None
    name: str | None = None
    deadline: float | None = DEADLINE
    paced: bool = True
    meter: str = "requests"
    log_every: int = 1
