"""How a report is run, shown and given to programs."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

import pytest
import typer
import yaml
from rich.console import Console
from typer.testing import CliRunner

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.cli.doctor.asking import Cluster
from citadel_k8s.cli.doctor.checks import Check, Checks, RedisLook
from citadel_k8s.cli.doctor.command import doctor
from citadel_k8s.cli.doctor.finding import Finding, Verdict, failure, ok, unknown
from citadel_k8s.cli.doctor.running import run
from citadel_k8s.cli.doctor.showing import show
from citadel_k8s.errors import ConfigError, KubeError, StreamError

if TYPE_CHECKING:
    from citadel_k8s.cli.doctor.asking import Kube

RUNNER = CliRunner()
APP = typer.Typer()
APP.command()(doctor)


def check(name: str, look: Callable[[], Awaitable[list[Finding]]]) -> Check:
    return Check((name,), look)


async def test_findings_come_in_the_order_of_the_checks_whatever_takes_how_long():
    async def slow() -> list[Finding]:
        await asyncio.sleep(0.02)
        return [ok("slow", "")]

    async def fast() -> list[Finding]:
        return [ok("fast", "")]

    found = await run([check("slow", slow), check("fast", fast)])
    assert [one.check for one in found] == ["slow", "fast"]


async def test_a_look_that_hangs_is_given_up_and_nothing_else_with_it():
    async def hangs() -> list[Finding]:
        await asyncio.Event().wait()
        raise AssertionError

    async def fast() -> list[Finding]:
        return [ok("fast", "")]

    found = await run(
        [check("api-server", hangs), check("x", hangs), check("y", fast)], deadline=0.01
    )
    assert [one.verdict for one in found] == [Verdict.FAILURE, Verdict.UNKNOWN, Verdict.OK]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            KubeError(
                403,
                'GET /x: 403: pods is forbidden: User "u" cannot list resource "pods" in API group '
                '"" in the namespace "citadel"',
            ),
            "needs list on pods in namespace citadel",
        ),
        (
            KubeError(403, 'no: User "u" cannot get resource "leases" in API group "a.b" at all'),
            "needs get on leases.a.b",
        ),
        (KubeError(403, "the webhook does not like it"), "the webhook does not like it"),
        (KubeError(401, "Unauthorized"), "the API server does not take these credentials"),
        (KubeError(0, "no answer"), "no answer"),
        (StreamError("away"), "away"),
    ],
)
async def test_what_cannot_be_looked_at_is_unknown_and_says_what_it_needs(error, said: str):
    async def fails() -> list[Finding]:
        raise error

    (found,) = await run([check("x", fails)])
    assert found == unknown("x", said)


def test_a_report_is_readable_without_colours():
    out = io.StringIO()
    show(Console(file=out, width=200), [ok("a", "well"), failure("longer", "broken", "mend it")])
    assert out.getvalue().splitlines() == [
        "ok       a       well",
        "failure  longer  broken",
        "         fix: mend it",
        "",
        "1 failure, 1 ok",
    ]


@pytest.mark.parametrize("form", ["json", "yaml", "text"])
def test_a_server_that_is_not_there_is_a_report_and_no_traceback(tmp_path, form: str):
    file = tmp_path / "kube.conf"
    server = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    file.write_text(
        yaml.safe_dump(
            {
                "clusters": [server],
                "contexts": [context],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "current-context": "x",
            }
        )
    )
    result = RUNNER.invoke(APP, ["--kubeconfig", str(file), "-o", form])
    assert result.exit_code == 1
    if form == "text":
        assert result.output.startswith("failure  api-server")
        return
    told = json.loads(result.output) if form == "json" else yaml.safe_load(result.output)
    assert told[0]["check"] == "api-server"
    assert told[0]["verdict"] == "failure"
    assert told[0]["fix"] == "kubectl cluster-info"
    assert {one["verdict"] for one in told[1:]} == {"unknown"}


def test_a_secret_without_an_address_is_refused():
    result = RUNNER.invoke(APP, ["--redis-secret", "s"])
    assert isinstance(result.exception, ConfigError)


async def test_without_the_library_of_redis_only_redis_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
):
    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("citadel_k8s.stores.inspection", "citadel_k8s.stores.connection"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    cluster = Cluster(cast("Kube", None), "citadel")
    checks = Checks(cluster, SystemClock(), RedisLook("redis://127.0.0.1:1"), None)
    found = await run([one for one in checks.all() if "redis" in one.names])
    assert {one.verdict for one in found} == {Verdict.UNKNOWN}
    assert "citadel-k8s[cli,operator]" in (found[0].fix or "")


@pytest.mark.parametrize(
    "module", ["cli.doctor.checks", "cli.top.command", "cli.doctor.command", "cli.fabric.options"]
)
def test_each_module_can_be_the_first(module: str):
    code = f"import sys; sys.modules['redis'] = None; import citadel_k8s.{module}"
    subprocess.run([sys.executable, "-c", code], check=True)
