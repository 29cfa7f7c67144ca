"""LLM engines asked over HTTP: what they serve and how busy they are.

Every engine is asked at the same time as the others, with its own deadline and a limit on what
it may answer. An engine that cannot be read has unknown models, which is not the same as none.
"""

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.probe import Getter, ProbeError, tried
from citadel_k8s.config import EngineEndpoint
from citadel_k8s.models.readings import Engine, Outcome, Reading

PROBE_DEADLINE: Final = 2.0
"""Seconds that one engine may take for all its answers. Source: the wire contract."""

MODELS_MAX: Final = 256
"""Model names taken from one engine: an Ollama library has tens."""

DEFAULT_PORTS: Final = (("vllm", 8000), ("vllm", 8201), ("ollama", 11434))
"""Where engines listen when nobody said otherwise; 8201 is the Go client's port for vLLM."""

_REQUESTS: Final = re.compile(
    rb"^vllm:num_requests_(running|waiting)(?:\{[^\n]*\})? ([0-9.eE+-]+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _Probe:
    """One endpoint to ask; a discovered one has to prove what it is before it is told."""

    name: str
    engine: str
    url: URL
    discovered: bool

    @property
    def port(self) -> int | None:
        return self.url.port


class EngineCollector:
    """Asks all engines of the node.

    Parameters
    ----------
    endpoints : sequence of EngineEndpoint
        Configured engines; one that does not answer is told as down.
    discover : bool
        Also look at the default ports on loopback.
    ports : sequence of (str, int)
        What discovery looks for, and where.
    """

    name = "engines"

    def __init__(
        self,
        endpoints: Sequence[EngineEndpoint],
        *,
        discover: bool = True,
        ports: Sequence[tuple[str, int]] = DEFAULT_PORTS,
        deadline: float = PROBE_DEADLINE,
    ) -> None:
        probes = [_Probe(e.name, e.engine, URL(e.url), discovered=False) for e in endpoints]
        if discover:
            probes += _discoverable(ports, taken={p.port for p in probes if _local(p.url)})
        self._probes = tuple(probes)
        self._deadline = deadline
        self._session: aiohttp.ClientSession | None = None
        self._proven: set[URL] = set()

    async def collect(self) -> Outcome[tuple[Engine, ...]]:
        """Ask all at once; the slowest decides how long it takes, and no longer than a deadline."""
        session = self._open()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._ask(session, p), name=f"probe {p.name}")
                for p in self._probes
            ]
        return Reading(tuple(e for e in (t.result() for t in tasks) if e is not None))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,  # a small body must not become a large one
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=self._deadline),
            )
        return self._session

    async def _ask(self, session: aiohttp.ClientSession, probe: _Probe) -> Engine | None:
        ask = _ask_vllm if probe.engine == "vllm" else _ask_ollama
        try:
            async with asyncio.timeout(self._deadline):
                engine, proven = await ask(Getter(session, probe.url), probe)
        except ProbeError as error:
            engine, proven = _down(probe, error), False
            if error.reason == "ConnectionRefused":
                self._proven.discard(probe.url)
        except TimeoutError:
            late = ProbeError("Timeout", f"no answer within {self._deadline:g} s")
            engine, proven = _down(probe, late), False
        if proven:
            self._proven.add(probe.url)
        # Any program may listen on a default port; only an engine that was one is told of.
        told = proven or not probe.discovered or probe.url in self._proven
        return engine if told else None


async def _ask_vllm(get: Getter, probe: _Probe) -> tuple[Engine, bool]:
    async with asyncio.TaskGroup() as group:
        listing = group.create_task(tried(lambda: get.json("v1/models")), name="models")
        series = group.create_task(tried(lambda: get("metrics")), name="metrics")
    metrics = series.result()
    text = metrics if isinstance(metrics, bytes) else b""
    running, waiting = parse_vllm_requests(text)
    answer = listing.result()
    if isinstance(answer, ProbeError):
        if answer.reason != "Unauthorized":
            raise answer
        # Only /v1 is behind the key: /health tells whether the engine serves.
        health = await tried(lambda: get("health"))
        up = "unknown" if isinstance(health, ProbeError) else "ok"
        engine = _engine(probe, up, None, running=running, waiting=waiting, error=answer)
        return engine, b"vllm:" in text
    models, owners = parse_openai_models(answer)
    proven = "vllm" in owners or b"vllm:" in text
    return _engine(probe, "ok", models, running=running, waiting=waiting), proven


async def _ask_ollama(get: Getter, probe: _Probe) -> tuple[Engine, bool]:
    return _engine(probe, "ok", parse_ollama_tags(await get.json("api/tags"))), True


def parse_openai_models(document: dict[str, Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Give the model names and the owners of a ``/v1/models`` answer; a null list is empty.

    Raises
    ------
    ProbeError
        If there is no list, or it holds something else than models.
    """
    entries = _entries(document, "data")
    owners = frozenset(str(entry.get("owned_by")) for entry in entries)
    return _names(entries, "id"), owners


def parse_ollama_tags(document: dict[str, Any]) -> tuple[str, ...]:
    """Give the model names of an ``/api/tags`` answer; a null list is empty.

    Raises
    ------
    ProbeError
        If there is no list, or it holds something else than models.
    """
    return _names(_entries(document, "models"), "name")


def parse_vllm_requests(text: bytes) -> tuple[float | None, float | None]:
    """Give running and waiting requests, summed over an engine's replicas; None if not told."""
    sums: dict[bytes, float] = {}
    for name, value in _REQUESTS.findall(text):
        try:
            sums[name] = sums.get(name, 0.0) + float(value)
        except ValueError:
            continue
    return _finite(sums.get(b"running")), _finite(sums.get(b"waiting"))


def _finite(value: float | None) -> float | None:
    # JSON has no word for infinity; a report that held one could not be sent.
    return value if value is not None and math.isfinite(value) else None


def _entries(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    if key not in document:
        raise ProbeError("Malformed", f"the answer has no {key!r}")
    entries: Any = [] if document[key] is None else document[key]
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):  # pyright: ignore[reportUnknownVariableType]
        raise ProbeError("Malformed", f"{key!r} is not a list of objects")
    listed: list[dict[str, Any]] = entries  # pyright: ignore[reportUnknownVariableType]
    return listed


def _names(entries: list[dict[str, Any]], key: str) -> tuple[str, ...]:
    names = [entry.get(key) for entry in entries]
    if not all(isinstance(name, str) and name for name in names):
        raise ProbeError("Malformed", f"an entry has no {key!r}")
    return tuple(clean(str(name)) for name in names[:MODELS_MAX])


def _down(probe: _Probe, error: ProbeError) -> Engine:
    status, health = {
        "ConnectionRefused": ("stopped", "unhealthy"),
        "ConnectFailed": ("error", "unknown"),
        "Starting": ("running", "starting"),
        "Unauthorized": ("running", "unknown"),
    }.get(error.reason, ("running", "unhealthy"))
    engine = _engine(probe, health, None, error=error)
    return engine if status == "running" else _with_status(engine, status)


def _with_status(engine: Engine, status: str) -> Engine:
    return Engine(
        name=engine.name,
        type=engine.type,
        status=status,
        health=engine.health,
        engine=engine.engine,
        port=engine.port,
        reason=engine.reason,
        message=engine.message,
    )


def _engine(
    probe: _Probe,
    health: str,
    models: tuple[str, ...] | None,
    *,
    running: float | None = None,
    waiting: float | None = None,
    error: ProbeError | None = None,
) -> Engine:
    return Engine(
        name=clean(probe.name, 64),
        type="llm",
        status="running",
        health=health,
        engine=probe.engine,
        port=probe.port,
        models=models,
        requests_running=running,
        requests_waiting=waiting,
        reason=error.reason if error else None,
        message=str(error) if error else None,
    )


def _discoverable(ports: Sequence[tuple[str, int]], taken: set[int | None]) -> list[_Probe]:
    names: set[str] = set()
    probes: list[_Probe] = []
    for engine, port in ports:
        name = engine if engine not in names else f"{engine}-{port}"
        names.add(engine)
        if port not in taken:
            url = URL.build(scheme="http", host="127.0.0.1", port=port)
            probes.append(_Probe(name, engine, url, discovered=True))
    return probes


def _local(url: URL) -> bool:
    return url.host in {"localhost", "127.0.0.1", "::1", "0.0.0.0"}
