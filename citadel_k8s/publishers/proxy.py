"""What the API proxy offers, as calls: whatever does not fit the contract is a `ProxyError`."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

import aiohttp

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.publishers.transport import REQUEST_TIMEOUT, ProxyError, Transport

BLOCK_SLACK: Final = 5.0
"""Seconds beyond its block that a consume may take. Source: the wire contract."""

JOBS_MAX: Final = 100
"""Most jobs taken from one answer; whoever asks for one and gets more is not understood."""

JOB_ID_MAX: Final = 64
"""Longest id of a job's entry, in characters; a stream's own have at most 41."""

_PING: Final = "/api/fabric/redis/ping"
_ADD: Final = "/api/fabric/redis/streams/add"
_PUBLISH: Final = "/api/fabric/redis/pubsub/publish"
_CONSUME: Final = "/api/fabric/redis/jobs/consume"
_ACKNOWLEDGE: Final = "/api/fabric/redis/jobs/acknowledge"
_WORKER_CONFIG: Final = "/api/fabric/worker-config"
_SOCKET: Final = "/api/fabric/redis/ws"

_PING_OK: Final = 200


class Job(NamedTuple):
    """An entry of a queue."""

    id: str
    data: dict[str, str]


class ProxyClient:
    """The proxy's calls. Each raises `ProxyError`, bounded in time by itself."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def ping(self) -> None:
        """Ask whether the token is accepted."""
        await self._transport.request("GET", _PING, only_status=_PING_OK)

    async def append(
        self,
        stream: str,
        values: Mapping[str, str],
        max_length: int,
        *,
        timeout: float = REQUEST_TIMEOUT,
        early: bool = False,
    ) -> None:
        """Append an entry to a stream; see `Transport.request` for ``early``."""
        body = {"stream": stream, "values": dict(values), "maxLen": max_length, "approx": True}
        await self._transport.request("POST", _ADD, body, timeout=timeout, early=early)

    async def announce(self, channel: str, message: str) -> None:
        """Publish JSON text on a channel."""
        await self._transport.request("POST", _PUBLISH, {"channel": channel, "message": message})

    async def org_id(self, *, timeout: float = REQUEST_TIMEOUT) -> str | None:
        """Give the org that the token belongs to, None if the proxy does not tell."""
        answer = await self._transport.request("GET", _WORKER_CONFIG, timeout=timeout)
        org = answer.get("org_id")
        if org is not None and not isinstance(org, str):
            raise _wrong("GET", _WORKER_CONFIG, "org_id is no text")
        return org or None

    async def consume(
        self, queue: str, group: str, consumer: str, *, count: int = 1, block_ms: int = 5000
    ) -> list[Job]:
        """Wait for jobs and claim them; an empty list when none came in time.

        Parameters
        ----------
        count : int
            Most jobs to take, 1 to ``JOBS_MAX``.
        block_ms : int
            Milliseconds to wait for one, at least 1: the proxy refuses to wait for ever.
        """
        block_ms = max(1, block_ms)
        body = {
            "queue": queue,
            "group": group,
            "consumer": consumer,
            "count": min(max(1, count), JOBS_MAX),
            "blockMs": block_ms,
        }
        answer = await self._transport.request(
            "POST", _CONSUME, body, timeout=block_ms / 1000 + BLOCK_SLACK
        )
        return _jobs(answer.get("messages"))

    async def acknowledge(self, queue: str, group: str, message_id: str) -> bool:
        """Acknowledge a job; say whether it was still pending, which is no error either way."""
        body = {"queue": queue, "group": group, "messageId": message_id}
        answer = await self._transport.request("POST", _ACKNOWLEDGE, body)
        acknowledged = answer.get("acknowledged", False)
        if not isinstance(acknowledged, bool):
            raise _wrong("POST", _ACKNOWLEDGE, "acknowledged is neither true nor false")
        return acknowledged

    async def upgrade(self) -> aiohttp.ClientWebSocketResponse:
        """Open the proxy's WebSocket."""
        return await self._transport.upgrade(_SOCKET)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._transport.close()


def _jobs(messages: Any) -> list[Job]:
    if messages is None:
        return []
    if not isinstance(messages, list) or len(messages) > JOBS_MAX:  # pyright: ignore[reportUnknownArgumentType]
        raise _wrong("POST", _CONSUME, f"messages is no list of at most {JOBS_MAX}")
    return [_job(message) for message in messages]  # pyright: ignore[reportUnknownVariableType]


def _job(message: Any) -> Job:
    fields = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
    number: Any = fields.get("id")
    data: Any = fields.get("data")
    if not isinstance(number, str) or not 0 < len(number) <= JOB_ID_MAX:
        raise _wrong("POST", _CONSUME, "a job has no id")
    if not isinstance(data, dict):
        raise _wrong("POST", _CONSUME, "a job's data is no object")
    size = 0
    for value in data.values():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(value, str):
            raise _wrong("POST", _CONSUME, "a job's data has a value that is no text")
        size += len(value)
    if size > MAX_ENTRY_BYTES:
        raise _wrong("POST", _CONSUME, f"a job's data is over {MAX_ENTRY_BYTES} characters")
    return Job(number, data)  # pyright: ignore[reportUnknownArgumentType]


def _wrong(method: str, path: str, what: str) -> ProxyError:
    return ProxyError(f"{method} {path}: status 200: {what}", status=_PING_OK)
