"""A proxy in front of a real API server that does to requests what it is told to.

How to use it::

    async with faulty(kube, folder) as proxy:
        config = proxy.kubeconfig(folder / "proxied.conf", "operator", token)
        proxy.tell(Fault({"LIST", "WATCH"}, {"fabricnodes"}, status=410))
        ...
        proxy.forgive()

Without faults all passes through, watches line by line. Verbs are those of Kubernetes (LIST and
WATCH apart from GET). Every request is kept in `asked`.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from citadel_k8s.local import certs
from citadel_k8s.local.kube import Kube

WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})
READS = frozenset({"GET", "LIST", "WATCH"})
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

_OWN = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})
"""Headers that each leg has for itself."""


@dataclass(frozen=True)
class Asked:
    """One request as it came. The status is what the client got; 0: nothing, or not yet."""

    at: float
    verb: str
    resource: str
    name: str
    status: int = 0


@dataclass(eq=False)
class Fault:
    """What befalls requests of these verbs and resources; empty sets mean all.

    Parameters
    ----------
    status : int
        Answer so instead of asking; 0 asks.
    body : str or None
        What is answered then; a Kubernetes Status if None, HTML if it begins with ``<``.
    headers : dict
        More headers of such an answer.
    delay : float
        Seconds before anything else.
    stall : bool
        Nothing is answered, and nothing more is said in open watches, until it is forgiven.
    cut : int or None
        Bytes of the true answer after which the connection is cut.
    truncate : int or None
        Bytes of the true answer that make up a whole one, with a fitting Content-Length.
    """

    verbs: Collection[str] = frozenset()
    resources: Collection[str] = frozenset()
    status: int = 0
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    stall: bool = False
    cut: int | None = None
    truncate: int | None = None

    def hits(self, asked: Asked) -> bool:
        return (not self.verbs or asked.verb in self.verbs) and (
            not self.resources or asked.resource in self.resources
        )

    def answer(self) -> web.Response:
        if self.body is not None:
            kind = "text/html" if self.body.startswith("<") else "application/json"
            return web.Response(
                status=self.status, text=self.body, content_type=kind, headers=self.headers
            )
        said = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status,
            "message": f"told to say {self.status}",
        }  # fmt: skip
        return web.json_response(said, status=self.status, headers=self.headers)


class FaultProxy:
    """The proxy; made by `faulty`."""

    def __init__(self, kube: Kube, session: aiohttp.ClientSession, pki: certs.Pki) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._kube, self._session, self._pki = kube, session, pki
        self._faults: list[Fault] = []
        self._changed = asyncio.Event()
        self._watches: dict[web.StreamResponse, tuple[Asked, web.Request]] = {}

    def kubeconfig(self, path: Path, user: str, token: str) -> Path:
        """Write a kubeconfig that names the proxy; return `path`."""
        return certs.write_token_kubeconfig(path, self.url, self._pki.ca, user, token)

    def tell(self, *faults: Fault) -> float:
        """Let these befall requests from now on, the first that fits; gives the moment."""
        self._faults += faults
        return asyncio.get_running_loop().time()

    def forgive(self) -> float:
        """Let all pass again, also what waits; gives the moment."""
        self._faults.clear()
        self._changed.set()
        self._changed = asyncio.Event()
        return asyncio.get_running_loop().time()

    def count(
        self, verbs: Collection[str], resource: str, since: float, until: float = 1e18
    ) -> int:
        """Give how many requests of these verbs came for a resource."""
        return len(self.of(verbs, resource, since, until))

    def of(
        self, verbs: Collection[str], resource: str, since: float, until: float = 1e18
    ) -> list[Asked]:
        return [
            a for a in self.asked
            if a.verb in verbs and a.resource == resource and since <= a.at <= until
        ]  # fmt: skip

    async def end_watches(self, resource: str, error: int | None = None) -> int:
        """End open watches, with an ERROR event before if one is named; gives how many."""
        open_ones = [(r, q) for r, (a, q) in self._watches.items() if a.resource == resource]
        for response, request in open_ones:
            if error is not None:
                status = {"kind": "Status", "code": error, "message": "too old resource version"}
                await response.write(json.dumps({"type": "ERROR", "object": status}).encode())
                await response.write(b"\n")
                await asyncio.sleep(0)
            _cut(request)
        return len(open_ones)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = _asked(request)
        place = len(self.asked)
        self.asked.append(asked)
        body = await request.read()
        fault = self._fault(asked)
        if fault is not None:
            await asyncio.sleep(fault.delay)
            if fault.stall:
                await self._wait(fault)
            if fault.status:
                self.asked[place] = _with(asked, fault.status)
                return fault.answer()
        async with self._session.request(
            request.method, self._kube.server + request.raw_path, data=body or None,
            headers={k: v for k, v in request.headers.items() if k.lower() not in _OWN},
        ) as answer:  # fmt: skip
            self.asked[place] = _with(asked, answer.status)
            if asked.verb == "WATCH":
                return await self._stream(asked, request, answer, fault)
            return await _whole(request, answer, await answer.read(), fault)

    def _fault(self, asked: Asked) -> Fault | None:
        return next((fault for fault in self._faults if fault.hits(asked)), None)

    async def _wait(self, fault: Fault) -> None:
        while fault in self._faults:
            await self._changed.wait()

    async def _stream(
        self,
        asked: Asked,
        request: web.Request,
        answer: aiohttp.ClientResponse,
        fault: Fault | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_kept(answer))
        await response.prepare(request)
        if fault is not None and fault.cut is not None:
            _cut(request)
            return response
        self._watches[response] = asked, request
        try:
            async for data in answer.content.iter_any():
                now = self._fault(asked)
                if now is not None and now.stall:
                    await self._wait(now)
                await response.write(data)
        except (aiohttp.ClientError, ConnectionError):
            pass
        finally:
            del self._watches[response]
        return response


@asynccontextmanager
async def faulty(kube: Kube, folder: Path) -> AsyncIterator[FaultProxy]:
    """Run a proxy on a free loopback port, with an authority and certificates of its own."""
    pki = await asyncio.to_thread(certs.make, folder)
    upstream = ssl.create_default_context(cafile=str(kube.ca))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pki.server.certificate, pki.server.key)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    connector = aiohttp.TCPConnector(ssl=upstream, limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, read_bufsize=2**20
    ) as session:
        proxy = FaultProxy(kube, session, pki)
        app = web.Application(client_max_size=8 * 1024**2)
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        proxy.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()


async def _whole(
    request: web.Request, answer: aiohttp.ClientResponse, data: bytes, fault: Fault | None
) -> web.StreamResponse:
    if fault is not None and fault.truncate is not None:
        data = data[: fault.truncate]
    if fault is None or fault.cut is None:
        return web.Response(status=answer.status, headers=_kept(answer), body=data)
    response = web.StreamResponse(status=answer.status, headers=_kept(answer))
    response.content_length = len(data)
    await response.prepare(request)
    await response.write(data[: fault.cut])
    _cut(request)
    return response


def _asked(request: web.Request) -> Asked:
    parts = [part for part in request.path.split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    resource, name = (*rest, "", "")[:2]
    verb = request.method
    if verb == "GET" and resource and not name:
        verb = "WATCH" if request.query.get("watch") in {"1", "true"} else "LIST"
    return Asked(asyncio.get_running_loop().time(), verb, resource, name)


def _with(asked: Asked, status: int) -> Asked:
    return Asked(asked.at, asked.verb, asked.resource, asked.name, status)


def _kept(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.lower() not in _OWN}


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
