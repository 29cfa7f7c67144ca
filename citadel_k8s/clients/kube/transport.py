"""One connection to an API server: a request with a deadline in, parsed JSON or an error out.

Objects travel as plain dicts. The generated models of the library are left out on purpose: they
cost several times the memory and the time, and know nothing of our own kinds.
"""

import asyncio
import copy
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import pydantic_core
import yaml
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject, RESTResponse

from citadel_k8s.errors import ConfigError, KubeError

CONNECT_TIMEOUT: Final = 5.0
"""Seconds until a connection stands. An API server that accepts none for 5 s is down."""

REQUEST_TIMEOUT: Final = 30.0
"""Seconds for a whole request. The server's own limit is 60 s; a LIST of 500 objects takes under
1 s, so that 30 s tell an overloaded server from a dead one."""

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

UNAUTHORIZED: Final = 401

NOT_ALLOWED: Final = -2
"""Status of a write that was not sent because this process may not write now."""

Guard = Callable[[], float]
"""Gives the seconds for which this process may still write; 0 or less: it may not."""

PLUGIN_PATIENCE: Final = 60.0
"""Seconds until a kubeconfig is read: a plugin that it names may have a person sign in first."""

_LINE_MAX: Final = 16 * 1024 * 1024
"""Bytes of one line of a watch: etcd keeps no object of over 1.5 MiB."""

_MESSAGE_MAX: Final = 1000
"""Longest quotation of a server's answer, in characters."""


class Transport:
    """Requests to one API server, with one set of credentials.

    Nothing is tried twice in here; who calls knows what may be repeated.

    Parameters
    ----------
    configuration : Configuration
        Server and credentials.
    timeout : float
        Seconds for a request that names no other limit.
    renew : callable or None
        Gives the configuration anew; asked before the next request once a token was refused.
    """

    def __init__(
        self,
        configuration: Configuration,
        timeout: float = REQUEST_TIMEOUT,
        renew: Callable[[], Awaitable[Configuration]] | None = None,
    ) -> None:
        self.configuration = configuration
        self._renew = renew
        self._guard: Guard | None = None
        self._refused = False
        # Left to it, aiohttp reads proxies and ~/.netrc again for every request: 1.0 of the 2.2 ms
        # of CPU that a patch of a 2 kB status takes (2 cores of a virtual machine, Python 3.11).
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.proxy = configuration.proxy or _proxy(configuration.host)
        self._rest = RESTClientObject(configuration)
        self._timeout = timeout

    def with_token(self, token: str) -> "Transport":
        """Give a transport to the same server that shows a bearer token and nothing else."""
        mine = self.configuration
        other = Configuration(host=mine.host)
        for name in (
            "ssl_ca_cert",
            "ca_cert_data",
            "verify_ssl",
            "disable_strict_ssl_verification",
            "tls_server_name",
            "proxy",
        ):
            setattr(other, name, getattr(mine, name))
        other.api_key = {"BearerToken": f"Bearer {token}"}
        return Transport(other, self._timeout)

    def guarded(self, guard: Guard) -> "Transport":
        """Give a transport over the same connections whose writes a guard allows and bounds.

        Asked as the last thing before a write is sent, so that a process which was stopped while
        it got ready does not write when it goes on.
        """
        other = copy.copy(self)
        other._guard = guard  # noqa: SLF001 - its own copy
        return other

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Ask the server and give its JSON object back.

        Parameters
        ----------
        accept : str
            What the answer may be; a few paths have JSON under a name of its own only.
        timeout : float or None
            Seconds for the whole of it; that of the transport if None.

        Raises
        ------
        KubeError
            With the HTTP status, or 0 when there was no answer.
        """
        asked = f"{method} {path}"
        url = f"{self.configuration.host}{path}"
        if query:
            url += f"?{urlencode(query)}"
        limit = timeout or self._timeout
        try:
            await self._renew_token()
            headers = await self._headers(content_type) | {"Accept": accept}
            if method != "GET":
                limit = min(limit, self._allowed(asked))
            answer, data = await self._answer(method, url, headers, body, limit)
        except TimeoutError as error:
            raise KubeError(0, f"{asked}: no answer within {limit:.3g} s") from error
        except (aiohttp.ClientError, OSError, config.ConfigException, ConfigError) as error:
            raise KubeError(0, f"{asked}: {str(error) or type(error).__name__}") from error
        self._refused = answer.status == UNAUTHORIZED
        return _parse(asked, answer, data)

    async def date(self, path: str, *, timeout: float | None = None) -> str | None:
        """Give the ``Date`` of the server's answer to a GET, whatever it answers.

        Raises
        ------
        KubeError
            With status 0 when there was no answer.
        """
        limit = timeout or self._timeout
        url = f"{self.configuration.host}{path}"
        try:
            headers = await self._headers("application/json")
            answer, _ = await self._answer("GET", url, headers, None, limit)
        except TimeoutError as error:
            raise KubeError(0, f"GET {path}: no answer within {limit:.3g} s") from error
        except (aiohttp.ClientError, OSError, config.ConfigException) as error:
            raise KubeError(0, f"GET {path}: {str(error) or type(error).__name__}") from error
        return answer.headers.get("Date")

    async def lines(
        self, path: str, query: Mapping[str, str], *, silence: float
    ) -> AsyncGenerator[dict[str, Any]]:
        """Give the JSON objects of a watch, one a line, until the server ends it.

        Parameters
        ----------
        silence : float
            Seconds without a byte after which it is given up.

        Raises
        ------
        KubeError
            It was refused (with the status), broke off, or fell silent.
        """
        asked = f"GET {path} (watch)"
        url = f"{self.configuration.host}{path}?{urlencode(query)}"
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
        try:
            await self._renew_token()
            headers = await self._headers("application/json") | {"Accept": "application/json"}
            async with asyncio.timeout(self._timeout):
                answer = await self._rest.request(
                    "GET", url, headers=headers, _request_timeout=limit
                )
                self._refused = answer.status == UNAUTHORIZED
                if answer.status != 200:  # noqa: PLR2004 - all that a watch begins with
                    _parse(asked, answer, await answer.read())
            content: aiohttp.StreamReader = answer.response.content
            try:
                async for line in _lines(content, silence):
                    if (document := _object(line)) is not None:
                        yield document
            finally:
                answer.response.close()
        except TimeoutError as error:
            raise KubeError(0, f"{asked}: silent for {silence:g} s") from error
        except (aiohttp.ClientError, OSError, config.ConfigException, ConfigError) as error:
            raise KubeError(0, f"{asked}: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        """Let go of the connections."""
        await self._rest.close()

    async def _answer(
        self, method: str, url: str, headers: dict[str, str], body: Any, limit: float
    ) -> tuple[RESTResponse, bytes]:
        timeout = aiohttp.ClientTimeout(total=limit, sock_connect=CONNECT_TIMEOUT)
        # aiohttp rounds a limit of over 5 s up to the next whole second; a lease does not wait.
        async with asyncio.timeout(limit):
            answer = await self._rest.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
            return answer, await answer.read()

    def _allowed(self, asked: str) -> float:
        if self._guard is None:
            return float("inf")
        seconds = self._guard()
        if seconds <= 0:
            raise KubeError(NOT_ALLOWED, f"{asked}: not sent: another operator may write now")
        return seconds

    async def _renew_token(self) -> None:
        # Tokens of cloud accounts live for minutes; a plugin that the kubeconfig names makes more.
        if self._refused and self._renew is not None:
            self._refused = False
            async with asyncio.timeout(self._timeout):
                self.configuration.api_key = (await self._renew()).api_key

    async def _headers(self, content_type: str) -> dict[str, str]:
        headers = {
            "Content-Type": content_type,
            "User-Agent": "citadel-k8s",
        }
        # Asked each time: the token of a pod is a file that the kubelet renews.
        token = (await self.configuration.auth_settings()).get("BearerToken")
        if token and token["value"]:
            headers["Authorization"] = token["value"]
        return headers


async def configure(
    kubeconfig: Path | None,
    environ: Mapping[str, str] | None = None,
    context: str | None = None,
) -> Configuration:
    """Find out which API server to ask, and as whom.

    A kubeconfig that was named wins, then ``KUBECONFIG``, then the service account of the pod,
    then ``~/.kube/config``, as in the client for Go. Several files in ``KUBECONFIG`` are one
    kubeconfig: of two things of a name the first counts. A context that is named is one of a
    kubeconfig's.

    Raises
    ------
    ConfigError
        If there is none, or it cannot be read.
    """
    env = os.environ if environ is None else environ
    found = Configuration()
    files = [kubeconfig] if kubeconfig else _files(env.get("KUBECONFIG", ""))
    named = Path(os.pathsep.join(map(str, files))) if files else None
    home = Path(env.get("HOME", "/nonexistent")) / ".kube" / "config"
    try:
        if named is None and context is None and env.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(found)
            return found
        there = [file for file in files or [home] if file.is_file()]
        if not there:
            raise ConfigError(_where_to_get_one(named))
        async with asyncio.timeout(PLUGIN_PATIENCE):
            await config.load_kube_config(
                os.pathsep.join(map(str, there)),
                context=context or _current(there),
                client_configuration=found,
                persist_config=False,
            )
    except TimeoutError as error:
        text = (
            f"kubeconfig {named or home}: its plugin gave no credentials in {PLUGIN_PATIENCE:g} s"
        )
        raise ConfigError(f"{text}; run it by hand: `kubectl auth whoami`") from error
    except (AttributeError, KeyError) as error:
        # What is read is not checked before: an empty file, a list in place of an object.
        raise ConfigError(f"kubeconfig {named or home}: it is none: {error}") from error
    except (config.ConfigException, OSError, yaml.YAMLError, ValueError, TypeError) as error:
        source = f"kubeconfig {named or home}" if named or home.is_file() else "service account"
        raise ConfigError(f"{source}: {error}") from error
    return found


async def _lines(content: aiohttp.StreamReader, silence: float) -> AsyncGenerator[bytes]:
    rest = bytearray()
    while True:
        async with asyncio.timeout(silence):
            chunk = await content.readany()
        if not chunk:
            return
        rest += chunk
        *whole, last = rest.split(b"\n") if b"\n" in chunk else (rest,)
        for line in whole:
            yield bytes(line)
        rest = bytearray(last)
        if len(rest) > _LINE_MAX:
            raise aiohttp.ClientPayloadError(f"a line is over {_LINE_MAX >> 20} MiB")


def _proxy(host: str) -> str | None:
    url = urlsplit(host)
    return None if proxy_bypass(url.netloc) else getproxies().get(url.scheme)


def _files(paths: str) -> list[Path]:
    return [Path(part).expanduser() for part in paths.split(os.pathsep) if part]


def _current(files: list[Path]) -> str | None:
    """Give the context that several files mean: kubectl's first, and not the library's last."""
    if len(files) == 1:
        return None
    for file in files:
        found: Any = yaml.safe_load(file.read_text())
        if isinstance(found, dict):
            named: Any = cast("dict[str, Any]", found).get("current-context")
            if named:
                return str(named)
    return None


def _where_to_get_one(named: Path | None) -> str:
    if named is not None:
        return f"kubeconfig {named}: no such file; name another with --kubeconfig"
    return (
        "no API server is known: name a kubeconfig with --kubeconfig or KUBECONFIG, "
        "or run in a pod with a service account"
    )


def _parse(asked: str, answer: RESTResponse, data: bytes) -> dict[str, Any]:
    document = _object(data)
    if answer.status >= 400:  # noqa: PLR2004 - what HTTP calls an error
        raise _refusal(asked, answer, data, document or {})
    if document is None:
        raise KubeError(answer.status, f"{asked}: the answer is no JSON object")
    return document


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        document: Any = pydantic_core.from_json(data)
    except ValueError:
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None


def _refusal(asked: str, answer: RESTResponse, data: bytes, said: Mapping[str, Any]) -> KubeError:
    message = said.get("message") or data.decode(errors="replace").strip() or answer.reason
    return KubeError(
        answer.status,
        f"{asked}: {answer.status}: {str(message)[:_MESSAGE_MAX]}",
        _retry_after(answer.headers.get("Retry-After", "")),
    )


def _retry_after(header: str) -> float | None:
    # The other form of the header, a date, is used by no API server.
    return float(header) if header.isascii() and header.isdigit() else None
