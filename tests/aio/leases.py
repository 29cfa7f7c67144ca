"""One Lease on an API server in memory, as each of several operators reaches it."""

import asyncio
import copy
import itertools
from typing import Any

from citadel_k8s.errors import KubeError


class LeaseServer:
    """Keeps one Lease, with versions that are compared as the real one does."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self._numbers = itertools.count(1)

    def edit(self, **spec: Any) -> None:
        """Change it by hand; None takes a key away."""
        assert self.lease is not None
        changed = {**(self.lease.get("spec") or {}), **spec}
        self.lease["spec"] = {k: v for k, v in changed.items() if v is not None}
        self._touch()

    def annotate(self) -> None:
        assert self.lease is not None
        self.lease["metadata"]["annotations"] = {"touched": str(next(self._numbers))}
        self._touch()

    def delete(self) -> None:
        self.lease = None

    def holder(self) -> str | None:
        return ((self.lease or {}).get("spec") or {}).get("holderIdentity")

    def get(self) -> dict[str, Any] | None:
        return copy.deepcopy(self.lease)

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.lease is not None:
            raise KubeError(409, "it is there already")
        metadata = {**body["metadata"], "uid": f"uid-{next(self._numbers)}"}
        self.lease = {**copy.deepcopy(body), "metadata": metadata}
        return self._touch()

    def replace(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.lease is None:
            raise KubeError(404, "it is not there")
        known = self.lease["metadata"]
        if body["metadata"].get("resourceVersion") != known["resourceVersion"]:
            raise KubeError(409, "it has been changed")
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["uid"] = known["uid"]
        return self._touch()

    def _touch(self) -> dict[str, Any]:
        assert self.lease is not None
        self.lease["metadata"]["resourceVersion"] = str(next(self._numbers))
        return copy.deepcopy(self.lease)


class Wire:
    """One operator's way to the server.

    ``down``: refused at once. ``cut``: neither arrives nor comes back. ``deaf``: arrives and is
    done, and no answer comes back. ``lag``: seconds before and after the server has it.
    """

    def __init__(self, server: LeaseServer) -> None:
        self.server = server
        self.down = False
        self._ways = {"cut": asyncio.Event(), "deaf": asyncio.Event()}
        self.cut = self.deaf = False
        self.lag = 0.01
        self.fault: KubeError | None = None
        self.asked: list[str] = []

    @property
    def cut(self) -> bool:
        return not self._ways["cut"].is_set()

    @cut.setter
    def cut(self, closed: bool) -> None:
        self._open("cut", closed=closed)

    @property
    def deaf(self) -> bool:
        return not self._ways["deaf"].is_set()

    @deaf.setter
    def deaf(self, closed: bool) -> None:
        self._open("deaf", closed=closed)

    def _open(self, way: str, *, closed: bool) -> None:
        if closed:
            self._ways[way].clear()
        else:
            self._ways[way].set()

    async def get_lease(self, namespace: str, name: str, *, timeout: float | None = None) -> Any:
        return await self._send("get", self.server.get)

    async def create_lease(self, body: dict[str, Any], *, timeout: float | None = None) -> Any:
        return await self._send("create", lambda: self.server.create(body))

    async def replace_lease(self, body: dict[str, Any], *, timeout: float | None = None) -> Any:
        return await self._send("replace", lambda: self.server.replace(body))

    async def _send(self, what: str, do: Any) -> Any:
        self.asked.append(what)
        if self.down:
            raise KubeError(0, "connection refused")
        if self.fault is not None:
            raise self.fault
        await asyncio.sleep(self.lag)
        await self._ways["cut"].wait()
        answer = do()
        await asyncio.sleep(self.lag)
        await self._ways["deaf"].wait()
        return answer
