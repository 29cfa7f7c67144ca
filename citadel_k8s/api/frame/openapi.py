"""The API's description, OpenAPI 3.1, made of the routes themselves: what it says is done."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from citadel_k8s import __version__
from citadel_k8s.api.frame.route import PUBLIC, Call, Handler, Route
from citadel_k8s.models.views import Refusal

PATH: Final = "/api/openapi.json"
"""Where the description is."""

SESSION_COOKIE: Final = "citadel_session"
"""Name of the cookie that a signed-in browser sends."""

_SCHEMAS: Final = "#/components/schemas/{model}"
_PARTS: Final = re.compile(r"\{(\w+)(?::[^{}]*)?\}")
_NODE_ID: Final = {"type": "string", "pattern": "^[a-zA-Z0-9._-]{1,64}$"}
_PART: Final = {"type": "string", "minLength": 1, "maxLength": 512}

REFUSALS: Final[Mapping[int, str]] = {
    400: "Not understood: the description names the field.",
    401: "Without a credential, or with one that is not, or no longer, good.",
    403: "The credential is good, and not for this.",
    404: "There is no such thing for this org.",
    405: "This cannot be done here.",
    408: "The body did not arrive in time.",
    409: "This contradicts what is there.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    426: "This is a WebSocket: ask for an upgrade, as the header `Upgrade` says.",
    429: "Too many requests; `retry_after` says in how many seconds to come again.",
    500: "A defect; the log knows the request by its id.",
    503: "Something behind the API is away; try again.",
}
"""What each status from 400 on means."""

_WORDS: Final = {101: "From here on the connection is a WebSocket.", **REFUSALS}


def describe(routes: Iterable[Route], *, public_url: str | None = None) -> dict[str, Any]:
    """Give the description of routes.

    Parameters
    ----------
    routes : iterable of Route
        Those that are told of.
    public_url : str or None
        Where the API is, for those who read this elsewhere.
    """
    listed = list(routes)
    schemas = _Schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for index, route in enumerate(listed):
        there = paths.setdefault(_PARTS.sub(r"{\1}", route.path), {})
        there[route.method.lower()] = _operation(route, index, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "citadel-k8s",
            "version": __version__,
            "description": "Every GPU node and every model that it serves.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url or "/"}],
        "tags": [{"name": tag} for tag in sorted({route.tag for route in listed})],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {str(status): _refusal(status) for status in REFUSALS},
            "securitySchemes": {
                "deviceToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A device token, or a service account's token.",
                },
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
            },
        },
    }


def description_route(routes: Sequence[Route], *, public_url: str | None = None) -> Route:
    """Give the route that tells of routes, of itself too."""
    known: dict[str, Any] = {}

    async def handle(call: Call) -> dict[str, Any] | None:
        if not known:
            known["document"] = describe(listed, public_url=public_url)
            text = json.dumps(known["document"]).encode()
            known["version"] = hashlib.blake2b(text, digest_size=12).hexdigest()
        return None if call.unchanged(known["version"]) else known["document"]

    handler: Handler = handle
    own = Route(
        "GET", PATH, handler, "This description.", PUBLIC, "api", answers={200: dict[str, Any]}
    )
    listed = [*routes, own]
    return own


class _Schemas:
    """JSON schemas of all that is sent and answered, by the index of the route."""

    def __init__(self, routes: Sequence[Route]) -> None:
        wanted: list[tuple[Any, Any, TypeAdapter[Any]]] = [
            ("refusal", "serialization", TypeAdapter(Refusal))
        ]
        for index, route in enumerate(routes):
            if route.body is not None:
                wanted.append(((index, "body"), "validation", TypeAdapter(route.body)))
            wanted += [
                ((index, status), "serialization", TypeAdapter(model))
                for status, model in route.answers.items()
                if model is not None
            ]
        found, rest = TypeAdapter.json_schemas(wanted, ref_template=_SCHEMAS)
        self._found = {key: schema for (key, _), schema in found.items()}
        self.components: dict[str, Any] = dict(rest.get("$defs", {}))

    def body(self, index: int) -> Any:
        """Give the schema of a route's body."""
        return self._found[index, "body"]

    def answer(self, index: int, status: int) -> Any:
        """Give the schema of a route's answer."""
        return self._found[index, status]

    def query(self, route: Route) -> list[dict[str, Any]]:
        """Give a route's query, parameter by parameter."""
        if route.query is None:
            return []
        schema = route.query.model_json_schema(ref_template=_SCHEMAS)
        self.components |= schema.get("$defs", {})
        needed = schema.get("required", [])
        return [
            {"name": name, "in": "query", "required": name in needed, "schema": kind}
            for name, kind in schema.get("properties", {}).items()
        ]


def _operation(route: Route, index: int, schemas: _Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": route.name or operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _responses(route, index, schemas),
        "security": _security(route),
    }
    parameters = [_part(name) for name in _PARTS.findall(route.path)] + schemas.query(route)
    if parameters:
        told["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": schemas.body(index)}}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _part(name: str) -> dict[str, Any]:
    schema = _NODE_ID if name in {"node_id", "nodeId"} else _PART
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _responses(route: Route, index: int, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, model in sorted(route.answers.items()):
        responses[str(status)] = {"description": _WORDS.get(status, "Done.")}
        if model is not None:
            content = {"application/json": {"schema": schemas.answer(index, status)}}
            responses[str(status)]["content"] = content
    if route.method == "GET" and 200 in route.answers and route.deadline is not None:  # noqa: PLR2004
        responses["304"] = {"description": "What the caller has is still true."}
    for status in _refused_with(route):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    return responses


def _refused_with(route: Route) -> list[int]:
    # A public route too may look for a credential in what it is sent, and for what is named there.
    statuses = [400, 429, 500, 503] if route.cost == 0 else [400, 401, 403, 404, 429, 500, 503]
    if _PARTS.search(route.path):
        statuses.append(404)
    if route.method not in {"GET", "HEAD"}:
        statuses.append(409)
    if route.body is not None:
        statuses += [408, 413, 415]
    if 101 in route.answers:  # noqa: PLR2004
        statuses.append(426)
    return sorted({*statuses, *([] if route.access.public else (401, 403))})


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": _SCHEMAS.format(model=Refusal.__name__)}
    told: dict[str, Any] = {
        "description": REFUSALS[status],
        "content": {"application/json": {"schema": schema}},
    }
    if status in {429, 503}:
        told["headers"] = {
            "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
        }
    if status == 426:  # noqa: PLR2004
        told["headers"] = {
            "Upgrade": {
                "description": "What to ask for.",
                "schema": {"type": "string", "const": "websocket"},
            }
        }
    return told


def _security(route: Route) -> list[dict[str, list[str]]]:
    access = route.access
    if access.public:
        return []
    either = not (access.device or access.role or access.scope)
    ways: list[dict[str, list[str]]] = []
    if access.device or either:
        ways.append({"deviceToken": [access.scope] if access.scope else []})
    if access.role or either:
        ways.append({"session": []})
    return ways


def operation_id(route: Route) -> str:
    """Give a name that stays as long as method and path do: ``getFabricNodesNodeId``."""
    words = re.findall(r"[A-Za-z0-9]+", _PARTS.sub(r"\1", route.path).removeprefix("/api"))
    return route.method.lower() + "".join(word[0].upper() + word[1:] for word in words)
