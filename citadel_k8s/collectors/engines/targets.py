"""What there is to ask, from the settings, the pods, the listening ports and the usual ports."""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, get_args

from yarl import URL

from citadel_k8s.collectors.engines.checks import DATABASE_PORTS
from citadel_k8s.collectors.lines import clean
from citadel_k8s.config import EngineEndpoint, EngineKind
from citadel_k8s.models.readings import Listener, Pod

DEFAULT_PORTS: Final = (
    ("vllm", 8000),
    ("vllm", 8201),
    ("llamacpp", 8200),
    ("ollama", 11434),
    ("sglang", 30000),
    ("lmdeploy", 23333),
    ("infinity", 7997),
    ("tei", 8102),
)
"""Where engines listen when nobody said otherwise; the ports from 8000 to 8201 with two zeros or
a one in the middle are the Go client's."""

KNOWN_PORTS: Final = (
    *(port for _, port in DEFAULT_PORTS),
    *(80, 3000, 5000, 8001, 8002, 8003, 8080, 8081, 8888, 9000),
    *DATABASE_PORTS.values(),
)
"""Ports on which it is worth knowing who listens: the usual ones of all families, in containers
too."""

ANNOTATION: Final = "fabric.aceteam.ai/"
"""Start of the annotations and labels of a pod that names its engine: engine, port, name."""

_PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict(reversed(DEFAULT_PORTS)),
        **DATABASE_PORTS,
        "tgi": 3000,
        "tei": 3000,
        "triton": 8000,
        "llamacpp": 8080,
        "transformers": 8000,
        "openai": 8000,
    }
)
"""Where a command listens that names no port."""

_COMMANDS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (None, r"\bollama\s+runner\b|VLLM::(?!API)|sglang::|multiprocessing\.\w+_tracker"),
        ("ollama", r"(?:^|/)ollama\s+serve\b"),
        ("openai", r"\bvllm_nvext\.entrypoints\b|\btrtllm-serve\b"),
        ("vllm", r"\bvllm\s+serve\b|\bvllm\.entrypoints\.openai\.api_server\b|VLLM::API"),
        ("sglang", r"\bsglang\.launch_server\b|\bsglang\s+serve\b"),
        ("llamacpp", r"(?:^|/)llama-server\b"),
        ("openai", r"\bllama_cpp\.server\b"),
        ("tgi", r"\btext-generation-(?:launcher|router)\b"),
        ("tei", r"\btext-embeddings-router\b"),
        ("triton", r"(?:^|/)tritonserver\b"),
        ("lmdeploy", r"\blmdeploy\s+serve\s+api_server\b"),
        ("infinity", r"\binfinity_emb\b"),
        ("transformers", r"\btransformers(?:-cli)?\s+serve\b"),
        ("postgres", r"^(?:\S*/)?(?:postgres|postmaster)\b(?!:)"),
        ("redis", r"^(?:\S*/)?(?:redis-server|valkey-server)\b"),
    )
)
_PORT_OPTION: Final = re.compile(r"--?(?:server-|http-)?p(?:ort)?[ =](\d{1,5})\b")
_KINDS: Final[frozenset[str]] = frozenset(get_args(EngineKind))


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint to ask.

    ``kind`` is None where that is to be found out. ``sure`` says by how much a find has to prove
    itself: a process' own command line has said what it is, a default port nothing. ``key`` is
    the same from one collection to the next.
    """

    key: tuple[str, str]
    url: URL
    kind: str | None
    name: str | None = None
    configured: bool = False
    sure: bool = False
    kept: bool = False
    hints: tuple[str, ...] = ()
    type: str | None = None
    api_key_file: Path | None = None
    pid: int | None = None
    command: str | None = None
    pod_uid: str | None = None
    container_id: str | None = None
    pod: Pod | None = None


def find_targets(
    endpoints: Sequence[EngineEndpoint],
    *,
    pods: Sequence[Pod] = (),
    listeners: Sequence[Listener] = (),
    ports: Sequence[tuple[str, int]] = (),
    databases: bool = False,
) -> tuple[Target, ...]:
    """Give what there is to ask, each service once; what is configured comes first.

    Only this node is looked at unasked: loopback, its pods' addresses, those of its listeners.

    Parameters
    ----------
    endpoints : sequence of EngineEndpoint
        What is configured.
    pods, listeners : sequences
        What is known of the node.
    ports : sequence of (str, int)
        Families and the loopback ports at which they are looked for.
    databases : bool
        Also take processes that are known databases.
    """
    places = _Places(pods)
    found = [_configured(e) for e in endpoints]
    found += (t for pod in pods if (t := _annotated(pod)) is not None)
    listening = [t for t in (_listening(x, listeners, databases=databases) for x in listeners) if t]
    # Those whose command says what they are come before those that have to be asked.
    found += sorted(listening, key=lambda t: t.kind is None)
    found += _by_default(ports)
    known: dict[tuple[str, int], int] = {}
    targets: list[Target] = []
    for target in found:
        where = places.of(target)
        same = next((known[place] for place in where if place in known), None)
        if same is None:
            known.update(dict.fromkeys(where, len(targets)))
            targets.append(places.named(target))
        elif not (target.configured and targets[same].configured):
            targets[same] = _merged(targets[same], target, places)
            known.update(dict.fromkeys(where, same))
        else:  # two ways to ask the same port, both wanted
            targets.append(target)
    return tuple(targets)


class _Places:
    """Tells whether two addresses are the same place."""

    def __init__(self, pods: Sequence[Pod]) -> None:
        self._pods = {pod.uid: pod for pod in pods}
        counts = Counter(pod.ip for pod in pods if pod.ip)
        # An address of several pods is the host's own.
        self._host = {ip for ip, count in counts.items() if count > 1}
        self._by_ip = {pod.ip: pod for pod in pods if pod.ip and pod.ip not in self._host}

    def of(self, target: Target) -> set[tuple[str, int]]:
        host, port = target.url.host or "", target.url.port or 0
        local = _is_local(host) or host in self._host
        where = {("local" if local else host, port)}
        if target.pod_uid is not None:
            where.add((target.pod_uid, port))
        elif host in self._by_ip:
            where.add((self._by_ip[host].uid, port))
        return where

    def named(self, target: Target) -> Target:
        pod = self._pods.get(target.pod_uid or "") or self._by_ip.get(target.url.host or "")
        return target if pod is None else replace(target, pod=pod, pod_uid=pod.uid)


def _merged(first: Target, second: Target, places: _Places) -> Target:
    """Give the first, with what the second knows of the process behind it."""
    merged = replace(
        with_process_of(first, second),
        kind=first.kind or second.kind,
        sure=first.sure or (second.sure and first.kind in {None, second.kind}),
        hints=first.hints + second.hints,
        command=first.command or second.command,
    )
    return places.named(merged)


def with_process_of(target: Target, other: Target) -> Target:
    """Give a target with what another one knows of the process behind it."""
    return replace(
        target,
        pid=target.pid or other.pid,
        pod_uid=target.pod_uid or other.pod_uid,
        container_id=target.container_id or other.container_id,
        pod=target.pod or other.pod,
    )


def kind_of(command: str | None) -> str | None:
    """Give the family that a command line starts; None if it is none, or a part of one."""
    if command is None:
        return None
    return next((kind for kind, pattern in _COMMANDS if pattern.search(command)), None)


def _configured(endpoint: EngineEndpoint) -> Target:
    url = URL(endpoint.url)
    if url.port is None and endpoint.engine in DATABASE_PORTS:
        url = url.with_port(DATABASE_PORTS[endpoint.engine])
    return Target(
        key=(endpoint.name, endpoint.url),
        url=url,
        kind=endpoint.engine,
        name=endpoint.name,
        configured=True,
        sure=True,
        kept=True,
        type=endpoint.type,
        api_key_file=endpoint.api_key_file,
    )


def _annotated(pod: Pod) -> Target | None:
    said = {
        key.removeprefix(ANNOTATION): value
        for key, value in (*pod.labels, *pod.annotations)
        if key.startswith(ANNOTATION)
    }
    kind, port = said.get("engine"), said.get("port", "")
    if kind is None or kind not in _KINDS or pod.ip is None or not _is_askable(pod.ip):
        return None
    number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else _PORTS.get(kind, 0)
    if not 0 < number < 65536:  # noqa: PLR2004
        return None
    url = _url(pod.ip, number, kind)
    name = clean(said.get("name", ""), 64) or None
    return Target(("", str(url)), url, kind, name=name, kept=True, pod_uid=pod.uid, pod=pod)


def _listening(listener: Listener, others: Iterable[Listener], *, databases: bool) -> Target | None:
    kind = kind_of(listener.command)
    if kind is None and not (_unnamed(listener) and listener.port in _HTTP_PORTS):
        return None
    if kind in DATABASE_PORTS and not databases:
        return None
    if not _is_askable(listener.address) or (kind and not _own_port(kind, listener, others)):
        return None
    url = _url(listener.address, listener.port, kind)
    return Target(
        ("", str(url)),
        url,
        kind,
        sure=kind is not None,
        hints=tuple(k for k, port in DEFAULT_PORTS if port == listener.port),
        pid=listener.pid,
        command=listener.command,
        pod_uid=listener.pod_uid,
        container_id=listener.container_id,
    )


_HTTP_PORTS: Final = frozenset(KNOWN_PORTS) - frozenset(DATABASE_PORTS.values())


def _unnamed(listener: Listener) -> bool:
    """Whether nothing speaks against asking: a part of an engine is not to be disturbed."""
    command = listener.command
    return command is None or not any(pattern.search(command) for _, pattern in _COMMANDS)


def _own_port(kind: str, listener: Listener, others: Iterable[Listener]) -> bool:
    """Whether this is the port at which the process is asked.

    An engine of several processes listens on ports for its own use too, and a stranger's request
    on one of those may be the end of it.
    """
    option = _PORT_OPTION.search(listener.command or "")
    if option is not None:
        return int(option[1]) == listener.port
    if listener.port == _PORTS.get(kind):
        return True
    return all(o.pid != listener.pid or o.port == listener.port for o in others)


def _by_default(ports: Sequence[tuple[str, int]]) -> list[Target]:
    hints: dict[int, tuple[str, ...]] = {}
    for kind, port in ports:
        hints[port] = (*hints.get(port, ()), kind)
    found: list[Target] = []
    for port, kinds in hints.items():
        url = _url("127.0.0.1", port, None)
        found.append(Target(("", str(url)), url, None, hints=kinds))
    return found


def _url(host: str, port: int, kind: str | None) -> URL:
    scheme = "tcp" if kind in {"postgres", "redis", "tcp"} else "http"
    return URL.build(scheme=scheme, host=host, port=port)


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _is_askable(host: str) -> bool:
    """Whether an address can be one of this node: a cloud's metadata address, for one, is not."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)
