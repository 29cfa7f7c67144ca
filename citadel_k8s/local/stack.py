"""The embedded stack: a real Valkey, Kubernetes API server and PostgreSQL, gone at its end."""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.errors import StackError
from citadel_k8s.local.binaries import Binaries, find
from citadel_k8s.local.cache import Report, quiet
from citadel_k8s.local.kube import Kube
from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.valkey import Valkey

CLOSE_TIMEOUT: Final = 30.0
"""Seconds that the orderly end of the whole stack may take; it takes about 1.2 s."""


class Stack:
    """Valkey, the Kubernetes API and PostgreSQL, each optional, gone without a trace at the end.

    Use it as an async context manager. Its methods may be called from any event loop.

    Parameters
    ----------
    valkey, kube, postgres : bool
        Which servers to start.
    report : callable
        Told in one line each what starts and how long it took.
    binaries : Binaries, optional
        The Kubernetes programs; found, downloaded or built if left out.
    password : str, optional
        Valkey's; random if left out, none if empty.
    users : mapping of str to str, optional
        Valkey users with their ACL rules.
    etcd_compaction_interval : float, optional
        Seconds between compactions of etcd's history; the API server's own 300 if left out.
    apiserver_flags : sequence of str
        Further flags of the API server.

    Raises
    ------
    StackError
        On entry: a server did not start; with the end of its log.
    """

    def __init__(
        self,
        *,
        valkey: bool = True,
        kube: bool = True,
        postgres: bool = False,
        report: Report = quiet,
        binaries: Binaries | None = None,
        password: str | None = None,
        users: Mapping[str, str] | None = None,
        etcd_compaction_interval: float | None = None,
        apiserver_flags: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._with = (valkey, kube, postgres)
        self._report = report
        self._binaries = binaries
        self._password = password
        self._users = users
        self._compaction = etcd_compaction_interval
        self._flags = tuple(apiserver_flags)
        self._clock = clock or SystemClock()
        self._folder: Path | None = None
        self._valkey: Valkey | None = None
        self._kube: Kube | None = None
        self._postgres: Postgres | None = None

    @property
    def folder(self) -> Path:
        """Folder of the running stack."""
        if self._folder is None:
            raise StackError("the stack does not run: enter it with 'async with Stack() as stack:'")
        return self._folder

    @property
    def valkey(self) -> Valkey:
        """The Valkey server."""
        if self._valkey is None:
            raise StackError("this stack runs without Valkey")
        return self._valkey

    @property
    def kube(self) -> Kube:
        """The API server with its etcd."""
        if self._kube is None:
            raise StackError("this stack runs without a Kubernetes API server")
        return self._kube

    @property
    def postgres(self) -> Postgres:
        """The PostgreSQL server."""
        if self._postgres is None:
            raise StackError("this stack runs without PostgreSQL")
        return self._postgres

    @property
    def redis_url(self) -> str:
        """URL of Valkey, with the password of the user who may do everything."""
        return self.valkey.url

    @property
    def database_url(self) -> str:
        """URL of a PostgreSQL database, with the password of the user who may do everything."""
        return self.postgres.url

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig with all rights."""
        return self.kube.kubeconfig

    @property
    def kubectl(self) -> Path:
        """A ``kubectl`` of the API server's version."""
        return self.kube.binaries.kubectl

    async def __aenter__(self) -> Self:
        valkey, kube, postgres = self._with
        if kube and self._binaries is None:
            self._binaries = await find(self._report)
        self._folder = Path(tempfile.mkdtemp(prefix="citadel-k8s-"))
        try:
            if valkey:
                await self._start_valkey(self._folder)
            if postgres:
                await self._start_postgres(self._folder)
            if kube and self._binaries:
                await self._start_kube(self._folder, self._binaries)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def _start_valkey(self, folder: Path) -> None:
        began = self._clock.monotonic()
        self._valkey = Valkey(folder / "valkey", password=self._password, users=self._users)
        await self._valkey.start()
        self._report(f"Valkey on port {self._valkey.port}, ready after {self._since(began)}")

    async def _start_postgres(self, folder: Path) -> None:
        began = self._clock.monotonic()
        self._postgres = Postgres(folder / "postgres")
        await self._postgres.start()
        self._report(f"PostgreSQL on port {self._postgres.port}, ready after {self._since(began)}")

    async def _start_kube(self, folder: Path, binaries: Binaries) -> None:
        began = self._clock.monotonic()
        self._kube = Kube(
            folder,
            binaries,
            etcd_compaction_interval=self._compaction,
            apiserver_flags=self._flags,
        )
        await self._kube.start()
        self._report(f"Kubernetes API at {self._kube.server}, ready after {self._since(began)}")

    async def _close(self) -> None:
        """End what runs and delete the folder, whatever fails on the way."""
        servers, folder = (self._valkey, self._kube, self._postgres), self._folder
        self._valkey = self._kube = self._postgres = self._folder = None
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT), asyncio.TaskGroup() as closing:
                for server in servers:
                    if server is not None:
                        closing.create_task(server.close(), name=f"close {type(server).__name__}")
        finally:
            if folder is not None:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _since(self, began: float) -> str:
        return f"{self._clock.monotonic() - began:.1f} s"
