"""What the demo's check asks of the server half: rows, a live answer, a change as it happens."""

import asyncio
import json
import re
from typing import Any, Final

import aiohttp

from citadel_k8s.errors import StackError
from citadel_k8s.local.controlplane import ControlPlane

ROWS_TIMEOUT: Final = 30.0
"""Seconds until the API must tell what the cluster's table tells; it takes one."""

EVENT_TIMEOUT: Final = 20.0
"""Seconds within which a change must come: twice the demo's interval."""

POLL: Final = 0.25
"""Seconds between two looks."""

_OK: Final = 200


class ControlCheck:
    """Looks at a running control plane as a person who has signed in.

    Every look raises `StackError` if what should be is not.

    Parameters
    ----------
    control : ControlPlane
        Running.
    """

    def __init__(self, control: ControlPlane) -> None:
        self._control = control
        self._client: aiohttp.ClientSession | None = None

    async def states(self, wanted: dict[str, str]) -> list[dict[str, Any]]:
        """Wait until the API's list has these states; give the list."""
        found: dict[str, str] = {}
        try:
            async with asyncio.timeout(ROWS_TIMEOUT):
                while True:
                    rows: list[dict[str, Any]] = await self._get("/api/fabric/nodes")
                    found = {row["id"]: row["state"] for row in rows}
                    if found == wanted:
                        return rows
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise StackError(f"the API tells {found} instead of {wanted}") from None

    async def stored(self, node_ids: set[str]) -> None:
        """See that each node has its row in PostgreSQL."""
        async with self._control.database.transaction() as connection:
            cursor = await connection.execute("SELECT node_id FROM fabric_node_status")
            found = {row["node_id"] for row in await cursor.fetchall()}
        if found != node_ids:
            raise StackError(f"rows of {sorted(found)} instead of {sorted(node_ids)}")

    async def live(self, node_id: str) -> float:
        """Ask a node itself, through the API; give the seconds that it took."""
        answer: dict[str, Any] = await self._get(f"/api/fabric/nodes/{node_id}/live")
        if answer.get("live") is not True:
            step, why = answer.get("step"), answer.get("message")
            raise StackError(f"{node_id} could not be asked: {step}: {why}")
        return float(answer["seconds"])

    async def page(self) -> int:
        """Fetch the page as a browser does, and the script that it names; give the bytes."""
        client = await self._session()
        async with client.get(f"{self._control.url}/") as answer:
            text, policy = await answer.text(), answer.headers["Content-Security-Policy"]
            if answer.status != _OK:
                raise StackError(f"the page: {answer.status} {text[:200]}")
        if "default-src 'none'" not in policy or "trusted-types 'none'" not in policy:
            raise StackError(f"the page may do more than it should: {policy}")
        script = re.search(r'<script type="module"[^>]* src="(/assets/[^"]+)"', text)
        if script is None:
            raise StackError(f"the page names no script: {text[:200]}")
        async with client.get(self._control.url + script[1]) as answer:
            body, kind = await answer.read(), answer.content_type
            kept = answer.headers.get("Cache-Control", "")
            if (answer.status, kind) != (_OK, "text/javascript") or "immutable" not in kept:
                raise StackError(f"{script[1]}: {answer.status}, {kind}, {kept}")
        return len(text) + len(body)

    async def change(self) -> str:
        """Wait for a change in the API's stream; give which node's it was."""
        client = await self._session()
        url = f"{self._control.url}/api/fabric/events"
        try:
            async with asyncio.timeout(EVENT_TIMEOUT), client.get(url) as answer:
                kind = ""
                async for line in answer.content:
                    word, _, text = line.decode().strip().partition(": ")
                    kind = text if word == "event" else kind
                    if word == "data" and kind == "node":
                        return str(json.loads(text)["id"])
        except TimeoutError:
            raise StackError(f"no change was told within {EVENT_TIMEOUT:g} s") from None
        raise StackError("the stream of changes ended")

    async def _get(self, path: str) -> Any:
        client = await self._session()
        async with client.get(self._control.url + path) as answer:
            text = await answer.text()
            if answer.status != _OK:
                raise StackError(f"{path}: {answer.status} {text[:200]}")
            return json.loads(text)

    async def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            cookie = await self._control.session()
            self._client = aiohttp.ClientSession(headers={"Cookie": cookie})
        return self._client

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()
