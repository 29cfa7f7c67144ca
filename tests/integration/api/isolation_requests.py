"""Random requests over all routes there are, with what is one's own and what is another's.

A request is made of a route and a seed alone. Made again with ``twin``, each thing of another org
is replaced by an unknown one of the same shape, and nothing else differs: the two must be answered
alike. Parameters are found by the names of a route's own path, query and body, so that a new route
is asked, too.
"""

import json
import random
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import quote, urlencode

from pydantic import BaseModel, RootModel
from typing_extensions import TypeAliasType

from citadel_k8s.api.frame.route import Route
from tests.integration.api.isolation import ORGS, SHARED, Org, Owners
from tests.integration.api.isolation_names import Names
from tests.unit.api.identity.signing import jwks, rsa_jwk

ENDING = {
    ("DELETE", "/api/session"),
    ("POST", "/api/fabric/device-auth/deregister"),
}
"""Routes that end the credential they are asked with."""

ODD_METHODS = ("PATCH", "OPTIONS", "TRACE", "PROPFIND", "LINK", "HEAD", "PUT", "DELETE")

KINDS = {
    "node_id": "node", "node": "node", "nodes": "node", "name": "node", "node_name": "node",
    "headscale_id": "mesh", "user_id": "user", "token_id": "token", "cluster_id": "cluster",
    "org_id": "org", "user_code": "code", "email": "email", "issuer": "issuer",
    "after": "place", "cursor": "cursor", "message_id": "entry", "messageid": "entry",
}  # fmt: skip
"""What a parameter of a name holds."""

SPENT = {"user": {"PUT", "POST", "DELETE"}, "token": {"POST", "DELETE"}, "cluster": {"DELETE"},
         "node": {"DELETE"}}  # fmt: skip
"""Of what a method uses up only spare ones of one's own are named, or all would soon be gone."""

_JWKS = jwks(rsa_jwk("stranger"))


@dataclass
class Asked:
    """One request as it is sent."""

    route: Route
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    who: str
    foreign: dict[str, str] = field(default_factory=dict)
    """What of another org's it names, and the unknown twin of each."""

    def said(self) -> str:
        """Give all that the caller says."""
        sent = (self.body or b"").decode(errors="replace")
        return f"{self.path}\n{sent}\n{self.headers}"


@dataclass
class Draw:
    """Draws values for one request."""

    owners: Owners
    org: Org
    rng: random.Random
    twin: bool = False
    plain: bool = False
    """Whether it is a request that ought to succeed: its own things, in their usual form."""
    aimed: bool = False
    """Whether all that it names is another's, in its usual form."""
    foreign: dict[str, str] = field(default_factory=dict)
    spends: bool = False
    """Whether it uses up something of one's own, so that the same cannot be asked again."""

    @property
    def usual(self) -> bool:
        """Whether names have their usual form."""
        return self.plain or self.aimed

    def atom(self, kind: str, method: str = "GET") -> str:
        """Give something of a kind: one's own, another's, or nobody's."""
        mine = self.org.has.get(kind) or [self.org.mark()]
        if kind == "code":
            mine = self.org.spare["code"]
        elif method in SPENT.get(kind, ()):
            mine = self.org.spare[kind]
        spent = kind == "code" or method in SPENT.get(kind, ())
        roll, other = self.rng.random(), self.rng.choice([o for o in ORGS if o != self.org.name])
        theirs = self.owners.orgs[other].has.get(kind) or [other]
        own, value = self.rng.choice(mine), self.rng.choice(theirs)
        if self.plain or (roll < 0.4 and not self.aimed):
            self.spends = self.spends or spent
            return own
        if roll > 0.9 and not self.aimed:
            return self.rng.choice(("", "*", "%", "0", "-", "null", "é", "a" * 300, "..", "'--"))
        if value in SHARED or value in mine:
            return value
        if kind in {"place", "cursor", "etag", "entry", "issuer"}:
            return value  # no id of anything that is told apart from an unknown one
        self.foreign[value] = self.owners.twin(value)
        return self.foreign[value] if self.twin else value

    def text(self) -> str:
        """Give a text: a mark of one's own, or what all marks of another org begin with."""
        mine = self.org.mark()
        other = self.owners.orgs[self.rng.choice(ORGS)]
        return mine if self.plain or self.rng.random() < 0.6 else f"mk{other.name}{other.salt}"


class Requests:
    """Makes requests.

    Parameters
    ----------
    owners : Owners
        Who has what; cursors and ETags that answers gave are added to it.
    routes : list of Route
        Of the application as it is served.
    """

    def __init__(self, owners: Owners, routes: list[Route]) -> None:
        self.owners, self.routes = owners, routes

    def make(
        self,
        route: Route,
        org: Org,
        seed: int,
        *,
        twin: bool = False,
        plain: bool = False,
        aimed: bool = False,
    ) -> Asked:
        """Make the request of a seed, or its twin."""
        rng = random.Random(seed)
        draw = Draw(self.owners, org, rng, twin, plain, aimed)
        who = self._who(route, org, rng, plain=draw.usual)
        path = self._path(route, draw)
        query = self._query(route, draw)
        body = self._body(route, draw)
        headers = dict(org.credentials.get(who, {}))
        if body is not None:
            headers["Content-Type"] = "application/json"
        if not draw.usual:
            headers |= self._headers(draw, who)
        method: str = route.method
        if not draw.usual and rng.random() < 0.04:
            method = rng.choice(ODD_METHODS)
        if query:
            path += "?" + urlencode(query, doseq=True, safe="*")
        asked = Asked(route, method, path, headers, body, who)
        if not draw.spends:
            said = asked.said().lower()
            asked.foreign = {f: t for f, t in draw.foreign.items() if f.lower() in said}
        return asked

    def _who(self, route: Route, org: Org, rng: random.Random, *, plain: bool) -> str:
        access, roll = route.access, rng.random()
        if (route.method, route.path) in ENDING:
            kind = "leaving-device" if route.path.endswith("deregister") else "leaving"
            return "nobody" if roll < 0.6 and not plain else f"{kind}-{rng.randrange(1, 4)}"
        if not plain and roll < 0.2:
            return rng.choice(("nobody", "forged", *_LASTING))
        can = []
        if access.public:
            can.append("nobody")
        if access.device or access.public:
            can += ["bound", "unbound"] if plain else ["bound", "unbound", "workload"]
        if access.role is not None:
            roles = ("viewer", "editor", "admin")
            can += roles[roles.index(access.role) :]
        return rng.choice(can or ["admin"])

    def _path(self, route: Route, draw: Draw) -> str:
        parts = []
        for part in route.path.split("/"):
            if not part.startswith("{"):
                parts.append(part)
                continue
            kind = KINDS.get(part.strip("{}").partition(":")[0], "node")
            value = draw.atom(kind, route.method)
            if draw.usual or draw.rng.random() < 0.8:
                parts.append(quote(value, safe=""))
            else:
                parts.append(draw.rng.choice(_DISGUISES)(value))
        return "/".join(parts)

    def _query(self, route: Route, draw: Draw) -> dict[str, Any]:
        if route.query is None:
            return {}
        query = {}
        for name, info in route.query.model_fields.items():
            needed = info.is_required()
            if needed or (not draw.plain and draw.rng.random() < 0.3):
                query[info.alias or name] = self._value(name, info.annotation, draw, route)
        return {name: value for name, value in query.items() if value is not None}

    def _body(self, route: Route, draw: Draw) -> bytes | None:
        if route.body is None:
            return b"\0\1" if route.method == "POST" and draw.rng.random() < 0.5 else None
        if issubclass(route.body, RootModel):
            document: Any = {"deviceName": draw.text(), "customTags": [draw.org.mark()]}
            if not draw.plain and draw.rng.random() < 0.3:
                document |= {"nodeId": draw.atom("node")}
        else:
            document = self._model(route.body, draw, route)
        if not draw.plain and draw.rng.random() < 0.1:
            document |= {"orgId": draw.atom("org"), "org_id": draw.atom("org")}
        return json.dumps(document).encode()

    def _model(self, model: type[BaseModel], draw: Draw, route: Route) -> dict[str, Any]:
        names = Names(draw)
        document: dict[str, Any] = {}
        for name, info in model.model_fields.items():
            # Without an audience of its own the second cluster of an issuer is always refused.
            if info.is_required() or name == "audience" or draw.rng.random() < 0.4:
                document[info.alias or name] = self._value(name, info.annotation, draw, route)
        if "stream" in document:
            document["stream"], document["values"] = names.entry()
        if "channel" in document:
            document["channel"], document["message"] = names.message()
        if "queue" in document:
            document["queue"], document["group"] = names.queue(), names.group()
            document["consumer"] = draw.org.mark()
        return document

    def _value(self, name: str, annotation: Any, draw: Draw, route: Route) -> Any:
        made = _MADE.get(name.lower())
        if made is not None:
            return made(draw)
        if name == "key":
            return Names(draw).key()
        kind = KINDS.get(name.lower())
        if draw.plain and route.method == "POST" and kind in {"cluster", "issuer", "email"}:
            return draw.org.mark() + ("@x.test" if kind == "email" else "")
        if kind is not None and not (name == "name" and route.body is not None):
            return draw.atom(kind)
        return _of_kind(annotation, draw)

    def _headers(self, draw: Draw, who: str) -> dict[str, str]:
        rng, headers = draw.rng, {}
        other = draw.owners.orgs[rng.choice(ORGS)]
        if rng.random() < 0.15:
            headers["X-Forwarded-For"] = rng.choice(("10.255.0.1", "127.0.0.1, 10.255.0.1", "x"))
        if rng.random() < 0.15:
            # Believed of a proxy at 10.255.0.0/16 alone.
            headers["X-Forwarded-Email"] = rng.choice(other.has["email"])
        if rng.random() < 0.1:
            headers["X-Org-Id"] = headers["X-Citadel-Org"] = other.name
        if rng.random() < 0.15 and other.has.get("etag"):
            headers["If-None-Match"] = rng.choice(other.has["etag"])
        if rng.random() < 0.1:
            headers["Last-Event-ID"] = rng.choice(other.has["place"])
        if rng.random() < 0.05:
            headers["X-Request-Id"] = draw.org.mark()
        if who == "nobody" and rng.random() < 0.3:
            headers["Cookie"] = f"citadel_session={'x' * 43}"
        return headers


_LASTING = ("bound", "unbound", "workload", "viewer", "editor", "admin")

_DISGUISES: tuple[Callable[[str], str], ...] = (
    lambda v: quote(quote(v, safe=""), safe=""),
    lambda v: quote(v + "\n", safe=""),
    lambda v: quote(v.upper(), safe=""),
    lambda v: "%2e%2e%2f" + quote(v, safe=""),
    lambda v: quote(v + "*", safe=""),
    lambda v: quote("".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in v), safe=""),
    lambda v: quote(f"other:{v}", safe=""),
    lambda v: quote(v, safe="") + "%00",
)

_MADE: Mapping[str, Callable[[Draw], Any]] = {
    "jwks": lambda _: _JWKS,
    "service_accounts": lambda draw: ["citadel/agent", f"{draw.org.mark()}/x"],
    "audience": lambda draw: draw.org.mark(),
    "scopes": lambda _: ["device_redis:read", "device_redis:pubsub"],
    "role": lambda draw: draw.rng.choice(("viewer", "editor")),
    "grant_type": lambda _: "urn:ietf:params:oauth:grant-type:device_code",
    "blockms": lambda draw: draw.rng.randrange(1, 15),
    "kinds": lambda draw: draw.rng.choice(("node", "gone", "event,node")),
    "state": lambda draw: draw.rng.choice(("Online", "Degraded", "Degraded,Decommissioned")),
    "kind": lambda _: "fault",
    "range": lambda draw: draw.rng.choice(("1h", "6h", "24h")),
    "sort": lambda draw: draw.rng.choice(("name", "-name", "state")),
    "label": lambda draw: draw.text(),
    "since": lambda _: "2026-11-01T00:00:00Z",
    "until": lambda _: "2030-01-01T00:00:00Z",
    "limit": lambda draw: draw.rng.choice((1, 2, 3, 100)),
    "ttl": lambda draw: draw.rng.choice((3600, 86_400)),  # none ends in a run
    "days": lambda _: 1,
    "grace_hours": lambda _: 1,
    "device_code": lambda draw: draw.text(),
    "node_name": lambda draw: "gpu-1" if draw.plain else draw.atom("node"),
}


def _of_kind(annotation: Any, draw: Draw) -> Any:
    """Give a value of a type; a text where it is not known."""
    if isinstance(annotation, TypeAliasType):
        annotation = annotation.__value__
    if get_origin(annotation) is Annotated:
        return _of_kind(get_args(annotation)[0], draw)
    origin = get_origin(annotation)
    if origin is Literal:
        return draw.rng.choice(get_args(annotation))
    if origin in {Union, types.UnionType}:
        annotation = next(a for a in get_args(annotation) if a is not type(None))
        return _of_kind(annotation, draw)
    plain: dict[Any, Callable[[], Any]] = {
        bool: lambda: draw.rng.random() < 0.5,
        int: lambda: draw.rng.randrange(1, 10),
        float: lambda: 1.5,
    }
    if annotation in plain:
        return plain[annotation]()
    if origin is list:
        return [draw.text()]
    return {"x": draw.text()} if origin is dict else draw.text()
