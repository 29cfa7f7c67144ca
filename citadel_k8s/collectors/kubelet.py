"""Pods of this node from the kubelet's own API: names, labels, containers, restarts.

``GET /pods`` of the kubelet needs the right to ``get`` ``nodes/pods`` where the kubelet authorizes
finely (``KubeletFineGrainedAuthz``: on by default since Kubernetes 1.33, always since 1.36). An
older kubelet wants ``nodes/proxy``, which is the right to run commands in every container: there
it is better not to ask, and to take the names from the folder of logs.
"""

import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from citadel_k8s.collectors.lines import clean
from citadel_k8s.config import PodSource
from citadel_k8s.models.readings import Failed, Outcome, Pod, Reading

DEADLINE: Final = 2.0
"""Seconds for the whole answer."""

BODY_MAX: Final = 8 * 1024 * 1024
"""Bytes read of the answer: 500 pods of 16 kB."""

PODS_MAX: Final = 1_000
"""Pods taken. Source: four times the most that large clusters allow on a node."""

PER_POD_MAX: Final = 64
"""Containers, labels and annotations taken of one pod."""

KEPT_PREFIXES: Final = ("fabric.aceteam.ai/", "app.kubernetes.io/")
"""Labels and annotations that mean something here; others may hold what is nobody's business."""

ENDED: Final = frozenset({"Succeeded", "Failed"})
"""Phases of a pod that holds nothing any more."""

MIRROR_OF: Final = "kubernetes.io/config.mirror"
"""Annotation that gives a static pod's UID as the node's cgroups know it."""

HTTP_OK, HTTP_UNAUTHORIZED, HTTP_FORBIDDEN = 200, 401, 403
"""Statuses that are told apart."""


@dataclass(frozen=True, slots=True)
class NodePods:
    """The node's pods. ``ended`` has namespace and name of those that have run to their end."""

    pods: tuple[Pod, ...]
    ended: frozenset[tuple[str, str]]


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
            return Reading(pods_of(await self._body()))
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


def pods_of(body: bytes) -> NodePods:
    """Give the pods of a ``PodList``; what is not of a pod's shape is left out.

    Raises
    ------
    ValueError
        If it is no list of pods.
    """
    items = _mapping(json.loads(body)).get("items")
    if not isinstance(items, list):
        raise ValueError("no list of pods")  # noqa: TRY004 - what was read is wrong
    pods: list[Pod] = []
    ended: set[tuple[str, str]] = set()
    for item in items[:PODS_MAX]:  # pyright: ignore[reportUnknownVariableType]
        document = _mapping(item)  # pyright: ignore[reportUnknownArgumentType]
        pod = _pod(document)
        if pod is None:
            continue
        if _text(_mapping(document.get("status")).get("phase")) in ENDED:
            ended.add((pod.namespace, pod.name))
        else:
            pods.append(pod)
    return NodePods(tuple(pods), frozenset(ended - {(p.namespace, p.name) for p in pods}))


def _pod(document: Mapping[str, Any]) -> Pod | None:
    metadata, status = _mapping(document.get("metadata")), _mapping(document.get("status"))
    annotations = _mapping(metadata.get("annotations"))
    uid = _text(annotations.get(MIRROR_OF)) or _text(metadata.get("uid"))
    namespace, name = _text(metadata.get("namespace")), _text(metadata.get("name"))
    if not (uid and namespace and name):
        return None
    states = [*_states(status, "containerStatuses"), *_states(status, "initContainerStatuses")]
    return Pod(
        uid=uid,
        namespace=namespace,
        name=name,
        containers=tuple(
            (number.rpartition("//")[2], called)
            for state in states
            if (number := _text(state.get("containerID"))) and (called := _text(state.get("name")))
        ),
        ip=_text(status.get("podIP")),
        labels=tuple(_kept(_mapping(metadata.get("labels")))),
        annotations=tuple(_kept(annotations)),
        restarts=tuple(
            (called, count)
            for state in states
            if (called := _text(state.get("name")))
            and isinstance(count := state.get("restartCount"), int)
        ),
    )


def _states(status: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    states = status.get(key)
    if not isinstance(states, list):
        return []
    return [_mapping(state) for state in states[:PER_POD_MAX]]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _kept(pairs: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    kept = [(k, v) for k, v in pairs.items() if k.startswith(KEPT_PREFIXES) and isinstance(v, str)]
    return [(clean(key), clean(value)) for key, value in kept[:PER_POD_MAX]]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _text(value: object) -> str | None:
    return clean(value) or None if isinstance(value, str) else None
