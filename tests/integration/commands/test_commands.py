"""The commands on a real database: what they print, and what they leave behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from typer.testing import CliRunner

from citadel_k8s.commands.apps import mount
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres.audit import Audit
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.secret import secret_hash
from citadel_k8s.stores.postgres.tokens import DeviceTokens
from citadel_k8s.stores.postgres.users import Users
from tests.unit.api.identity.signing import ISSUER, jwks

APP = typer.Typer()
mount(APP)


@dataclass
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str
    error: BaseException | None

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass
class Cli:
    """The command line on one database."""

    url: str
    settings: Path
    database: Database

    async def run(self, *words: str, fails: bool = False) -> Outcome:
        # A thread of its own: commands have an event loop of their own.
        args = [*words, "--config", str(self.settings)]
        result = await asyncio.to_thread(CliRunner().invoke, APP, args)
        assert (result.exit_code != 0) is fails, result.output
        return Outcome(result.exit_code, result.stdout, result.stderr, result.exception)


@pytest_asyncio.fixture
async def cli(database_url: str, tmp_path: Path) -> AsyncIterator[Cli]:
    """A command line on a new and empty database."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        json.dumps(
            {
                "databaseUrl": database_url,
                "publicUrl": "https://fabric.example/",
                "listenPort": 0,
            }
        )
    )
    database = Database(database_url)
    yield Cli(database_url, settings, database)
    await database.close()


async def test_a_bootstrap_prints_one_link_that_signs_an_admin_in(cli: Cli):
    first = await cli.run("bootstrap", "--upgrade", "--email", "ann@acme.example")
    start = "https://fabric.example/api/session/link?token="
    assert first.out.startswith(start)
    assert first.out.count("\n") == 1
    user = await Logins(cli.database).redeem_link(first.out.strip().removeprefix(start))
    assert user is not None
    assert (user.org_id, str(user.role), user.email) == ("default", "admin", "ann@acme.example")

    again = await cli.run("bootstrap")
    assert again.out == ""
    assert "--link" in again.err
    fresh = await cli.run("bootstrap", "--link")
    assert fresh.out.startswith(start)
    assert fresh.out != first.out
    assert len(await Users(cli.database).list("default")) == 1


async def test_a_bootstrap_without_a_schema_says_what_to_do(cli: Cli):
    outcome = await cli.run("bootstrap", fails=True)
    assert "--upgrade" in str(outcome.error)
    assert outcome.out == ""


async def test_tokens_are_printed_once_and_kept_as_hashes(cli: Cli):
    await cli.run("bootstrap", "--upgrade")
    made = await cli.run("token", "create", "[bold]rack 1", "--node", "gpu-1", "--days", "2")
    raw = made.out.strip()
    assert raw.startswith("act_")
    row = await DeviceTokens(cli.database).find(secret_hash(raw))
    assert row is not None
    assert (row.node_id, row.name, row.created_by) == ("gpu-1", "[bold]rack 1", "command-line")

    for form in ("table", "json"):
        listed = await cli.run("token", "list", "-o", form)
        assert raw not in listed.out + listed.err
        assert "[bold]rack" in listed.out
    (told,) = (await cli.run("token", "list", "-o", "json")).document
    assert told["node_id"] == "gpu-1"

    rotated = await cli.run("token", "rotate", str(row.token_id), "-o", "json")
    new = rotated.document["token"]
    assert await DeviceTokens(cli.database).find(secret_hash(new)) is not None
    assert "within 30 s" in rotated.err
    await cli.run("token", "revoke", rotated.document["token_id"])
    assert await DeviceTokens(cli.database).find(secret_hash(new)) is None
    missing = await cli.run("token", "revoke", rotated.document["token_id"], fails=True)
    assert "no such token" in str(missing.error)


async def test_orgs_are_kept_apart(cli: Cli):
    await cli.run("bootstrap", "--upgrade")
    await cli.run("org", "create", "acme", "--name", "Acme", "--daily-quota", "100")
    assert "there already" in str((await cli.run("org", "create", "acme", fails=True)).error)
    raw = (await cli.run("token", "create", "n", "--org", "acme")).out.strip()
    assert (await cli.run("token", "list", "-o", "json")).document == []
    assert "no tokens" in (await cli.run("token", "list")).err
    listed = (await cli.run("org", "list", "-o", "json")).document
    assert [org["org_id"] for org in listed] == ["acme", "default"]
    await cli.run("org", "disable", "acme")
    assert await DeviceTokens(cli.database).find(secret_hash(raw)) is None
    await cli.run("org", "enable", "acme")
    assert await DeviceTokens(cli.database).find(secret_hash(raw)) is not None
    assert "no org" in str((await cli.run("org", "disable", "acne", fails=True)).error)


async def test_people_are_let_in_and_locked_out(cli: Cli):
    await cli.run("bootstrap", "--upgrade")
    made = await cli.run(
        "user", "create", "Bob", "--email", "bob@acme.example", "--role", "editor", "-o", "json"
    )
    (bob,) = made.document
    link = await cli.run("user", "link", "BOB@acme.example", "--minutes", "5")
    raw = link.out.strip().partition("token=")[2]
    assert raw
    await cli.run("user", "disable", bob["user_id"])
    assert await Logins(cli.database).redeem_link(raw) is None
    again = await cli.run("user", "disable", "BOB@acme.example")
    assert "Bob is locked out already, since 20" in again.out
    assert "locked out" in str((await cli.run("user", "link", bob["user_id"], fails=True)).error)
    assert "nobody" in str((await cli.run("user", "link", "eve@x.example", fails=True)).error)
    assert "Bob" in (await cli.run("user", "list")).out


async def test_clusters_are_registered_by_file(cli: Cli, tmp_path: Path):
    await cli.run("bootstrap", "--upgrade")
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(jwks()))
    words = ("cluster", "add", "main", "--issuer", ISSUER, "--jwks-file", str(file))
    (row,) = (await cli.run(*words, "-o", "json")).document
    assert row["service_accounts"] == ["citadel/agent"]
    assert row["audience"] == "citadel"
    assert "there already" in str((await cli.run(*words, fails=True)).error)
    assert "main" in (await cli.run("cluster", "list")).out
    await cli.run("cluster", "remove", "main")
    assert "no cluster" in str((await cli.run("cluster", "remove", "main", fails=True)).error)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": []}', "{", "[" * 100_000])
async def test_a_file_without_usable_keys_is_refused(cli: Cli, tmp_path: Path, content: str):
    file = tmp_path / "jwks.json"
    file.write_text(content)
    words = ("cluster", "add", "main", "--issuer", ISSUER, "--jwks-file", str(file))
    assert str(file) in str((await cli.run(*words, fails=True)).error)


async def test_an_issuer_without_keys_is_half_a_registration(cli: Cli):
    outcome = await cli.run("cluster", "add", "main", "--issuer", ISSUER, fails=True)
    assert "--jwks-file" in str(outcome.error)


async def test_a_cluster_says_itself_who_signs_its_tokens(cli: Cli, stack: Stack):
    await cli.run("bootstrap", "--upgrade")
    words = ("cluster", "add", "main", "--kubeconfig", str(stack.kubeconfig))
    (row,) = (await cli.run(*words, "-o", "json")).document
    assert row["issuer"] == ISSUER


async def test_everything_is_in_the_audit_log_and_no_secret(cli: Cli):
    await cli.run("bootstrap", "--upgrade")
    raw = (await cli.run("token", "create", "n")).out.strip()
    page = await Audit(cli.database).list("default")
    assert {row.action for row in page.rows} == {
        "org.create",
        "user.create",
        "user.link",
        "token.create",
    }
    assert {row.subject for row in page.rows} == {"command-line"}
    assert raw not in repr(page.rows)


async def test_nothing_works_without_a_database_and_no_password_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
):
    cli.settings.write_text("{}")
    monkeypatch.delenv("CITADEL__DATABASE_URL", raising=False)
    assert "databaseUrl" in str((await cli.run("org", "list", fails=True)).error)
    cli.settings.write_text(json.dumps({"databaseUrl": "postgresql://u:hunter2@127.0.0.1:1/x"}))
    outcome = await cli.run("org", "list", fails=True)
    assert "127.0.0.1:1" in str(outcome.error)
    assert "hunter2" not in str(outcome.error) + outcome.out + outcome.err
