"""Which commands there are, what they refuse in plain words, and what they do not load."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from citadel_k8s.cli.app import app
from citadel_k8s.cli.fabric.app import fabric
from citadel_k8s.errors import ConfigError

RUNNER = CliRunner()

HEAVY = {"aiohttp", "alembic", "kopf", "kubernetes", "psycopg", "redis", "sqlalchemy", "structlog"}


@pytest.mark.parametrize(
    "words",
    [
        ["agent"],
        ["operator"],
        ["worker"],
        ["api"],
        ["status"],
        ["demo"],
        ["enroll"],
        ["version"],
        ["db", "upgrade"],
        ["db", "check"],
        ["letters", "list"],
        ["letters", "replay"],
        ["bootstrap"],
        ["org"],
        ["user"],
        ["token"],
        ["cluster"],
    ],
    ids=" ".join,
)
def test_each_command_says_what_it_is_for(words: list[str]):
    result = RUNNER.invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_kubectl_fabric_lists_nodes():
    assert "nodes" in RUNNER.invoke(fabric, ["--help"]).output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["db", "check"], "databaseUrl is not set"),
        (["db", "upgrade"], "databaseUrl is not set"),
        (["db", "check", "--database-url", "mysql://x"], "postgresql://"),
        (["letters", "list"], "set redisUrl"),
        (["letters", "replay"], "either ids or --all"),
        (["letters", "replay", "1-0", "--all"], "either ids or --all"),
        (["api", "--metrics-port", "70000"], "metricsPort"),
        (["worker", "--database-url", "mysql://x"], "postgresql://"),
        (["enroll", "https://x"], "--save FILE"),
    ],
)
def test_what_is_missing_is_told(words: list[str], message: str):
    result = RUNNER.invoke(app, words)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_the_statements_of_an_upgrade_are_printed_without_a_database():
    result = RUNNER.invoke(app, ["db", "upgrade", "--sql"])
    assert result.exit_code == 0
    assert "CREATE TABLE orgs" in result.output


def test_the_schema_may_be_looked_after_with_the_file_of_worker_or_api(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("databaseUrl: postgresql://127.0.0.1:1/x\nbatch: 10\npublicUrl: https://x\n")
    result = RUNNER.invoke(app, ["db", "check", "--config", str(file)])
    assert "127.0.0.1:1" in str(result.exception)


def test_the_command_line_loads_nothing_that_no_command_asked_for():
    code = "import sys, citadel_k8s.cli.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
