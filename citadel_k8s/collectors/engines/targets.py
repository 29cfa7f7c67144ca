"""What there is to ask, from the settings, the pods, the listening ports and the usual ports."""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

from yarl import URL

from citadel_k8s.collectors.engines.checks import DATABASE_PORTS
from citadel_k8s.collectors.engines.commands import (
    DEFAULT_PORTS,
    USUAL_PORT,
    is_own_port,
    is_stranger,
    kind_of,
)
from citadel_k8s.collectors.lines import clean
from citadel_k8s.config.agent import EngineEndpoint, EngineKind
from citadel_k8s.models.readings import Listener, Pod

ANNOTATION: Final = "fabric.aceteam.ai/"
"""Start of the annotations and labels of a pod that names its engine: engine, port, name."""

_KINDS: Final[frozenset[str]] = frozenset(get_args(EngineKind))


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint to ask.

    ``kind`` is None where that is to be found out. ``sure``: a process' own command line says
    what it is, so that it need not prove it. ``kept``: somebody said that it belongs here, so
    that it is told also when it is down. ``key`` is the same from one collection to the next.
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

    @property
    def weight(self) -> tuple[bool, bool, bool]:
        """How plainly it was said that this is here."""
        return self.configured, self.kept, self.sure


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
    found += listening
    found += _by_default(ports)
    groups: list[tuple[int, Target, set[tuple[str, int]]]] = []
    for number, one in enumerate(found):
        order, target, where = number, one, places.of(one)
        for group in [g for g in groups if g[2] & where]:
            if group[1].configured and target.configured:
                continue  # two ways to ask the same port, both wanted
            groups.remove(group)
            order = min(order, group[0])
            target, where = _merged(group[1], target), where | group[2]
        groups.append((order, places.named(target), where))
    # What is configured comes first; of the finds those whose command says what they are.
    groups.sort(key=lambda g: (not g[1].configured, g[1].kind is None, g[0]))
    return tuple(target for _, target, _ in groups)


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


def _merged(one: Target, other: Target) -> Target:
    """Give the one that was said more plainly, with what the other knows of the process."""
    first, second = (one, other) if one.weight >= other.weight else (other, one)
    return replace(
        with_process_of(first, second),
        kind=first.kind or second.kind,
        sure=first.sure or (second.sure and first.kind in {None, second.kind}),
        hints=first.hints + second.hints,
        command=first.command or second.command,
    )


def with_process_of(target: Target, other: Target) -> Target:
    """Give a target with what another one knows of the process behind it."""
    return replace(
        target,
        pid=target.pid or other.pid,
        pod_uid=target.pod_uid or other.pod_uid,
        container_id=target.container_id or other.container_id,
        pod=target.pod or other.pod,
    )


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
    number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else USUAL_PORT.get(kind, 0)
    if not 0 < number < 65536:  # noqa: PLR2004
        return None
    url = _url(pod.ip, number, kind)
    name = clean(said.get("name", ""), 64) or None
    return Target(("", str(url)), url, kind, name=name, kept=True, pod_uid=pod.uid, pod=pod)


def _listening(listener: Listener, others: Iterable[Listener], *, databases: bool) -> Target | None:
    kind = kind_of(listener.command)
    if kind is None and not is_stranger(listener):
        return None
    if kind in DATABASE_PORTS and not databases:
        return None
    if not _is_askable(listener.address) or (kind and not is_own_port(kind, listener, others)):
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
