"""No org is ever told anything of another, nor changes it, whatever it asks for."""

from typing import Any, Literal

import pytest

from citadel_k8s.api import wiring
from citadel_k8s.api.frame.refusal import forbidden, not_found
from citadel_k8s.api.frame.route import ANYONE, Call, Handler, Route
from citadel_k8s.api.frame.service import ApiService
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.conftest import running
from tests.integration.api.isolation_run import SETTINGS, Run


@pytest.fixture
def isolated(api_settings: ApiSettings) -> ApiSettings:
    given = api_settings.model_dump()
    return ApiSettings.model_validate(given | SETTINGS)


NEVER_WELL = {
    ("POST", "/api/session/link"),
    ("GET", "/api/session/link"),
    ("POST", "/api/fabric/device-auth/token"),
    ("GET", "/api/fabric/ca/chain"),
    ("POST", "/api/fabric/authkey/generate"),
    ("GET", "/assets/{asset}"),
    ("GET", "/{icon:favicon[a-z-]*[.]svg}"),
}
"""Routes that need a secret which nobody here has, or a file that is not there or has no such
name."""


@pytest.mark.timeout(120)
async def test_four_hundred_random_requests_tell_and_change_nothing_of_another_org(isolated):
    async with running(isolated) as api:
        run = Run(api, seed=1)
        tally = await run.go(400)
        assert not tally.wrong(), "\n".join(tally.wrong()[:40])
        asked = {(route.method, route.path) for route in api.service.routes}
        assert asked - tally.worked <= NEVER_WELL
    assert tally.total >= 400
    assert tally.pairs >= 40
    assert tally.live >= 6
    assert min(tally.heard[kind] for kind in ("SSE", "WebSocket", "proxy WebSocket")) > 50


def leaky(database: Database) -> list[Route]:
    """Give routes that are wrong, each in its own way."""

    async def row(call: Call) -> dict[str, Any]:
        return await one(call, "SELECT name FROM nodes WHERE org_id <> %s LIMIT 1")

    async def person(call: Call) -> dict[str, Any]:
        return await one(call, "SELECT user_id::text AS name FROM users WHERE org_id <> %s LIMIT 1")

    async def change(call: Call) -> dict[str, Any]:
        await one(call, "UPDATE nodes SET owner = 'x' WHERE org_id <> %s RETURNING owner")
        return {}

    async def tell(call: Call) -> dict[str, Any]:
        async with database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT FROM users WHERE user_id::text = %s", (call.part("user_id"),)
            )
            if await cursor.fetchone() is None:
                raise not_found("there is no such user")
        raise forbidden("this is another org's user")

    async def broken(call: Call) -> dict[str, Any]:
        raise RuntimeError(call.request_id)

    async def one(call: Call, statement: Any) -> dict[str, Any]:
        async with database.transaction() as connection:
            cursor = await connection.execute(statement, (call.who.org_id,))
            return dict(await cursor.fetchone() or {})

    made: list[tuple[Literal["GET", "POST"], str, Handler]] = [
        ("GET", "row", row),
        ("GET", "person", person),
        ("POST", "change", change),
        ("GET", "tell/{user_id}", tell),
        ("GET", "broken", broken),
    ]
    return [Route(method, f"/api/leak/{p}", h, "Wrong.", ANYONE, "x") for method, p, h in made]


@pytest.mark.timeout(120)
async def test_routes_that_leak_change_or_tell_apart_are_found(isolated, monkeypatch):
    database = Database(isolated.database_url or "", pool_max=2)
    wrong = leaky(database)

    def with_them(settings: ApiSettings, rooms: list[Route], *behind: Any, **more: Any) -> Any:
        return ApiService(settings, [*rooms, *wrong], *behind, **more)

    monkeypatch.setattr(wiring, "ApiService", with_them)
    async with running(isolated) as api:
        tally = await Run(api, seed=2, routes=wrong).go(80)
    await database.close()
    assert any("/leak/row" in line and "told mk" in line for line in tally.leaks)
    assert any("/leak/person" in line for line in tally.leaks)
    assert any("nodes: " in line for line in tally.changed)
    assert any("/leak/tell" in line for line in tally.told_apart)
    assert any("/leak/broken" in line for line in tally.broken)
    found = "\n".join([*tally.leaks, *tally.told_apart])
    assert "/leak/change" not in found
