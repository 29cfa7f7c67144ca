"""The description is true of the routes, and is OpenAPI 3.1."""

from typing import Any

import jsonschema
import pytest
from pydantic import Field

from citadel_k8s.api.frame.openapi import describe, operation_id
from citadel_k8s.api.frame.route import ANYONE, PUBLIC, Call, Route, device, person
from citadel_k8s.models.identity import Scope
from citadel_k8s.models.views import NodeDetail, NodeSummary, View
from tests.unit.api.frame.serving import serving


class Query(View):
    page_size: int = Field(default=10, ge=1)
    state: list[str] | None = None


class Body(View):
    device_name: str


async def nothing(_call: Call) -> None:
    return None


ROUTES = [
    Route("GET", "/api/nodes", nothing, "List.", ANYONE, "nodes", query=Query,
          answers={200: list[NodeSummary]}),
    Route("GET", "/api/nodes/{node_id}", nothing, "One.", person(), "nodes",
          answers={200: NodeDetail}),
    Route("PUT", "/api/nodes/{node_id:[^/]+}", nothing, "Change.", device(Scope.STATE_WRITE),
          "nodes", body=Body, answers={204: None}, name="change"),
    Route("GET", "/api/ping", nothing, "Ping.", PUBLIC, "proxy", answers={200: dict[str, Any]}),
]  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    return describe(ROUTES, public_url="https://citadel.example")


def test_every_reference_leads_somewhere(document: dict[str, Any]):
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            found.extend([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
            for inner in part.values():
                walk(inner)
        if isinstance(part, list):
            for inner in part:
                walk(inner)

    walk(document)
    assert found
    for reference in set(found):
        place: Any = document
        for word in reference.removeprefix("#/").split("/"):
            place = place[word]


def test_every_schema_is_one(document: dict[str, Any]):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_queries_parts_and_bodies_are_told_with_their_types(document: dict[str, Any]):
    listing = document["paths"]["/api/nodes"]["get"]
    by_name = {parameter["name"]: parameter for parameter in listing["parameters"]}
    assert by_name["pageSize"]["schema"]["minimum"] == 1
    assert by_name["pageSize"]["required"] is False
    one = document["paths"]["/api/nodes/{node_id}"]
    assert one["get"]["parameters"][0]["schema"]["pattern"].startswith("^[a-zA-Z0-9")
    schema = one["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Body"}
    assert "deviceName" in document["components"]["schemas"]["Body"]["properties"]


def test_who_may_ask_and_what_is_refused_is_told(document: dict[str, Any]):
    paths = document["paths"]
    assert paths["/api/ping"]["get"]["security"] == []
    assert paths["/api/nodes"]["get"]["security"] == [{"deviceToken": []}, {"session": []}]
    assert paths["/api/nodes/{node_id}"]["get"]["security"] == [{"session": []}]
    put = paths["/api/nodes/{node_id}"]["put"]
    assert put["security"] == [{"deviceToken": ["device_state:write"]}]
    assert {"400", "401", "403", "404", "413", "429", "503"} <= set(put["responses"])


def test_names_of_operations_are_stable_and_apart(document: dict[str, Any]):
    names = [operation["operationId"] for path in document["paths"].values()
             for operation in path.values()]  # fmt: skip
    assert names == ["getNodes", "getNodesNodeId", "change", "getPing"]
    assert operation_id(ROUTES[1]) == "getNodesNodeId"


async def test_the_description_is_served_and_tells_of_itself():
    async with serving(ROUTES) as api:
        status, body, headers = await api.ask("/api/openapi.json", who=None)
        assert (status, body["openapi"]) == (200, "3.1.0")
        assert "/api/openapi.json" in body["paths"]
        assert "/healthz" in body["paths"]
        again = {"If-None-Match": headers["ETag"]}
        assert (await api.ask("/api/openapi.json", who=None, headers=again))[0] == 304
