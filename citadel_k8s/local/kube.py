"""A real Kubernetes API server with its etcd, on loopback ports, with RBAC and own certificates."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from citadel_k8s.errors import KubeError, StackError
from citadel_k8s.local import certs
from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.ports import LOOPBACK, Port

START_TIMEOUT: Final = 90.0
"""Seconds until each is ready. Both together take 2.7 to 4.8 s on a busy machine of 2 cores, of
which etcd takes 0.2 s; a machine that is also compiling must not fail a start."""

POLL: Final = 0.05
"""Seconds between looks while they start."""

REQUEST_TIMEOUT: Final = 10.0
"""Seconds for one request to the API server."""

STOP_TIMEOUT: Final = 5.0
"""Seconds between SIGTERM and SIGKILL."""

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
"""Issuer of service account tokens. Source: what kubeadm sets."""

ELECTION: Final = ("--heartbeat-interval=20", "--election-timeout=100")
"""Milliseconds; a single member elects itself after 0.2 s instead of 0.6 to 0.9 s, for 1 % of one
core while idle (1.5 % instead of 0.5 %)."""

TOKEN_SECONDS: Final = 3600
"""Lifetime that is asked for a token, in seconds."""


@dataclass(frozen=True)
class _Ports:
    apiserver: Port
    etcd: Port
    peers: Port
    metrics: Port

    def release(self) -> None:
        for port in (self.apiserver, self.etcd, self.peers, self.metrics):
            port.release()


class Kube:
    """One API server and its etcd; ports, data and certificates stay the same over restarts.

    Parameters
    ----------
    folder : Path
        Its own folder; `etcd` and `kube` are made in it.
    binaries : Binaries
        The programs.
    etcd_compaction_interval : float, optional
        Seconds between compactions of etcd's history; the API server's own 300 if left out.
    apiserver_flags : sequence of str
        Further flags of the API server, at the end of its command line.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        *,
        etcd_compaction_interval: float | None = None,
        apiserver_flags: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.binaries = binaries
        self._compaction = etcd_compaction_interval
        self._flags = tuple(apiserver_flags)
        self._ports = _Ports(Port(), Port(), Port(), Port())
        self._pki: certs.Pki | None = None
        self._etcd: Charge | None = None
        self._apiserver: Charge | None = None

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{LOOPBACK}:{self._ports.apiserver.number}"

    @property
    def etcd_url(self) -> str:
        """URL of etcd; it answers only who has its certificate."""
        return f"https://{LOOPBACK}:{self._ports.etcd.number}"

    @property
    def etcd_metrics_url(self) -> str:
        """URL of etcd's metrics, plain HTTP."""
        return f"http://{LOOPBACK}:{self._ports.metrics.number}/metrics"

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig with all rights (group ``system:masters``)."""
        return self.folder / "kube" / "admin.conf"

    @property
    def ca(self) -> Path:
        """Certificate authority of the API server, PEM."""
        return self._keys().ca

    @property
    def pids(self) -> tuple[int, int]:
        """Process ids of etcd and the API server; 0 for one that does not run."""
        return (
            self._etcd.pid if self._etcd else 0,
            self._apiserver.pid if self._apiserver else 0,
        )

    async def start(self) -> Self:
        """Start etcd and the API server and wait until the latter is ready.

        Raises
        ------
        StackError
            One of them exited or was not ready within `START_TIMEOUT` seconds; with the end of its
            log.
        """
        if self._pki is None:
            self._pki = await asyncio.to_thread(certs.make, self.folder / "kube" / "pki")
            certs.write_admin_kubeconfig(self.kubeconfig, self.server, self._pki)
        etcd = await self._start_etcd(self._pki)
        await self._await(etcd, self._etcd_answers)
        apiserver = await self._start_apiserver(self._pki)
        await self._await(apiserver, self._ready)
        return self

    async def stop(self) -> None:
        """Stop both; the data stay for the next `start`."""
        for charge in (self._apiserver, self._etcd):
            if charge is not None:
                await charge.stop(STOP_TIMEOUT)
        self._apiserver = self._etcd = None

    async def restart(self) -> None:
        """Stop and start both with the same data, port and certificates."""
        await self.stop()
        await self.start()

    async def kill(self) -> None:
        """Kill both at once, as a power cut does."""
        for charge in (self._apiserver, self._etcd):
            if charge is not None:
                await charge.kill()
        self._apiserver = self._etcd = None

    async def pause(self) -> None:
        """Make the API server hang (SIGSTOP): connections stay, answers stop."""
        await self._running().pause()

    async def resume(self) -> None:
        """End a pause."""
        await self._running().resume()

    async def close(self) -> None:
        """Stop both and give their ports back."""
        await self.stop()
        self._ports.release()

    async def request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        token: str | None = None,
    ) -> dict[str, Any]:
        """Ask the API server as administrator, or as the bearer of `token`.

        Raises
        ------
        KubeError
            It refused; with its status and message. Status 0: no answer.
        """
        identity = None if token else self._keys().admin
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        status, answer = await self._ask(method, path, body, headers, identity)
        if status >= 400:  # noqa: PLR2004 - where HTTP's errors begin
            raise KubeError(status, f"{method} {path}: {answer.get('message', answer)}")
        return answer

    async def create_token(
        self,
        namespace: str,
        service_account: str,
        *,
        audiences: Sequence[str] = (),
        seconds: int = TOKEN_SECONDS,
    ) -> str:
        """Return a new token of a service account that exists (TokenRequest).

        Raises
        ------
        KubeError
            There is no such service account.
        """
        spec: dict[str, Any] = {"expirationSeconds": seconds}
        if audiences:
            spec["audiences"] = list(audiences)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        answer = await self.request("POST", path, {"spec": spec})
        token: str = answer["status"]["token"]
        return token

    async def write_kubeconfig(self, path: Path, namespace: str, service_account: str) -> Path:
        """Write a kubeconfig with a new token of a service account that exists; return `path`."""
        token = await self.create_token(namespace, service_account)
        return certs.write_token_kubeconfig(path, self.server, self.ca, service_account, token)

    async def _start_etcd(self, pki: certs.Pki) -> Charge:
        folder = self.folder / "etcd"
        peers = f"https://{LOOPBACK}:{self._ports.peers.number}"
        keys = (f"cert-file={pki.etcd.certificate}", f"key-file={pki.etcd.key}")
        trust = (f"trusted-ca-file={pki.ca}", "client-cert-auth=true")
        flags = [
            "--name=local",
            f"--data-dir={folder / 'data'}",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=local={peers}",
            f"--listen-metrics-urls={self.etcd_metrics_url.removesuffix('/metrics')}",
            *(f"--{flag}" for flag in (*keys, *trust)),
            *(f"--peer-{flag}" for flag in (*keys, *trust)),
            "--unsafe-no-fsync=true",
            "--log-level=warn",
            *ELECTION,
        ]
        self._etcd = await spawn(
            [self.binaries.etcd, *flags], folder / "etcd.log", cwd=folder, remove=folder
        )
        return self._etcd

    async def _start_apiserver(self, pki: certs.Pki) -> Charge:
        folder = self.folder / "kube"
        flags = [
            f"--etcd-servers={self.etcd_url}",
            f"--etcd-cafile={pki.ca}",
            f"--etcd-certfile={pki.etcd.certificate}",
            f"--etcd-keyfile={pki.etcd.key}",
            f"--bind-address={LOOPBACK}",
            f"--advertise-address={LOOPBACK}",
            f"--secure-port={self._ports.apiserver.number}",
            "--permit-address-sharing=true",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={pki.server.certificate}",
            f"--tls-private-key-file={pki.server.key}",
            f"--client-ca-file={pki.ca}",
            "--authorization-mode=Node,RBAC",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-signing-key-file={pki.service_account_key}",
            f"--service-account-key-file={pki.service_account_public_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--allow-privileged=true",
            "--shutdown-delay-duration=0s",
            "--profiling=false",
        ]
        if self._compaction is not None:
            flags.append(f"--etcd-compaction-interval={self._compaction:g}s")
        self._apiserver = await spawn(
            [self.binaries.kube_apiserver, *flags, *self._flags],
            folder / "kube-apiserver.log",
            cwd=folder,
            remove=folder,
        )
        return self._apiserver

    async def _await(self, charge: Charge, ready: Callable[[], Awaitable[bool]]) -> None:
        await charge.ready(ready, timeout=START_TIMEOUT, poll=POLL)

    async def _etcd_answers(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        url = self.etcd_metrics_url.replace("/metrics", "/health")
        try:
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
                return answer.status == 200  # noqa: PLR2004 - HTTP OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _ready(self) -> bool:
        try:
            status, _ = await self._ask("GET", "/readyz", None, {}, self._keys().admin)
        except KubeError:
            return False
        return status == 200  # noqa: PLR2004 - HTTP OK

    async def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        headers: dict[str, str],
        identity: certs.Identity | None,
    ) -> tuple[int, dict[str, Any]]:
        context = ssl.create_default_context(cafile=str(self.ca))
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(self.server, timeout=timeout, headers=headers) as http,
                http.request(method, path, json=body, ssl=context) as answer,
            ):
                if answer.content_type == "application/json":
                    return answer.status, await answer.json()
                return answer.status, {"message": await answer.text()}
        except (aiohttp.ClientError, TimeoutError) as error:
            raise KubeError(0, f"{method} {self.server}{path}: no answer ({error})") from error

    def _keys(self) -> certs.Pki:
        if self._pki is None:
            raise StackError("the API server was never started")
        return self._pki

    def _running(self) -> Charge:
        if self._apiserver is None:
            raise StackError("the API server does not run")
        return self._apiserver
