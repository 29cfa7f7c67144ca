"""Small texts by key: the status of a job, the wish to cancel it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.proxy.gatekeeper import Gatekeeper
from citadel_k8s.api.proxy.names import key_of
from citadel_k8s.api.proxy.rations import Rations
from citadel_k8s.api.proxy.shapes import TTL_MAX, Deleted, KeyQuery, Put, PutBody
from citadel_k8s.stores.kv import KeyValues
from citadel_k8s.stores.relay import RedisRefusal

KEY_BYTES: Final = 200
"""Bytes that Redis takes for a key beside its value."""


class Texts:
    """Keeps texts for nodes.

    Parameters
    ----------
    values : KeyValues
        Where they lie.
    gatekeeper : Gatekeeper
        Says what a caller may name.
    rations : Rations
        Say how much an org may have lying.
    """

    def __init__(self, values: KeyValues, gatekeeper: Gatekeeper, rations: Rations) -> None:
        self._values, self._gatekeeper, self._rations = values, gatekeeper, rations

    async def get(self, call: Call) -> dict[str, Any]:
        """Give what lies under a key; ``value`` is null, not absent, if nothing does."""
        name = call.asked(KeyQuery).key
        async with _of_its_kind():
            kept = await self._values.get(key_of(name, self._gatekeeper.claims(call)))
        return {"key": name, "value": kept.value, "ttl": kept.ttl}

    async def put(self, call: Call) -> Put:
        """Lay a text under a key; without a time it lies for the longest."""
        body = call.sent(PutBody)
        key = key_of(body.key, self._gatekeeper.claims(call))
        # Nothing lies for ever: keys that nobody takes away would fill what all orgs share.
        seconds = body.ttl or TTL_MAX
        size = len(body.value.encode(errors="replace")) + KEY_BYTES
        self._rations.keep(call.who, size, seconds)
        await self._values.put(key, body.value, seconds)
        return Put(success=True)

    async def delete(self, call: Call) -> Deleted:
        """Take a text away."""
        name = call.asked(KeyQuery).key
        key = key_of(name, self._gatekeeper.claims(call))
        return Deleted(deleted=await self._values.delete(key))


@asynccontextmanager
async def _of_its_kind() -> AsyncGenerator[None]:
    try:
        yield
    except RedisRefusal as error:
        if error.code != "WRONGTYPE":
            raise
        raise RefusalError(409, "conflict", "what lies under this key is no text") from error
