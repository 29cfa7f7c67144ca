"""The API as a process of its own: started by its command, ended by a signal, spoken to by TLS."""

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.local.certs import Authority
from citadel_k8s.local.postgres import Postgres
from tests.integration.api.conftest import running


async def started(*options: str, env: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "citadel_k8s",
        "api",
        *options,
        env={**os.environ, **env},
        stderr=asyncio.subprocess.PIPE,
    )


async def told(process: asyncio.subprocess.Process, event: str) -> dict[str, object]:
    """Wait for an event in the log."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while line := await process.stderr.readline():
            if b"{" in line and (found := json.loads(line)).get("event") == event:
                return found
    raise AssertionError(f"no {event}")


OPTIONS = ["--listen-host", "127.0.0.1", "--listen-port", "0", "--metrics-port", "0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_a_signal_and_ends_well(
    api_settings: ApiSettings, number: signal.Signals
):
    env = {
        "CITADEL__DATABASE_URL": api_settings.database_url or "",
        "CITADEL__REDIS_URL": api_settings.redis_url or "",
    }
    process = await started(*OPTIONS, env=env)
    serving = await told(process, "serving")
    host, port = serving["addresses"][0]  # type: ignore[index]
    async with aiohttp.ClientSession() as client:
        async with client.get(f"http://{host}:{port}/readyz") as response:
            assert response.status == 200
        async with client.get(f"http://{host}:{port}/api/fabric/events") as response:
            assert response.status == 401
        process.send_signal(number)
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_it_starts_without_its_servers_and_says_that_it_is_not_ready():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    env = {
        "CITADEL__DATABASE_URL": f"postgresql://127.0.0.1:{port}/x",
        "CITADEL__REDIS_URL": f"redis://127.0.0.1:{port}",
    }
    process = await started(*OPTIONS, env=env)
    serving = await told(process, "serving")
    host, port = serving["addresses"][0]  # type: ignore[index]
    async with aiohttp.ClientSession() as client:
        async with client.get(f"http://{host}:{port}/healthz") as response:
            assert response.status == 200
        async with client.get(f"http://{host}:{port}/readyz") as response:
            assert response.status == 503
            assert (await response.json())["parts"] == {"redis": False, "database": False}
    process.terminate()
    async with asyncio.timeout(10):
        assert await process.wait() == 0


async def test_a_schema_that_is_missing_is_not_ready_and_all_say_what_to_run(
    api_settings: ApiSettings, postgres_server: Postgres, capsys: pytest.CaptureFixture[str]
):
    name = "test_without_schema"
    url = await postgres_server.create_database(name)
    settings = api_settings.model_copy(update={"database_url": url})
    async with running(settings) as api:
        status, body, _ = await api.ask("/readyz")
        assert (status, body["parts"]["database"]) == (503, False)
        assert "citadel-k8s db upgrade" in body["hint"]
        headers = {"Authorization": f"Bearer act_{'n' * 43}"}
        status, body, _ = await api.ask("/api/fabric/nodes", headers=headers)
        assert (status, body["error"]) == (503, "unavailable")
        assert "citadel-k8s db upgrade" in body["error_description"]
    said = "".join(capsys.readouterr())
    assert "database_not_ready" in said
    assert "run citadel-k8s db upgrade" in said
    await postgres_server.drop_database(name)


async def test_by_tls_browsers_are_told_to_stay_there(api_settings: ApiSettings, tmp_path: Path):
    authority = Authority(tmp_path, SystemClock())
    identity = authority.issue("api", "localhost", serves=True)
    settings = api_settings.model_copy(
        update={"tls_cert_file": identity.certificate, "tls_key_file": identity.key}
    )
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with running(settings) as api:
        url = api.url("/healthz").replace("http:", "https:")
        async with api.client.get(url, ssl=context) as response:
            assert response.status == 200
            assert response.headers["Strict-Transport-Security"].startswith("max-age=")
        _, writer = await asyncio.open_connection("127.0.0.1", api.service.port)
        writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")  # no TLS: closed, and nobody minds
        async with api.client.get(url, ssl=context) as response:
            assert response.status == 200
        writer.close()
