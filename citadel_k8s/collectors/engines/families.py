"""The families of engines: where each is asked what, and how an answer is read."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from citadel_k8s.collectors.engines import answers, tables
from citadel_k8s.collectors.engines.answers import Listing
from citadel_k8s.collectors.probe import Getter, ProbeError, tried


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is told: a path, perhaps at a port beside the engine's own."""

    path: str
    port_offset: int = 0


@dataclass(frozen=True, slots=True)
class Canned:
    """A request of one token or one embedding. ``model`` is where the name goes, if anywhere."""

    path: str
    document: Mapping[str, Any]
    model: str | None = "model"


@dataclass(frozen=True, slots=True)
class Family:
    """How one family is asked.

    ``listing`` gives what is served; ``health`` is a path that answers 200 to tell readiness,
    where there is one that costs nothing; ``series`` are its words for the load, told at one of
    ``metrics``; ``versions`` are paths of which one
    tells it, and ``version_of`` reads it; ``resident``: what is served is in
    memory; ``lists_load``: the list tells the load too; ``slots`` tells running requests where
    there are no metrics; ``server`` is what its ``Server`` header says; ``canary`` are the
    requests that ask for the least, the first that the engine knows.
    """

    kind: str
    listing: Callable[[Getter], Awaitable[Listing]]
    type: str = "llm"
    health: str | None = "health"
    series: tables.Series | None = None
    metrics: tuple[Place, ...] = (Place("metrics"),)
    versions: tuple[str, ...] = ()
    version_of: Callable[[Any], str | None] = answers.version_of
    resident: bool = True
    lists_load: bool = False
    slots: str | None = None
    server: str | None = None
    canary: tuple[Canned, ...] = ()


_TEXT: Final = Canned("v1/completions", {"prompt": "1", "max_tokens": 1, "temperature": 0})
_CHAT: Final = Canned(
    "v1/chat/completions", {"messages": [{"role": "user", "content": "1"}], "max_tokens": 1}
)


async def _openai(get: Getter) -> Listing:
    return await get.read("v1/models", answers.openai_models)


async def _ollama(get: Getter) -> Listing:
    """Ask what is pulled, which is what can be asked for, and what of it is in memory."""
    async with asyncio.TaskGroup() as group:
        tags = group.create_task(tried(lambda: get.read("api/tags", answers.ollama_models)))
        ps = group.create_task(tried(lambda: get.read("api/ps", answers.ollama_models)))
    pulled, loaded = tags.result(), ps.result()
    if isinstance(pulled, ProbeError):
        raise pulled
    if isinstance(loaded, ProbeError):
        return pulled
    return replace(pulled, loaded=loaded.models, leaves=loaded.leaves)


async def _info(get: Getter) -> Listing:
    return await get.read("info", answers.huggingface_info)


async def _triton(get: Getter) -> Listing:
    """Ask for the index of the repository, which is a POST and changes nothing."""
    try:
        listing = await get.read("v2/repository/index", answers.triton_index, post={})
    except ProbeError as error:
        if error.status in {400, 404, 405, 501}:
            raise ProbeError("NotTold", str(error), status=error.status) from error
        raise
    name, version = await get.read("v2", _triton_name)
    known = frozenset({"triton"} if name == "triton" else ())
    return replace(listing, version=version, proves=known)


def _triton_name(document: Any) -> tuple[str | None, str | None]:
    fields = answers.object_of(document)
    return answers.text_of(fields.get("name")), answers.text_of(fields.get("version"))


async def _infinity(get: Getter) -> Listing:
    try:
        return await get.read("models", answers.infinity_models)
    except ProbeError as error:
        if error.status != 404:  # noqa: PLR2004
            raise
        # With a prefix, as it was the default of the first versions.
        return await get.read("v1/models", answers.infinity_models)


_ALL: Final = (
    Family(
        "vllm",
        _openai,
        series=tables.VLLM,
        versions=("version",),
        canary=(_TEXT, _CHAT),
    ),
    Family(
        "sglang",
        _openai,
        # Its /health runs a request on the model; the list is answered by the same process.
        health=None,
        series=tables.SGLANG,
        # The second is the old name of the first.
        versions=("server_info", "get_server_info"),
        canary=(_TEXT, _CHAT),
    ),
    Family(
        "ollama",
        _ollama,
        health=None,
        versions=("api/version",),
        resident=False,
        canary=(
            Canned("api/generate", {"prompt": "1", "stream": False, "options": {"num_predict": 1}}),
            Canned("api/embed", {"input": "1"}),
        ),
    ),
    Family(
        "llamacpp",
        _openai,
        series=tables.LLAMACPP,
        versions=("props",),
        version_of=answers.build_of,
        slots="slots",
        server="llama.cpp",
        canary=(_TEXT,),
    ),
    Family("tgi", _info, series=tables.TGI, canary=(_CHAT,)),
    Family(
        "tei",
        _info,
        type="embedding",
        series=tables.TEI,
        canary=(Canned("embed", {"inputs": "1"}, model=None),),
    ),
    Family(
        "triton",
        _triton,
        type="other",
        health="v2/health/ready",
        series=tables.TRITON,
        # Its figures are two ports further by default, beside HTTP and gRPC.
        metrics=(Place("metrics", 2), Place("metrics")),
        resident=False,
    ),
    Family("lmdeploy", _openai, series=tables.LMDEPLOY, canary=(_TEXT, _CHAT)),
    Family(
        "infinity",
        _infinity,
        type="embedding",
        series=tables.INFINITY,
        lists_load=True,
        canary=(Canned("embeddings", {"input": "1"}), Canned("v1/embeddings", {"input": "1"})),
    ),
    # It loads a model at the first request for it, so nothing is asked of it unasked.
    Family("transformers", _openai, resident=False),
    Family(
        "openai",
        _openai,
        series=tables.NIM,
        metrics=(Place("metrics"), Place("v1/metrics")),
        resident=False,
        canary=(_TEXT, _CHAT),
    ),
)

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({f.kind: f for f in _ALL})
"""Everything that is asked over HTTP as an engine, by its kind in the settings."""
