"""The API from memory, for a page in a real browser: every route, and the page's own files.

How to use it::

    answers = await answer(page, fleet(40), folder)    # folder: what `vite build` wrote
    await page.goto(answers.url)
    await answers.push("node", {"id": "gpu-node-0001", "state": "Stale"})
    answers.fail["/api/fabric/models"] = 503                          # from now on

The stream is held open inside the browser, and ``await answers.push(kind, data)`` speaks in it at
once. With ``held=False`` it is answered as Playwright answers, as a whole: it ends after what there
is to say, and the page comes back for more after the second that ``retry`` names, as after a cut.
"""

import json
import mimetypes
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from playwright.async_api import Page, Route

from citadel_k8s.api.page.policy import PAGE_HEADERS
from tests.pagerows import CLUSTER, NOW, PEOPLE, Row, detail, fleet, hostile, rfc

__all__ = ["Answers", "answer", "detail", "fleet", "hostile"]

HELD = """
(() => {
  const real = window.fetch.bind(window);
  const open = new Set();
  const text = new TextEncoder();
  window.__say = (said) => { for (const one of open) one.enqueue(text.encode(said)); };
  window.__cut = () => { for (const one of open) one.error(new TypeError('cut')); open.clear(); };
  window.fetch = async (what, options) => {
    if (!String(what?.url ?? what).includes('/api/fabric/events?') &&
        !String(what?.url ?? what).endsWith('/api/fabric/events')) return real(what, options);
    const answer = await real(what, options);
    if (answer.status !== 200) return answer;
    const first = await answer.text();
    let mine;
    const body = new ReadableStream({
      start(one) { mine = one; open.add(one); one.enqueue(text.encode(first)); },
      cancel() { open.delete(mine); },
    });
    options?.signal?.addEventListener('abort', () => {
      if (open.delete(mine)) mine.error(new DOMException('aborted', 'AbortError'));
    });
    return new Response(body, { status: 200, headers: answer.headers });
  };
})();
"""
"""Keeps a stream open after what was answered: Playwright can only answer as a whole."""

ORIGIN = "http://page.localhost"
STATIC = Path(__file__).parents[1] / "citadel_k8s/api/static"
SUBJECTS = {
    "admin": {"kind": "user", "subject": "user:u1", "role": "admin"},
    "editor": {"kind": "user", "subject": "user:u2", "role": "editor"},
    "viewer": {"kind": "user", "subject": "user:u3", "role": "viewer"},
}

SETTINGS = {
    "version": "0.1.0",
    "intervalSeconds": 30,
    "staleSeconds": 45,
    "timeoutSeconds": 100,
    "liveDeadlineSeconds": 3,
}


@dataclass
class Answers:
    """What is answered from now on; change it in the middle of a test as you like."""

    rows: list[Row]
    folder: Path
    role: str | None = "admin"
    now: Any = NOW
    live: Row | None = None
    fail: dict[str, int] = field(default_factory=dict)
    """Path to the status that it fails with; 0 cuts the connection."""

    asked: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    tokens: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    settings: Row = field(default_factory=dict)
    url: str = ORIGIN + "/"
    stream_open: bool = True
    """False: the stream's requests are never answered, as where a server hangs."""

    detail: Callable[[Row, Any], Row] = detail
    page: Page | None = None
    said: int = 0

    def say(self, kind: str, data: Row | list[Row]) -> None:
        """Send a change with the stream's next answer."""
        self.frames.append(self._frame(kind, data))

    async def push(self, kind: str, data: Row | list[Row]) -> None:
        """Send a change now, in the streams that are held open."""
        if self.page is not None:
            await self.page.evaluate("said => window.__say(said)", self._frame(kind, data))

    async def cut(self) -> None:
        """Cut the streams that are held open."""
        if self.page is not None:
            await self.page.evaluate("window.__cut()")

    def _frame(self, kind: str, data: Row | list[Row]) -> str:
        self.said += 1
        stamp = f"id: {1_795_420_800_000 + self.said}-0\n"
        return f"{stamp}event: {kind}\ndata: {json.dumps(data)}\n\n"

    async def handle(self, route: Route) -> None:
        """Answer one request."""
        request = route.request
        parts = urlsplit(request.url)
        if not request.url.startswith(ORIGIN):
            await route.abort()
            return
        self.asked.append(f"{request.method} {parts.path}")
        if not parts.path.startswith("/api/"):
            await self._file(route, parts.path)
            return
        status = self.fail.get(parts.path)
        if status == 0:
            await route.abort("connectionreset")
        elif status:
            told = {"error": "unavailable", "error_description": f"told to say {status}"}
            await _json(route, told | {"request_id": "cafe"}, status=status)
        elif self.role is None and not parts.path.startswith("/api/session/"):
            told = {"error": "unauthorized", "error_description": "no credential"}
            await _json(route, told, status=401)
        else:
            await self._api(route, parts.path, parse_qs(parts.query))

    async def _file(self, route: Route, path: str) -> None:
        name = "index.html" if path in {"/", "/device"} else path.lstrip("/")
        file = self.folder / name
        if not file.is_file():
            await route.fulfill(status=404, body="not found")
            return
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {"Content-Type": kind, **PAGE_HEADERS}
        await route.fulfill(status=200, body=file.read_bytes(), headers=headers)

    async def _api(self, route: Route, path: str, asked: dict[str, list[str]]) -> None:
        headers = {"X-Citadel-Time": rfc(self.now), "X-Citadel-As-Of": rfc(self.now)}
        if path == "/api/fabric/events":
            if self.stream_open:
                await route.fulfill(status=200, body=self._stream(), content_type=_STREAM)
        elif path == "/api/fabric/nodes":
            headers |= {"X-Total-Count": str(len(self.rows)), "X-Citadel-Ingest-Lag": "0.4"}
            headers["X-Citadel-Position"] = "1795420799999-0"
            await _json(route, self.rows, headers)
        elif path.startswith("/api/fabric/nodes/"):
            await self._node(route, path.removeprefix("/api/fabric/nodes/"), headers)
        else:
            await self._other(route, path, asked, headers)

    def _stream(self) -> str:
        frames, self.frames = self.frames, []
        clock = json.dumps({"now": rfc(self.now), "stale": False, "asOf": rfc(self.now), "lag": 0})
        return f"retry: 1000\n\n{''.join(frames)}event: time\ndata: {clock}\n\n"

    async def _node(self, route: Route, rest: str, headers: dict[str, str]) -> None:
        name, _, part = rest.partition("/")
        row = next((row for row in self.rows if row["id"] == unquote(name)), None)
        if row is None:
            await _json(route, {"error": "not_found", "error_description": "no node"}, status=404)
        elif part == "live":
            await _json(route, self.live or _live(row), headers)
        elif part == "history":
            asked = parse_qs(urlsplit(route.request.url).query)
            await _json(route, _history(self.now, asked.get("range", ["1h"])[0]), headers)
        elif part == "config":
            await _json(route, {"config": {"intervalSeconds": 30}, "applied": True}, headers)
        elif route.request.method == "DELETE":
            self.rows = [kept for kept in self.rows if kept is not row]
            await route.fulfill(status=204)
        else:
            await _json(route, self.detail(row, self.now), headers)

    async def _other(
        self, route: Route, path: str, asked: dict[str, list[str]], headers: dict[str, str]
    ) -> None:
        if path == "/api/orgs/tokens" and route.request.method == "POST":
            await _json(route, self._token(json.loads(route.request.post_data or "{}")), status=201)
            return
        if path.startswith("/api/orgs/tokens/"):
            self._change_token(path)
            await route.fulfill(status=204)
            return
        device = re.fullmatch(r"/api/fabric/device-auth/(pending|approve|deny)", path)
        if device:
            states = {"pending": "pending", "approve": "approved", "deny": "denied"}
            await _json(route, _device(states[device[1]]), headers)
            return
        told = self._told(path, asked)
        if told is None:
            await _json(route, {"error": "not_found", "error_description": path}, status=404)
        else:
            await _json(route, told, headers)

    def _told(self, path: str, asked: dict[str, list[str]]) -> Any:
        told = {
            "/api/session": self._session,
            "/api/session/methods": lambda: {"link": True, "oidc": True},
            "/api/settings": lambda: SETTINGS | self.settings,
            "/api/fabric/trends": lambda: self._trends(",".join(asked.get("nodes", []))),
            "/api/fabric/models": self._models,
            "/api/fabric/events/list": lambda: self.events or _happened(self.rows, self.now),
            "/api/fabric/summary": lambda: _summary(self.rows, self.now),
            "/api/orgs/tokens": lambda: {"tokens": self.tokens},
            "/api/orgs/users": lambda: {"users": _people(self.now)},
            "/api/orgs/clusters": lambda: {"clusters": [CLUSTER | {"createdAt": rfc(self.now)}]},
            "/api/orgs/current": lambda: {"orgId": "acme", "name": "Acme"},
        }.get(path)
        return None if told is None else told()

    def _session(self) -> Row:
        person = {"userId": "u1", "name": "Ada", "email": "ada@example.org"}
        who = SUBJECTS[self.role or "viewer"]
        return who | {"orgId": "acme", "orgName": "Acme", "user": person}

    def _trends(self, names: str) -> Row:
        start = rfc(self.now - timedelta(minutes=30))
        nodes = {name: _trend(name) for name in names.split(",")}
        return {"start": start, "bucketSeconds": 60, "nodes": nodes}

    def _models(self) -> list[Row]:
        nodes: dict[str, list[str]] = {}
        for row in self.rows:
            for model in row["profile"].get("models") or []:
                nodes.setdefault(model, []).append(row["id"])
        return [
            {
                "model": model,
                "nodes": who,
                "replicas": len(who),
                "engines": ["vllm"],
                "healthy": len(who) - number % 2,
            }
            for number, (model, who) in enumerate(sorted(nodes.items()))
        ]

    def _token(self, body: Row) -> Row:
        made = {
            "tokenId": f"t{len(self.tokens)}",
            "name": body.get("name", ""),
            "scopes": body.get("scopes") or ["device_redis:read", "device_redis:pubsub"],
            "createdAt": rfc(self.now),
            "createdBy": "user:u1",
        }
        self.tokens.append(made)
        return made | {"token": "act_shown-this-once"}

    def _change_token(self, path: str) -> None:
        for token in self.tokens:
            if token["tokenId"] == path.split("/")[4]:
                token["revokedAt"] = rfc(self.now)


def _people(now: Any) -> list[Row]:
    return [person | {"signsInBy": "link", "createdAt": rfc(now)} for person in PEOPLE]


_STREAM = "text/event-stream"


async def answer(
    page: Page,
    rows: list[Row] | None = None,
    folder: Path = STATIC,
    *,
    held: bool = True,
    **more: Any,
) -> Answers:
    """Answer all that a page asks, until it is closed; more: fields of `Answers`."""
    answers = Answers(fleet() if rows is None else rows, folder, page=page, **more)
    if held:
        await page.add_init_script(HELD)
    await page.route("**/*", answers.handle)
    return answers


async def _json(
    route: Route, body: Any, headers: dict[str, str] | None = None, *, status: int = 200
) -> None:
    kind = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    text = json.dumps(body)
    await route.fulfill(status=status, body=text, headers=kind | (headers or {}))


def _live(row: Row) -> Row:
    told = detail(row)
    status = json.loads(json.dumps(told.get("status")))
    if status is None:
        why = {"step": "address", "message": "no address of this node is known"}
        return {"node": row, "live": False, "seconds": 0.0004, "complete": False} | why
    for gpu in status["status"]["gpu"]:
        if "utilization_percent" in gpu:
            gpu["utilization_percent"] = min(100.0, gpu["utilization_percent"] + 7)
    answered = {"live": True, "seconds": 0.084, "address": "100.64.0.1", "fresh": True}
    return {"node": row, **answered, "complete": True, "age": 0.0, "status": status}


def _trend(name: str) -> dict[str, list[float | None]]:
    dice = random.Random(name)
    return {"util": _walk(dice, 30, 10), "vram": _walk(dice, 30, 10, 0.03)}


def _walk(dice: random.Random, count: int, gap: int, step: float = 0.12) -> list[float | None]:
    """Give a load that wanders between 0 and 1, with a gap."""
    at, line = dice.uniform(0.3, 0.9), list[float | None]()
    for number in range(count):
        at = min(0.99, max(0.02, at + dice.uniform(-step, step)))
        line.append(None if gap <= number < gap + max(1, count // 24) else round(at, 4))
    return line


def _history(now: Any, span: str) -> Row:
    count, dice = {"1h": 12, "6h": 72}.get(span, 288), random.Random(7)
    util = _walk(dice, count, count // 3)
    power = [None if value is None else round(500 + 4800 * value) for value in util]
    running = [None if value is None else round(20 * value) for value in util]
    return {
        "start": rfc(now - timedelta(minutes=5 * count)),
        "bucketSeconds": 300,
        "beats": [None if value is None else 10 for value in util],
        "util": util,
        "utilMax": [None if value is None else min(1.0, value + 0.1) for value in util],
        **{name: _walk(dice, count, count // 3, 0.03) for name in ("cpu", "memory", "vram")},
        "power": power,
        "running": running,
    }


HAPPENED = (
    ("state", "AgentSilent", "no heartbeat for 100 s", "Offline", "Online"),
    ("xid", "GpuLost", "GPU 3: Xid 79, GPU fell off the bus", None, None),
    ("fault", "ServiceUnhealthy", "vllm on port 8000 refuses connections", None, None),
    ("state", "Heartbeat", "reports on time", "Online", "Offline"),
    ("config", "ConfigurationApplied", "revision r7", None, None),
    ("node", "NodeJoined", "", None, None),
    ("state", "Terminating", "said goodbye", "Draining", "Online"),
)


def _happened(rows: list[Row], now: Any) -> list[Row]:
    told: list[Row] = []
    for number, row in enumerate(rows[:60]):
        kind, reason, message, state, before = HAPPENED[number % len(HAPPENED)]
        one = {"id": str(1000 - number), "node": row["id"], "kind": kind, "reason": reason}
        one |= {"message": message, "count": 3 if kind == "xid" else 1}
        one |= {"time": rfc(now - timedelta(minutes=1 + 3 * number))}
        told.append(one | ({"state": state, "before": before} if state else {}))
    return told


def _summary(rows: list[Row], now: Any) -> Row:
    states: dict[str, int] = {}
    for row in rows:
        states[row["state"]] = states.get(row["state"], 0) + 1
    return {
        "nodes": len(rows),
        "states": [{"state": state, "count": count} for state, count in states.items()],
        "gpus": 8,
        "gpusBusy": 4,
        "gpusIdle": 2,
        "gpusUnknown": 2,
        "gpuModels": [],
        "models": 3,
        "time": rfc(now),
        "asOf": rfc(now),
        "ingestLag": 0.4,
    }


def _device(state: str) -> Row:
    return {
        "user_code": "BCDF-GHJK",
        "state": state,
        "client_id": "citadel-cli",
        "client_version": "2.44.0",
        "hostname": "edge-box-7",
        "address": "203.0.113.9",
        "force_new": False,
        "created_at": rfc(NOW - timedelta(minutes=1)),
        "expires_at": rfc(NOW + timedelta(minutes=9)),
    }
