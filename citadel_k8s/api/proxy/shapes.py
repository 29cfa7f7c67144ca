"""Bodies, queries and answers of the proxy's routes. Source of all names: the wire contract.

Unknown keys of a body are ignored: clients are older and newer than this server.
"""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.models.views import View

BLOCK_MS: Final = 1000
"""Milliseconds that a consume waits when it does not say: a client's own patience is then 5 s."""

BLOCK_MAX_MS: Final = 30_000
"""Longest that a consume waits, in milliseconds; who asks for more gets nothing sooner and asks
again. Proxies on the way cut what is silent for a minute."""

COUNT_MAX: Final = 1000
"""Most entries that a consume may ask for; it is given one whatever it says."""

VALUE_MAX: Final = 256 * 1024
"""Characters under one key: the status of a job has some hundred."""

TTL_MAX: Final = 30 * 86_400
"""Longest time to live, in seconds. Source: the contract's longest is a day; a month is room."""

NAME_MAX: Final = 512
"""Characters of a name that are looked at at all."""

Name = Annotated[str, Field(max_length=NAME_MAX)]
Count = Annotated[int, Field(ge=1, le=COUNT_MAX)]
BlockMs = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Body(BaseModel):
    """What a client sends: of the right types, nothing converted."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class AddBody(Body):
    """An entry for a stream. ``maxLen`` and ``approx`` are the server's to say."""

    stream: Name
    values: dict[str, str]
    maxLen: int | None = Field(default=None, ge=0)  # noqa: N815 - the contract's name
    approx: bool | None = None


class Added(View):
    """The entry's id."""

    success: bool
    message_id: str


class PublishBody(Body):
    """What is said on a channel: JSON text."""

    channel: Name
    message: str = Field(max_length=MAX_ENTRY_BYTES)


class Published(View):
    """That it was said; not that anybody heard it."""

    published: bool


class ConsumeBody(Body):
    """Who waits for what."""

    queue: Name
    group: Name
    consumer: Name
    count: Count | None = None
    blockMs: BlockMs | None = None  # noqa: N815 - the contract's name


class Message(View):
    """An entry of a queue."""

    id: str
    data: dict[str, str]


class Consumed(View):
    """At most one entry: a client looks at the first alone."""

    messages: list[Message] = Field(max_length=1)


class AcknowledgeBody(Body):
    """Which entry is done with."""

    queue: Name
    group: Name
    messageId: Name  # noqa: N815 - the contract's name


class Acknowledged(View):
    """Whether it was still pending."""

    acknowledged: bool


class KeyQuery(BaseModel):
    """Which key."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: Name


class KeyValue(View):
    """What lies under a key: ``ttl`` in seconds, -1 for ever, -2 if nothing does."""

    key: str
    value: str | None
    ttl: int


class PutBody(Body):
    """What is to lie under a key, and for how long (seconds)."""

    key: Name
    value: str = Field(max_length=VALUE_MAX)
    ttl: int | None = Field(default=None, ge=1, le=TTL_MAX)


class Put(View):
    """That it does."""

    success: bool


class Deleted(View):
    """Whether something lay there."""

    deleted: bool


class Pong(View):
    """That the credential is good and Redis answers."""

    status: str


class WorkerConfig(View):
    """What a node is to work at, and whose it is."""

    queue: str
    queue_names: list[str]
    consumer_group: str
    org_id: str

    model_config = ConfigDict(alias_generator=None)


class TerminalToken(View):
    """Who may open a terminal on a node."""

    hash: str
    user_id: str
    org_id: str
    expires_at: str

    model_config = ConfigDict(alias_generator=None)


class TerminalTokens(View):
    """Everybody who may."""

    tokens: list[TerminalToken]


class AuthorizedKeys(View):
    """Keys of those who may log in."""

    keys: list[str]
    authorized_keys: str
    count: int

    model_config = ConfigDict(alias_generator=None)


class Authkey(View):
    """A key for the mesh, and how long it is good for, in seconds."""

    authkey: str
    expires_in: int

    model_config = ConfigDict(alias_generator=None)
