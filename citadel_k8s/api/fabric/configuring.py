"""A node's configuration: what is asked of it, and what it says it has."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.fabric.lastword import LastWord, inner, mapping
from citadel_k8s.api.fabric.queries import ConfigView, Document
from citadel_k8s.api.fabric.rows import moment
from citadel_k8s.api.fabric.sending import OrgSender
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.frame.route import Call
from citadel_k8s.config.agent import check_engine
from citadel_k8s.domain.desiredconfig import Desired, desired_config, step_to
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import StreamError, WireError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.configsender import ConfigMessage
from citadel_k8s.stores.postgres.configs import Configs, Refused, StoredConfig

NEVER: Final = "none"
"""The version of a configuration that nobody ever asked for."""

ERROR_MAX: Final = 512
"""Characters of why a configuration does not fit."""


class Configuring:
    """Answers for ``/api/fabric/nodes/{node_id}/config``.

    Parameters
    ----------
    words : LastWord
        Finds nodes, and what they said last.
    configs : Configs
        Where configurations are kept.
    sender : OrgSender or None
        Tells nodes; None where there is no Redis.
    clock : Clock
        The wall clock, for the date of a message.
    """

    def __init__(
        self, words: LastWord, configs: Configs, sender: OrgSender | None, clock: Clock
    ) -> None:
        self._words = words
        self._configs = configs
        self._sender = sender
        self._clock = clock

    async def get(self, call: Call) -> web.StreamResponse:
        """Answer with the configuration; its ``ETag`` is what a change names in ``If-Match``."""
        org_id = call.who.org_id
        node = await self._words.node(org_id, call.part("node_id"))
        stored = await self._configs.read(org_id, node.row.node_id)
        said, _ = await self._words.status(org_id, node)
        view = _view(stored, mapping(inner(said).get("config")))
        return _answer(view, "private, no-cache")

    async def put(self, call: Call) -> web.StreamResponse:
        """Ask for another configuration in place of the one that there is."""
        org_id, asked = call.who.org_id, call.sent(Document).root
        node = await self._words.node(org_id, call.part("node_id"))
        node_id = node.row.node_id
        desired = _checked(asked, node_id)
        call.notes["target"] = node_id
        call.notes["detail"] = {"revision": desired.revision, "keys": sorted(asked)[:32]}
        said, _ = await self._words.status(org_id, node)
        reported = mapping(inner(said).get("config"))
        now = self._clock.now()
        # Not what was asked: what no agent can do may be a passcode, and is named alone.
        kept = dict(desired.values)
        stored = StoredConfig(desired.revision, kept, round(now * 1000), call.who.subject)

        async def tell(before: StoredConfig | None) -> None:
            told = (None if before is None else before.revision, _text(reported.get("revision")))
            await self._tell(org_id, node_id, desired, told, now)

        refused = await self._configs.replace(
            org_id, node_id, stored, allowed=_condition(call), effect=tell
        )
        if refused is not None:
            raise _conflict(refused)
        return _answer(_view(stored, reported, desired.unsupported), "no-store")

    async def _tell(
        self, org_id: str, node_id: str, desired: Desired, told: tuple[str | None, ...], now: float
    ) -> None:
        if self._sender is None:
            raise StreamError("there is no Redis to send it by")
        step = step_to(desired, *told)
        # To the microsecond: two changes within a second are two.
        sent_at = format_timestamp(now, fraction=True)
        message = ConfigMessage(node_id, step.values, desired.revision, sent_at, step.anew)
        await self._sender.send(org_id, message, now)


def _checked(asked: Mapping[str, Any], node_id: str) -> Desired:
    try:
        return desired_config(asked, node_id, check_engine)
    except WireError as error:
        raise RefusalError(422, "invalid_config", clip(str(error), ERROR_MAX)) from error


def _condition(call: Call) -> Callable[[str | None], bool]:
    """Give what ``If-Match`` and ``If-None-Match`` ask of the revision that there is."""
    match = _tags(call.request.headers.get("If-Match"))
    none = _tags(call.request.headers.get("If-None-Match"))

    def holds(revision: str | None) -> bool:
        tag = revision or NEVER
        if match is not None and tag not in match and not ("*" in match and revision is not None):
            return False
        return none is None or not (tag in none or ("*" in none and revision is not None))

    return holds


def _tags(header: str | None) -> frozenset[str] | None:
    if header is None:
        return None
    parts = (part.strip().removeprefix("W/").strip('"') for part in header.split(","))
    return frozenset(part for part in parts if part)


def _conflict(refused: Refused) -> RefusalError:
    return RefusalError(
        412,
        "conflict",
        f"the configuration is at {refused.revision or NEVER} by now; read it and decide anew",
    )


def _view(
    stored: StoredConfig | None, reported: Mapping[str, Any], unsupported: tuple[str, ...] = ()
) -> ConfigView:
    revision = None if stored is None else stored.revision
    has = _text(reported.get("revision"))
    cannot = list(unsupported) or _texts(reported.get("unsupported"))
    return ConfigView(
        revision=revision,
        config=None if stored is None else stored.config,
        changed_at=None if stored is None else moment(stored.changed_ms),
        changed_by=None if stored is None else stored.changed_by,
        applied=None if revision is None or has is None else has == revision,
        reported_revision=has,
        reported_error=_text(reported.get("error")),
        unsupported=cannot or None,
    )


def _answer(view: ConfigView, cache: str) -> web.Response:
    # Never a 304: what the node has is in the answer and not in its version.
    headers = {"ETag": f'"{view.revision or NEVER}"', "Cache-Control": cache}
    body = view.model_dump_json(exclude_none=True).encode()
    return web.Response(body=body, content_type="application/json", headers=headers)


def _text(value: Any) -> str | None:
    return clip(value) if isinstance(value, str) and value else None


def _texts(value: Any) -> list[str]:
    items: list[Any] = value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [clip(item) for item in items[:50] if isinstance(item, str)]
