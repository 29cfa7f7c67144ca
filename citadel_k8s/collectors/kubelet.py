"""Pods of this node from the kubelet's own API: names, labels, containers, restarts.

``GET /pods`` of the kubelet needs the right to ``get`` ``nodes/pods`` where the kubelet authorizes
finely (``KubeletFineGrainedAuthz``: on by default since Kubernetes 1.33, always since 1.36). An
older kubelet wants ``nodes/proxy``, which is the right to run commands in every container: there
it is better not to ask, and to take the names from the folder of logs.
"""

import ssl
from typing import Final

import aiohttp

from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.podlist import NodePods, read_pods
from citadel_k8s.config.agent import PodSource
from citadel_k8s.models.readings import Failed, Outcome, Reading

DEADLINE: Final = 2.0
"""Seconds for the whole answer."""

BODY_MAX: Final = 8 * 1024 * 1024
"""Bytes read of the answer: 500 pods of 16 kB."""

HTTP_OK, HTTP_UNAUTHORIZED, HTTP_FORBIDDEN = 200, 401, 403
"""Statuses that are told apart."""


class Kubelet:
    """Asks one kubelet.

    The token is read anew for each request, since the projected one changes. The certificate is
    checked against the CA file, or against the one beside the token if none is given.
    """

    def __init__(self, url: str, source: PodSource, *, deadline: float = DEADLINE) -> None:
        self._url = f"{url.rstrip('/')}/pods"
        self._token_file = source.token_file
        self._ca_file = source.ca_file or source.token_file.with_name("ca.crt")
        self._deadline = deadline
        self._session: aiohttp.ClientSession | None = None
        self._trust: tuple[int, ssl.SSLContext] | None = None

    async def collect(self) -> Outcome[NodePods]:
        """Ask for the node's pods."""
        try:
            return Reading(await read_pods(await self._body()))
        except (
            aiohttp.ClientError,
            OSError,
            ValueError,
            RecursionError,
            _RefusedError,
        ) as error:
            return self._failure(error)

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _body(self) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._deadline),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        secure = self._url.startswith("https:")
        headers: dict[str, str] = {}
        if secure:
            headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
        request = self._session.get(
            self._url,
            headers=headers,
            ssl=self._context() if secure else True,
            allow_redirects=False,
        )
        async with request as response:
            _check(response.status)
            body = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                body += chunk
                if len(body) > BODY_MAX:
                    raise ValueError(f"more than {BODY_MAX} bytes")
            return bytes(body)

    def _failure(self, error: Exception) -> Failed:
        told = clean(str(error))
        match error:
            case _RefusedError():
                return error.failed
            case aiohttp.ClientConnectorCertificateError():
                return Failed("KubeletUntrusted", f"{told}; see pods.caFile")
            case aiohttp.ClientConnectorError():
                return Failed("KubeletUnreachable", told)
            case TimeoutError():
                return Failed("KubeletTimeout", f"no answer within {self._deadline:g} s")
            case OSError() if not isinstance(error, aiohttp.ClientError):
                return Failed("KubeletCredentials", told)
            case _:
                return Failed("KubeletUnreadable", f"{type(error).__name__}: {told}")

    def _context(self) -> ssl.SSLContext:
        changed = self._ca_file.stat().st_mtime_ns
        if self._trust is None or self._trust[0] != changed:
            self._trust = changed, ssl.create_default_context(cafile=self._ca_file)
        return self._trust[1]


class _RefusedError(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.failed = Failed(reason, message)


def _check(status: int) -> None:
    if status == HTTP_UNAUTHORIZED:
        raise _RefusedError("Unauthorized", "the kubelet does not know the token")
    if status == HTTP_FORBIDDEN:
        raise _RefusedError("NoPermission", "the right to get nodes/pods is missing")
    if status != HTTP_OK:
        raise _RefusedError("KubeletUnreadable", f"GET /pods gives {status}")
