"""Bodies, queries and answers of who is who. Secrets are in those that make one, and once."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from citadel_k8s.models.base import NodeId
from citadel_k8s.models.identity import Role, Scope
from citadel_k8s.models.views import View

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
"""What people call something."""

Email = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[^\s@<>,;\"']+@[^\s@<>,;\"']+$")
]
"""An e-mail address, as far as it can be told without sending to it."""

_LAX = ConfigDict(strict=False)
"""A scope or a role comes as text."""


class Page(View):
    """Where a list goes on: behind the id that the former part gave as ``next``."""

    after: UUID | None = None


class TokenView(View):
    """A device token; the secret itself is nowhere."""

    token_id: str
    name: str
    scopes: list[str]
    node_id: str | None = None
    created_at: str | None
    created_by: str
    expires_at: str | None = None
    used_at: str | None = None
    revoked_at: str | None = None
    replaced_by: str | None = None


class TokenList(View):
    """An org's tokens, the oldest first."""

    tokens: list[TokenView]
    next: str | None = None


class NewToken(View):
    """What a token shall be. Without a ``nodeId`` it speaks for any node of the org."""

    model_config = _LAX

    name: Name
    node_id: NodeId | None = None
    scopes: Annotated[list[Scope], Field(max_length=16)] | None = None
    days: Annotated[float, Field(gt=0, le=3650)] | None = None


class Rotation(View):
    """How long the old token works on."""

    model_config = _LAX

    grace_hours: Annotated[float, Field(ge=0, le=24 * 30)] = 24


class TokenMade(TokenView):
    """A new token and its secret, shown this once."""

    token: str


class UserView(View):
    """A person."""

    user_id: str
    name: str
    email: str | None = None
    role: str
    signs_in_by: Literal["oidc", "link"]
    created_at: str | None
    disabled_at: str | None = None


class UserList(View):
    """An org's people, the longest known first."""

    users: list[UserView]
    next: str | None = None


class NewUser(View):
    """Who shall be let in."""

    model_config = _LAX

    name: Name
    email: Email | None = None
    role: Role = Role.VIEWER


class NewRole(View):
    """What somebody may do from now on."""

    model_config = _LAX

    role: Role


class LinkMade(View):
    """A link that signs one person in, once."""

    url: str
    expires_at: str | None


class OrgView(View):
    """The org that a credential belongs to."""

    org_id: str
    name: str
    daily_quota: int
    created_at: str | None


class ClusterView(View):
    """A cluster whose service accounts are believed."""

    cluster_id: str
    issuer: str
    audience: str
    service_accounts: list[str]
    keys: list[str]
    created_at: str | None


class ClusterList(View):
    """An org's clusters."""

    clusters: list[ClusterView]


class NewCluster(View):
    """A cluster to be believed; ``jwks`` is what its ``/openid/v1/jwks`` says."""

    cluster_id: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,64}$")]
    issuer: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    audience: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = None
    jwks: dict[str, Any]
    service_accounts: Annotated[
        list[Annotated[str, StringConstraints(max_length=320)]], Field(min_length=1, max_length=100)
    ]


class Person(View):
    """Who is signed in."""

    user_id: str
    name: str
    email: str | None = None


class SessionView(View):
    """Who asks, by the credential of this very request."""

    kind: str
    subject: str
    org_id: str
    org_name: str
    role: str | None = None
    scopes: list[str] | None = None
    node_id: str | None = None
    user: Person | None = None
    expires_at: str | None = None


class SignInMethods(View):
    """How a person can sign in here."""

    link: bool = True
    oidc: bool


class LinkBody(View):
    """The secret of a login link."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class OidcAnswer(View):
    """What a provider of identities sends a browser back with; all but three are its own affair."""

    model_config = ConfigDict(alias_generator=None)

    code: Annotated[str, StringConstraints(max_length=4096)] | None = None
    state: Annotated[str, StringConstraints(max_length=512)] | None = None
    error: Annotated[str, StringConstraints(max_length=512)] | None = None
    error_description: str | None = None
    error_uri: str | None = None
    iss: str | None = None
    session_state: str | None = None
    scope: str | None = None
    authuser: str | None = None
    hd: str | None = None
    prompt: str | None = None
    client_info: str | None = None
