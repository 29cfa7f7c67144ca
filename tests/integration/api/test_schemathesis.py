"""Requests of every shape that the description allows, and of many that it does not.

For each route: no answer of 500, every status and body as described, nothing let in without a
credential. A few examples of each by default; ``SCHEMATHESIS_EXAMPLES=200`` looks harder.
"""

import asyncio
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

from citadel_k8s.api.frame.openapi import PATH
from tests.integration.api.conftest import WholeApi

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "4"))

SLOW = {"/api/fabric/events", "/api/fabric/ws", "/api/fabric/redis/ws"}
"""Streams: they do not end, and have tests of their own."""

CREDENTIALS = {"authorization", "cookie"}


def tried(case: Any, base: str, headers: dict[str, str], described: set[str]) -> str | None:
    """Send one request; give what is wrong with the answer."""
    for name in [name for name in case.headers or {} if name.lower() in CREDENTIALS]:
        del case.headers[name]  # who asks is said below
    case.cookies.clear()
    response = case.call(base_url=base, headers=headers, timeout=40)
    what = f"{case.method} {case.formatted_path} as {sorted(headers)}: {response.status_code}"
    if response.status_code == 500:
        return f"{what}: {response.text[:300]}"
    if str(response.status_code) not in described:
        return f"{what} is not described: {response.text[:300]}"
    try:
        case.validate_response(
            response, checks=[content_type_conformance, response_schema_conformance]
        )
    except BaseExceptionGroup as group:
        return f"{what}: {group.exceptions[0]}"[:600]
    if response.status_code >= 400:
        body = response.json() if case.method != "HEAD" else {"error": ""}
        if not isinstance(body.get("error"), str) or "Traceback" in response.text:
            return f"{what}: {response.text[:300]}"
    return None


def look(document: dict[str, Any], base: str, callers: dict[str, dict[str, str]]) -> list[str]:
    """Try all operations; give what is wrong, a line each."""
    wrong: list[str] = []
    loaded = schemathesis.openapi.from_dict(document)
    for result in loaded.get_all_operations():
        operation = result.ok()
        if operation.path in SLOW:
            continue
        described = set(document["paths"][operation.path][operation.method]["responses"])
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            wrong += _look(operation, mode, base, callers, described)
    return wrong


def _look(
    operation: Any,
    mode: GenerationMode,
    base: str,
    callers: dict[str, dict[str, str]],
    described: set[str],
) -> list[str]:
    wrong: list[str] = []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        for headers in callers.values():
            found = tried(case, base, headers, described)
            if found is not None:
                wrong.append(found)

    try:
        ask()
    except Exception as error:  # noqa: BLE001 - some operations have nothing to be negative about
        if "Unsatisfiable" not in type(error).__name__:
            wrong.append(f"{operation.method} {operation.path}: {type(error).__name__}: {error}")
    return wrong


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
async def test_no_request_breaks_a_route_and_each_answer_is_as_described(api: WholeApi):
    _, document, _ = await api.ask(PATH)
    base = api.url("").rstrip("/")
    callers = {who: api.headers[who] for who in ("device", "admin")}
    wrong = await asyncio.to_thread(look, document, base, callers)
    assert not wrong, "\n".join(sorted(set(wrong))[:60])
