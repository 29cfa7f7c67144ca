"""Service accounts at the door: when a signature is enough, and when the API server is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.identity.bearer import Bearer
from citadel_k8s.api.identity.review import Reviewer
from citadel_k8s.api.identity.workloads import (
    CHECKED_SECONDS,
    REFUSED_SECONDS,
    REVIEWED_SECONDS,
    ROW_SECONDS,
    Workloads,
)
from citadel_k8s.errors import KubeError
from citadel_k8s.models.identity import DEVICE_SCOPES, Principal
from citadel_k8s.stores.postgres.clusters import Cluster
from tests.unit.api.identity.signing import (
    AUDIENCE,
    ISSUER,
    NOW,
    ec_jwk,
    ec_signed,
    jwks,
    pod_claims,
    rsa_jwk,
    signed,
)


def cluster(**changes: Any) -> Cluster:
    plain = {
        "cluster_id": "main",
        "org_id": "acme",
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks": jwks(rsa_jwk()),
        "service_accounts": ("citadel/agent",),
        "created_at": datetime.fromtimestamp(0, UTC),
    }
    return Cluster(**(plain | changes))


@dataclass
class FakeClusters:
    rows: dict[tuple[str, str], Cluster] = field(
        default_factory=lambda: {(ISSUER, AUDIENCE): cluster()}
    )
    looks: int = 0

    async def find(self, issuer: str, audience: str) -> Cluster | None:
        self.looks += 1
        return self.rows.get((issuer, audience))

    async def set_jwks(self, org_id: str, cluster_id: str, jwks: Mapping[str, Any]) -> bool:
        row = self.rows[ISSUER, AUDIENCE]
        assert (row.org_id, row.cluster_id) == (org_id, cluster_id)
        self.rows[ISSUER, AUDIENCE] = cluster(jwks=dict(jwks))
        return True


@dataclass
class FakeApiServer:
    name: str = ISSUER
    keys: dict[str, Any] = field(default_factory=lambda: jwks(rsa_jwk()))
    holds: bool = True
    away: int | None = None
    reviews: int = 0
    looks: int = 0
    subject: str = "system:serviceaccount:citadel:agent"
    audiences: Any = (AUDIENCE,)

    async def issuer(self, *, timeout: float | None = None) -> tuple[str, dict[str, Any]]:
        self.looks += 1
        if self.away is not None:
            raise KubeError(self.away, "GET: away")
        return self.name, self.keys

    async def review_token(
        self, token: str, audience: str, *, timeout: float | None = None
    ) -> dict[str, Any]:
        self.reviews += 1
        if self.away is not None:
            raise KubeError(self.away, "POST: away")
        listed = list(self.audiences) if isinstance(self.audiences, tuple) else self.audiences
        return {
            "authenticated": self.holds,
            "user": {"username": self.subject},
            "audiences": listed,
        }


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(_now=NOW + 1)


@pytest.fixture
def clusters() -> FakeClusters:
    return FakeClusters()


@pytest.fixture
def server() -> FakeApiServer:
    return FakeApiServer()


@pytest.fixture
def near(clusters: FakeClusters, server: FakeApiServer, clock: ManualClock) -> Workloads:
    """In the very cluster."""
    return Workloads(clusters, Reviewer(server, clock), clock)


@pytest.fixture
def far(clusters: FakeClusters, clock: ManualClock) -> Workloads:
    """In no cluster."""
    return Workloads(clusters, None, clock)


def shown(token: str | None = None, **claims: Any) -> Bearer:
    raw = token or signed(pod_claims(**claims))
    return Bearer("jwt", raw, raw.encode())


async def refused(workloads: Workloads, credential: Bearer, status: int = 401) -> str:
    with pytest.raises(RefusalError) as raised:
        await workloads.find(credential)
    assert raised.value.status == status
    assert credential.token not in raised.value.description
    return raised.value.description


async def test_a_signature_is_enough_for_another_cluster(far: Workloads):
    assert await far.find(shown()) == Principal(
        "workload", "acme", "workload:main/citadel/agent", DEVICE_SCOPES, None, "gpu-1"
    )


async def test_the_own_api_server_is_asked_first_and_then_every_few_minutes(
    near: Workloads, server: FakeApiServer, clock: ManualClock
):
    credential = shown()
    for _ in range(3):
        await near.find(credential)
    assert server.reviews == 1
    clock.advance(CHECKED_SECONDS)
    await near.find(credential)
    assert server.reviews == 2
    await near.find(shown(jti="another"))
    assert server.reviews == 3


async def test_a_token_that_the_api_server_does_not_know_is_refused(
    near: Workloads, server: FakeApiServer
):
    server.holds = False
    assert "vouches" in await refused(near, shown())


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "system:serviceaccount:citadel:other"},
        {"audiences": ()},
        {"audiences": None},
        {"audiences": ("vault",)},
    ],
)
async def test_a_review_of_somebody_or_something_else_is_none(
    near: Workloads, server: FakeApiServer, changes: dict[str, Any]
):
    for name, value in changes.items():
        setattr(server, name, value)
    await refused(near, shown())


async def test_an_api_server_that_is_away_is_told_for_new_tokens_and_forgiven_for_known_ones(
    near: Workloads, server: FakeApiServer, clock: ManualClock
):
    credential = shown(exp=NOW + 10 * 3600)
    await near.find(credential)
    server.away = 0
    clock.advance(CHECKED_SECONDS)
    assert await near.find(credential)
    assert "try again" in await refused(near, shown(jti="new"), 503)
    clock.advance(REVIEWED_SECONDS)
    await refused(near, credential, 503)
    server.away = None
    assert await near.find(credential)


async def test_an_api_server_that_was_never_there_lets_nobody_in(
    near: Workloads, server: FakeApiServer
):
    server.away = 0
    await refused(near, shown(), 503)
    assert server.reviews == 0
    server.away = None
    assert await near.find(shown())


async def test_one_that_forbids_the_question_leaves_signatures(
    near: Workloads, server: FakeApiServer
):
    server.away = 403
    assert await near.find(shown())
    assert await near.find(shown(jti="2"))
    assert server.looks == 1


async def test_a_cluster_of_the_same_name_with_other_keys_is_another_cluster(
    clusters: FakeClusters, server: FakeApiServer, near: Workloads
):
    clusters.rows[ISSUER, AUDIENCE] = cluster(jwks=jwks(rsa_jwk("theirs")))
    # Its own tokens hold by their signature alone.
    assert await near.find(shown(signed(pod_claims(), key="theirs")))
    assert server.reviews == 0
    # Those of the cluster that this runs in are not its own.
    assert "does not list" in await refused(near, shown())


async def test_the_same_key_id_on_another_key_is_another_cluster(
    clusters: FakeClusters, server: FakeApiServer, near: Workloads
):
    clusters.rows[ISSUER, AUDIENCE] = cluster(jwks=jwks({**rsa_jwk("theirs"), "kid": "one"}))
    assert await near.find(shown(signed(pod_claims(), key="theirs", kid="one")))
    assert server.reviews == 0


async def test_new_keys_of_the_own_cluster_are_found_and_kept(
    clusters: FakeClusters, server: FakeApiServer, near: Workloads, clock: ManualClock
):
    await near.find(shown())
    clock.advance(60)
    server.keys = jwks(rsa_jwk("next"), rsa_jwk())
    assert await near.find(shown(signed(pod_claims(), key="next")))
    kept = clusters.rows[ISSUER, AUDIENCE].jwks["keys"]
    assert [key["kid"] for key in kept] == ["next", "one"]
    # Once the old key is gone, another process still knows that this is the same cluster.
    server.keys = jwks(rsa_jwk("next"))
    other = Workloads(clusters, Reviewer(server, clock), clock)
    reviews = server.reviews
    assert await other.find(shown(signed(pod_claims(), key="next")))
    assert server.reviews == reviews + 1


async def test_new_keys_of_a_registration_are_found_at_once_and_looked_for_once_a_minute(
    clusters: FakeClusters, far: Workloads, clock: ManualClock
):
    await far.find(shown())
    looks = clusters.looks
    for number in range(5):
        await refused(far, shown(signed(pod_claims(jti=str(number)), key="next")))
    assert clusters.looks == looks + 1
    clusters.rows[ISSUER, AUDIENCE] = cluster(jwks=jwks(rsa_jwk("next")))
    clock.advance(60)
    assert await far.find(shown(signed(pod_claims(jti="x"), key="next")))


async def test_a_bad_token_is_refused_for_a_while_without_a_look(
    clusters: FakeClusters, far: Workloads, clock: ManualClock
):
    credential = shown(aud="vault")
    await refused(far, credential)
    looks = clusters.looks
    await refused(far, credential)
    assert clusters.looks == looks
    clusters.rows[ISSUER, "vault"] = cluster(audience="vault")
    clock.advance(max(REFUSED_SECONDS, ROW_SECONDS))
    assert await far.find(credential)


@pytest.mark.parametrize("told", [True, False])
async def test_a_registration_that_is_gone_counts_at_once_or_within_half_a_minute(
    clusters: FakeClusters, far: Workloads, clock: ManualClock, *, told: bool
):
    credential = shown()
    await far.find(credential)
    clusters.rows.clear()
    if told:
        far.forget()
    else:
        clock.advance(ROW_SECONDS)
    assert "no longer registered" in await refused(far, credential)


async def test_a_service_account_that_is_struck_off_is_refused(
    clusters: FakeClusters, far: Workloads
):
    credential = shown()
    await far.find(credential)
    clusters.rows[ISSUER, AUDIENCE] = cluster(service_accounts=("citadel/other",))
    far.forget()
    await refused(far, credential)


async def test_a_remembered_token_ends_with_its_time(far: Workloads, clock: ManualClock):
    credential = shown(exp=NOW + 30)
    await far.find(credential)
    clock.advance(60)
    assert "expired" in await refused(far, credential)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None},
        {"iss": 7},
        {"aud": None},
        {"aud": {}},
        {"aud": 7},
        {"aud": [7, None]},
        {"aud": [str(n) for n in range(1000)]},
        {"iss": "https://nowhere.example"},
    ],
)
async def test_tokens_of_nobody_known_cost_a_few_looks_at_most(
    clusters: FakeClusters, far: Workloads, claims: dict[str, Any]
):
    await refused(far, shown(**claims))
    assert clusters.looks <= 8


async def test_keys_that_cannot_be_read_vouch_for_nobody(clusters: FakeClusters, far: Workloads):
    clusters.rows[ISSUER, AUDIENCE] = cluster(jwks={"keys": "none"})
    await refused(far, shown())


async def test_a_p256_key_vouches_too(clusters: FakeClusters, far: Workloads):
    clusters.rows[ISSUER, AUDIENCE] = cluster(jwks=jwks(ec_jwk()))
    assert await far.find(shown(ec_signed(pod_claims())))
