"""The page over real sockets: its headers, its versions, its names, and what is not there."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from citadel_k8s.api.page.files import Built, read_built
from citadel_k8s.api.page.routes import routes
from citadel_k8s.api.page.settings import settings_route
from citadel_k8s.domain.life import Policy
from tests.unit.api.frame.serving import Running, serving
from tests.unit.api.page.pages import INDEX, SCRIPT, built

SCRIPT_PATH = "/assets/index-a1B2c3D4.js"


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Running]:
    rooms = [*routes(read_built(built(tmp_path))), settings_route(Policy(), None, live_deadline=3)]
    async with serving(rooms) as running:
        yield running


async def fetch(
    api: Running, path: str, method: str = "GET", **headers: str
) -> tuple[int, bytes, Any]:
    given = {"Accept-Encoding": "identity"} | {k.replace("_", "-"): v for k, v in headers.items()}
    asked = aiohttp.ClientSession(auto_decompress=False)
    async with asked, asked.request(method, api.url(path), headers=given) as response:
        return response.status, await response.read(), response.headers


async def test_the_page_is_there_for_everybody_and_asked_about_each_time(api: Running) -> None:
    status, body, headers = await fetch(api, "/")

    assert (status, body) == (200, INDEX)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"
    assert not headers["ETag"].startswith("W/")


async def test_who_has_the_page_is_told_so_and_nothing_more(api: Running) -> None:
    _, _, headers = await fetch(api, "/")
    status, body, again = await fetch(api, "/", If_None_Match=headers["ETag"])

    assert (status, body) == (304, b"")
    assert again["ETag"] == headers["ETag"]
    assert again["Content-Security-Policy"] == headers["Content-Security-Policy"]
    assert (await fetch(api, "/", If_None_Match='"another"'))[0] == 200


async def test_packed_bytes_have_a_version_of_their_own(api: Running) -> None:
    _, plain, one = await fetch(api, SCRIPT_PATH)
    _, packed, other = await fetch(api, SCRIPT_PATH, Accept_Encoding="gzip, br")

    assert other["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in one
    assert gzip.decompress(packed) == plain == SCRIPT
    assert one["Vary"] == other["Vary"] == "Accept-Encoding"
    assert one["ETag"] != other["ETag"]
    status, _, _ = await fetch(
        api, SCRIPT_PATH, Accept_Encoding="gzip", If_None_Match=other["ETag"]
    )
    assert status == 304
    assert "Content-Encoding" not in (await fetch(api, SCRIPT_PATH, Accept_Encoding="gzip;q=0"))[2]


async def test_the_smallest_form_that_the_browser_takes_is_sent(tmp_path: Path) -> None:
    folder = built(tmp_path)
    (folder / "assets" / "index-a1B2c3D4.js.br").write_bytes(b"small")
    async with serving(routes(read_built(folder))) as api:
        _, body, headers = await fetch(api, SCRIPT_PATH, Accept_Encoding="gzip, deflate, br")
        assert (body, headers["Content-Encoding"]) == (b"small", "br")
        _, _, other = await fetch(api, SCRIPT_PATH, Accept_Encoding="gzip, br;q=0")
        assert other["Content-Encoding"] == "gzip"
        assert other["ETag"] != headers["ETag"]
        status, _, _ = await fetch(
            api, SCRIPT_PATH, Accept_Encoding="br", If_None_Match=headers["ETag"]
        )
        assert status == 304
        assert (await fetch(api, "/assets/index-a1B2c3D4.js.br"))[0] == 404


async def test_what_has_its_digest_in_its_name_is_kept_for_a_year(api: Running) -> None:
    _, _, headers = await fetch(api, SCRIPT_PATH)

    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_what_has_no_digest_in_its_name_is_asked_about_each_time(tmp_path: Path) -> None:
    folder = built(tmp_path)
    (folder / "assets" / "theme-1.js").write_bytes(SCRIPT)
    async with serving(routes(read_built(folder))) as api:
        _, _, headers = await fetch(api, "/assets/theme-1.js")
        assert headers["Cache-Control"] == "no-cache"
        assert headers["ETag"]


async def test_a_name_of_the_build_before_is_not_there_and_nobody_keeps_that(api: Running) -> None:
    status, body, headers = await fetch(api, "/assets/index-0000.js")

    assert (status, headers["Cache-Control"]) == (404, "no-store")
    assert b"load the page again" in body


@pytest.mark.parametrize(
    "path",
    [
        "/assets/..%2findex.html",
        "/assets/%2e%2e%2f%2e%2e%2frouting.py",
        "/assets/..",
        "/assets/",
        "/assets/deeper/index-a1B2c3D4.js",
        "/assets/index-a1B2c3D4.js%00.svg",
        "/index.html",
        "/favicon.svg/",
        "/favicon..svg",
        "/faviconX.svg",
    ],
)
async def test_no_path_leads_to_another_file(api: Running, path: str) -> None:
    answer = await api.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ", 2)[1] in {b"400", b"404"}


async def test_icons_are_there_by_name(api: Running) -> None:
    for name in ("favicon.svg", "favicon-alert.svg"):
        status, body, headers = await fetch(api, f"/{name}")
        assert (status, body[:4]) == (200, b"<svg")
        assert headers["Content-Type"] == "image/svg+xml"
        assert headers["Cache-Control"] == "no-cache"
    assert (await fetch(api, "/favicon-none.svg"))[0] == 404


async def test_head_says_what_get_would_without_its_bytes(api: Running) -> None:
    for path in ("/", "/device", SCRIPT_PATH, "/favicon.svg"):
        _, body, got = await fetch(api, path)
        status, nothing, headers = await fetch(api, path, "HEAD")
        assert (status, nothing) == (200, b"")
        assert headers["Content-Length"] == str(len(body))
        assert headers["ETag"] == got["ETag"]


async def test_the_page_may_run_its_own_files_and_ask_its_own_server_alone(api: Running) -> None:
    for path in ("/", "/device?code=CLVQ-ZKGX"):
        _, _, headers = await fetch(api, path)
        policy = headers["Content-Security-Policy"]
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules.pop("default-src") == "'none'"
        assert rules.pop("trusted-types") == "'none'"
        assert rules.pop("require-trusted-types-for") == "'script'"
        assert {rules.pop("base-uri"), rules.pop("frame-ancestors")} == {"'none'"}
        assert set(rules.values()) == {"'self'"}
        assert set(rules) == {
            "script-src", "style-src", "img-src", "connect-src", "font-src", "manifest-src",
            "form-action",
        }  # fmt: skip
        assert "unsafe" not in policy
        assert "camera=()" in headers["Permissions-Policy"]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"


async def test_what_is_no_page_may_do_nothing_if_it_is_shown_as_one(api: Running) -> None:
    for path in (SCRIPT_PATH, "/favicon.svg", "/assets/none.js"):
        _, _, headers = await fetch(api, path)
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_every_address_of_the_page_is_the_page_whatever_it_asks_for(api: Running) -> None:
    for query in ("?tab=models&q=a%20b", "?state=Offline&state=Stale", "?utm_source=x&node="):
        for path in ("/", "/device"):
            assert (await fetch(api, path + query))[:2] == (200, INDEX)
    assert (await fetch(api, "/?q=%00"))[0] == 400


async def test_names_that_somebody_makes_up_are_no_series(api: Running) -> None:
    for number in range(5):
        await fetch(api, f"/assets/x{number}.js")
        await fetch(api, f"/favicon-{'x' * number}.svg")
    text = api.metrics.render("")[0].decode()
    assert 'route="/assets/{asset}",status="404"} 5.0' in text
    assert "x3" not in text
    assert "xxx" not in text


async def test_a_page_that_was_not_built_says_how_to_build_it() -> None:
    async with serving(routes(Built(None, {}, {}))) as api:
        for path in ("/", "/device?code=X"):
            status, body, headers = await fetch(api, path)
            assert (status, headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
            assert b"make page" in body
            assert headers["Cache-Control"] == "no-store"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert (await fetch(api, "/assets/index-a1B2c3D4.js"))[0] == 404
        assert (await fetch(api, "/favicon.svg"))[0] == 404


async def test_the_page_costs_nobody_a_request(tmp_path: Path) -> None:
    quota = {"quota": {"requests_per_second": 1, "burst": 1}}
    async with serving(routes(read_built(built(tmp_path))), settings=quota) as api:
        for _ in range(5):
            assert (await fetch(api, "/"))[0] == 200
            assert (await fetch(api, SCRIPT_PATH))[0] == 200


async def test_settings_are_told_to_people_alone(api: Running) -> None:
    assert (await api.ask("/api/settings", who=None))[0] == 401
    assert (await api.ask("/api/settings", who="device"))[0] == 403
    status, body, _ = await api.ask("/api/settings", who="viewer")
    assert status == 200
    assert body.pop("version")
    assert body == {
        "intervalSeconds": 30.0,
        "staleSeconds": 45.0,
        "timeoutSeconds": 100.0,
        "liveDeadlineSeconds": 3.0,
    }


async def test_settings_are_those_of_this_server() -> None:
    board = "https://grafana.example/d/x?var-node={node}"
    route = settings_route(Policy(10, 3, 5), board, live_deadline=1.5)
    async with serving([route]) as api:
        _, body, _ = await api.ask("/api/settings", who="viewer")
    assert body["timeoutSeconds"] == 35.0
    assert body["grafanaUrl"] == board
    assert body["liveDeadlineSeconds"] == 1.5
