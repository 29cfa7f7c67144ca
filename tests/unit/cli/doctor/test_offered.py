"""The command that is offered to whoever lacks rights: their name is from outside."""

import shlex
from typing import Any, cast

from aiohttp import web

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.cli.doctor.asking import Cluster, Kube
from citadel_k8s.cli.doctor.checks import Checks, RedisLook
from citadel_k8s.cli.doctor.web import ready

NAME = "oidc:a b; rm -rf ~ $(x) \u00e9"


class Refusing:
    async def request(self, _method: str, path: str, **_: Any) -> dict[str, Any]:
        if path.endswith("selfsubjectreviews"):
            return {"status": {"userInfo": {"username": NAME}}}
        return {"status": {"allowed": False}}


async def test_a_name_that_is_copied_into_a_shell_is_one_word():
    checks = Checks(Cluster(cast("Kube", Refusing()), "citadel"), SystemClock(), RedisLook(), None)
    (found,) = await next(one for one in checks.all() if "your-rights" in one.names).look()
    words = shlex.split(found.fix or "")
    assert words[-1] == NAME
    assert words[3].isascii()


async def test_a_look_at_the_api_shows_no_password_of_netrc(monkeypatch: Any, tmp_path: Any):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    shown: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        shown.append(request.headers.get("Authorization"))
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_get("/readyz", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        assert await ready(f"http://127.0.0.1:{runner.addresses[0][1]}") is None
    finally:
        await runner.cleanup()
    assert shown == [None]
