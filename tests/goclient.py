"""A client that behaves as the wire contract says the Go client does, quirks included.

It names no types in requests (no Accept), takes the HTTP status for the truth, ignores keys that it
does not know, and takes a wrong type or a 2xx without JSON for an error. Its times can be divided
(``pace``) so that a test does not last for minutes.
"""

import asyncio
import io
import json
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from tests.gosocket import API, GoError, GoSocket, Job, RateLimitedError


@dataclass
class GoClient(GoSocket):
    """One node.

    ``org_id`` is what its config.yaml says; empty: it is learnt from worker-config. Without one
    there are no heartbeats at all.
    """

    node_id: str = "go-1"
    headscale_id: str = "758"
    org_id: str = ""
    handle: Callable[[Job], bool] = lambda _job: True
    consumer: str = field(default_factory=lambda: f"citadel-{secrets.token_hex(4)}")
    group: str = "citadel-workers"
    queue: str = "jobs:v1:cpu-general"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"), auto_decompress=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()
        assert self._session is not None
        await self._session.close()

    # -- REST ---------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        timeout: float = 30.0,
        raw: bytes | None = None,
        kind: str = "application/json",
    ) -> tuple[int, bytes, Any]:
        """Ask; the status, the body as it is, and the headers."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = kind
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.request(
                    method,
                    self.base + path,
                    data=None if data is None else io.BytesIO(data),
                    headers=headers,
                ) as response,
            ):
                return response.status, await response.read(), response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise GoError(f"{method} {path}", 0, repr(error)) from error

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """Ask, and judge by the status alone; a 2xx must be JSON or empty."""
        status, data, _ = await self.call(method, path, body, **more)
        if status >= 400:
            raise GoError(f"{method} {path}", status, _said(data))
        if not data:
            return {}
        try:
            document = json.loads(data)
        except ValueError as error:
            raise GoError(f"{method} {path}", status, "the body is no JSON") from error
        if not isinstance(document, dict):
            raise GoError(f"{method} {path}", status, "the body is no object")
        return document

    async def ping(self) -> None:
        status, data, headers = await self.call("GET", f"{API}/ping")
        if status == 429:
            raise RateLimitedError("GET ping", _object(data), headers.get("Retry-After"))
        if status != 200:
            raise GoError(f"GET {API}/ping", status, _said(data))

    async def connect(self) -> None:
        """Ping until it answers: 2 s doubling to 120 s, ±20 %; a 429 is waited out in full."""
        base = 2.0
        while True:
            try:
                await self.ping()
            except RateLimitedError as limited:
                await self._sleep(limited.retry_after or base)
            except GoError as error:
                self.errors.append(str(error))
                await self._sleep(base * random.uniform(0.8, 1.2))
                base = min(120.0, base * 2)
            else:
                return

    async def learn(self) -> None:
        """Ask for queue and org; any failure leaves the defaults."""
        try:
            config = await self.ask("GET", "/api/fabric/worker-config")
        except GoError as error:
            self.errors.append(str(error))
            return
        self.queue = _typed(config, "queue", str) or self.queue
        self.org_id = self.org_id or _typed(config, "org_id", str) or ""

    async def add(self, stream: str, values: dict[str, str]) -> str:
        body = {"stream": stream, "values": values, "maxLen": 10000, "approx": True}
        answer = await self.ask("POST", f"{API}/streams/add", body)
        _typed(answer, "success", bool)
        return _typed(answer, "messageId", str) or ""

    async def publish(self, channel: str, message: dict[str, Any]) -> None:
        body = {"channel": channel, "message": json.dumps(message)}
        _typed(await self.ask("POST", f"{API}/pubsub/publish", body), "published", bool)

    async def consume(self, queue: str, block_ms: int = 5000) -> Job | None:
        body = {
            "queue": queue, "group": self.group, "consumer": self.consumer, "count": 1,
            "blockMs": block_ms,
        }  # fmt: skip
        answer = await self.ask("POST", f"{API}/jobs/consume", body, timeout=block_ms / 1000 + 5)
        messages = _typed(answer, "messages", list)
        if not messages:
            return None
        first = messages[0]
        if not all(isinstance(value, str) for value in first["data"].values()):
            raise GoError("POST consume", 200, "a value is no text")
        return Job(queue, first["id"], first["data"])

    async def acknowledge(self, job: Job) -> bool:
        body = {"queue": job.queue, "group": self.group, "messageId": job.id}
        answer = await self.ask("POST", f"{API}/jobs/acknowledge", body)
        return bool(_typed(answer, "acknowledged", bool))

    async def kv_get(self, key: str) -> tuple[str | None, int]:
        answer = await self.ask("GET", f"{API}/kv?key={key}")
        value, ttl = _typed(answer, "value", str), _typed(answer, "ttl", int) or 0
        return value, -1 if value is not None and ttl == -2 else ttl

    async def kv_set(self, key: str, value: str, ttl: int | None = None) -> None:
        body: dict[str, Any] = {"key": key, "value": value}
        if ttl is not None:
            body["ttl"] = ttl
        _typed(await self.ask("POST", f"{API}/kv", body), "success", bool)

    async def kv_delete(self, key: str) -> bool:
        return bool(_typed(await self.ask("DELETE", f"{API}/kv?key={key}"), "deleted", bool))

    # -- loops --------------------------------------------------------------------------------

    def message(self) -> dict[str, Any]:
        """The least that is valid."""
        stamp = "2026-11-23T08:17:33Z"
        system = {
            "cpu_percent": 15.0, "memory_used_gb": 0.49, "memory_total_gb": 23.5,
            "memory_percent": 2.1, "disk_used_gb": 28.9, "disk_total_gb": 252.0,
            "disk_percent": 28.5,
        }  # fmt: skip
        node = {"name": self.node_id, "uptime_seconds": 0}
        status = {"version": "1.0", "timestamp": stamp, "node": node, "system": system}
        return {
            "version": "1.0", "timestamp": stamp, "nodeId": self.node_id,
            "headscaleNodeId": self.headscale_id, "status": status | {"vnc_port": 0},
        }  # fmt: skip

    async def heartbeat(self) -> bool:
        """One tick: the durable write alone decides, the announcement is tried all the same."""
        if not self.org_id:
            return False
        message = self.message()
        error: GoError | None = None
        try:
            values = {"nodeId": self.node_id, "timestamp": message["timestamp"]}
            await self.add("node:status:stream", values | {"payload": json.dumps(message)})
        except GoError as failure:
            error = failure
            self.errors.append(str(failure))
        channel = f"node:status:org:{self.org_id}:{self.node_id}"
        try:
            if self.socket is not None and not self.socket.closed:
                await self.say({"type": "publish", "channel": channel, "message": message})
            else:
                await self.publish(channel, message)
        except GoError as failure:
            self.errors.append(str(failure))
        return error is None

    async def work(self, queues: list[str], own: str = "", *, budget_ms: int = 5000) -> None:
        """Consume for ever: round robin, the node's own queue polled before each."""
        base = 1.0
        block = budget_ms if len(queues) == 1 else max(500, budget_ms // len(queues))
        while True:
            failures = 0
            for queue in queues:
                turn = ([(own, 100)] if own else []) + [(queue, block)]
                for name, wait in turn:
                    try:
                        await self._turn(name, wait)
                    except GoError as error:
                        self.errors.append(str(error))
                        failures += name == queue
            if failures == len(queues):
                await self._sleep(base)
                base = min(30.0, base * 2)
            else:
                base = 1.0

    async def _turn(self, queue: str, block_ms: int) -> None:
        job = await self.consume(queue, block_ms)
        if job is None:
            return
        target = job.payload.get("target_node")
        if target is not None and str(target) != self.headscale_id:
            await self.acknowledge(job)
            return
        self.jobs.append(job)
        if self.handle(job):
            await self.acknowledge(job)


def _said(data: bytes) -> str:
    body = _object(data)
    error = body.get("error")
    if isinstance(error, str):
        more = body.get("error_description")
        return f"{error}: {more}" if isinstance(more, str) else error
    return data[:512].decode(errors="replace")


def _object(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _typed(body: dict[str, Any], key: str, kind: type) -> Any:
    """A value of its type, None if it is null or absent; a wrong type is an error."""
    value = body.get(key)
    if value is not None and (not isinstance(value, kind) or (kind is int and value is True)):
        raise GoError("decode", 200, f"{key} is no {kind.__name__}")
    return value
