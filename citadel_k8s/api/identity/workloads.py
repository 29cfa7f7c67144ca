"""Service accounts of registered clusters at the door: signature first, then their API server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.refusal import unauthorized, unavailable
from citadel_k8s.api.identity.bearer import Bearer
from citadel_k8s.api.identity.jwks import (
    JwtError,
    Keys,
    UnknownKeyError,
    keys_of,
    unverified,
    verified,
)
from citadel_k8s.api.identity.remembered import Remembered
from citadel_k8s.api.identity.review import Reviewer
from citadel_k8s.api.identity.workloadclaims import Workload, workload_of
from citadel_k8s.errors import KubeError
from citadel_k8s.models.identity import DEVICE_SCOPES, Principal
from citadel_k8s.stores.postgres.clusters import Cluster
from citadel_k8s.telemetry.log import RepeatLog, get_logger

CHECKED_SECONDS: Final = 300.0
"""How long a checked token is believed, in seconds; then signature and review are done again. A
deleted pod's token works for that long at most."""

ROW_SECONDS: Final = 30.0
"""How long a cluster's registration is believed: the longest that its removal takes."""

REFUSED_SECONDS: Final = 5.0
"""How long a bad token is refused without another look at it."""

REVIEWED_SECONDS: Final = 3600.0
"""How long a token that its API server vouched for is believed while that server is away: the
usual life of a projected token. A node must not be Offline because a control plane is upgraded."""

REFETCH_SECONDS: Final = 60.0
"""Seconds between two looks for new keys of one cluster, however many unknown ones are shown."""

TOKENS_MOST: Final = 20_000
"""Checked tokens that are remembered: four thousand nodes', each with several at renewal."""

ISSUERS_MOST: Final = 1_000
"""Registrations that are remembered, missing ones among them."""

AUDIENCES_MAX: Final = 8
"""Audiences of a token that are looked at."""

log = get_logger("api")


class Clusters(Protocol):
    """Where clusters are registered; see `stores.postgres.clusters.Clusters`."""

    async def find(self, issuer: str, audience: str) -> Cluster | None:
        """Give the cluster of an issuer and audience, if its org is not disabled."""
        ...

    async def set_jwks(self, org_id: str, cluster_id: str, jwks: Mapping[str, Any]) -> bool:
        """Put new keys in the place of all former ones."""
        ...


@dataclass(frozen=True, slots=True)
class _Checked:
    """A token that was found good."""

    issuer: str
    audience: str
    workload: Workload


class Workloads:
    """Knows whose a projected service-account token is.

    Parameters
    ----------
    clusters : Clusters
        Where clusters are registered.
    reviewer : Reviewer or None
        The API server of the cluster that this runs in; None outside of one.
    clock : Clock
        Ages of what is remembered, and moments in tokens.
    """

    def __init__(self, clusters: Clusters, reviewer: Reviewer | None, clock: Clock) -> None:
        self._clusters = clusters
        self._reviewer = reviewer
        self._clock = clock
        most = TOKENS_MOST
        self._checked = Remembered[bytes, _Checked](clock, seconds=CHECKED_SECONDS, most=most)
        self._refused = Remembered[bytes, str](clock, seconds=REFUSED_SECONDS, most=most)
        self._reviewed = Remembered[bytes, bool](clock, seconds=REVIEWED_SECONDS, most=most)
        self._rows = Remembered[tuple[str, str], list[Cluster]](
            clock, seconds=ROW_SECONDS, most=ISSUERS_MOST
        )
        self._refetched = Remembered[tuple[str, str], bool](
            clock, seconds=REFETCH_SECONDS, most=ISSUERS_MOST
        )
        self._round = 0
        self._away = RepeatLog(log, "token_review_unavailable", clock=clock)

    async def find(self, credential: Bearer) -> Principal:
        """Give whose a token is.

        Raises
        ------
        RefusalError
            401, if it does not hold; 503, if the API server must be asked and does not answer.
        """
        reason = self._refused.get(credential.digest)
        if reason is not None:
            raise unauthorized(f"the service account's token is refused: {reason}")
        try:
            return await self._principal(credential)
        except JwtError as error:
            self._checked.forget(credential.digest)
            self._refused.keep(credential.digest, str(error))
            raise unauthorized(f"the service account's token is refused: {error}") from None

    def forget(self) -> None:
        """Look again whose clusters are registered."""
        self._round += 1
        self._rows.clear()
        self._refused.clear()

    async def _principal(self, credential: Bearer) -> Principal:
        checked = self._checked.get(credential.digest)
        if checked is None or checked.workload.expires_at <= self._clock.now():
            checked = await self._check(credential)
            self._checked.keep(credential.digest, checked)
        workload = checked.workload
        row = await self._row(checked.issuer, checked.audience)
        # Asked each time: the registration may have changed since the token was checked.
        if row is None or workload.account not in row.service_accounts:
            raise JwtError("its cluster or its service account is no longer registered")
        return Principal(
            kind="workload",
            org_id=row.org_id,
            subject=f"workload:{row.cluster_id}/{workload.account}",
            scopes=DEVICE_SCOPES,
            node_id=workload.node_id,
        )

    async def _check(self, credential: Bearer) -> _Checked:
        _, claims = unverified(credential.token)
        row = await self._registered(claims)
        known, own = await self._keys(row)
        if own:
            known = {**known, **await self._own_keys(unknown=False)}
        claims = await self._verified(credential.token, row, known, own=own)
        workload = workload_of(claims, row.service_accounts)
        if own:
            await self._review(credential, row.audience, str(claims["sub"]))
        return _Checked(row.issuer, row.audience, workload)

    async def _verified(
        self, token: str, row: Cluster, known: Keys, *, own: bool
    ) -> dict[str, Any]:
        def check(keys: Keys) -> dict[str, Any]:
            return verified(
                token,
                keys,
                issuer=row.issuer,
                audience=row.audience,
                now=self._clock.now(),
            )

        try:
            return check(known)
        except UnknownKeyError:
            cluster = (row.org_id, row.cluster_id)
            if self._refetched.get(cluster):
                raise
            self._refetched.keep(cluster, value=True)
            self._rows.forget((row.issuer, row.audience))
            fresh = await self._row(row.issuer, row.audience)
            known = _parsed(fresh) if fresh is not None else {}
            if own:
                known = {**known, **await self._own_keys(unknown=True)}
            claims = check(known)
            if own and fresh is not None:
                await self._renew(fresh)
            return claims

    async def _renew(self, row: Cluster) -> None:
        # While both keys are listed: once the old one is gone, nothing would tell that this is
        # the same cluster.
        if self._reviewer is not None:
            await self._clusters.set_jwks(row.org_id, row.cluster_id, self._reviewer.document)
            self._rows.forget((row.issuer, row.audience))
            log.info("cluster_keys_renewed", cluster=row.cluster_id)

    async def _registered(self, claims: Any) -> Cluster:
        issuer, given = claims.get("iss"), claims.get("aud")
        audiences: list[Any] = [given] if isinstance(given, str) else given or []
        if not isinstance(issuer, str) or not isinstance(audiences, list):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise JwtError("it does not say who made it and for whom (iss, aud)")
        for audience in audiences[:AUDIENCES_MAX]:
            row = await self._row(issuer, audience) if isinstance(audience, str) else None
            if row is not None:
                return row
        raise JwtError("no cluster is registered with its issuer and audience")

    async def _row(self, issuer: str, audience: str) -> Cluster | None:
        kept = self._rows.get((issuer, audience))
        if kept is None:
            began = self._round
            row = await self._clusters.find(issuer, audience)
            kept = [] if row is None else [row]
            if began == self._round:
                self._rows.keep((issuer, audience), kept)
        return kept[0] if kept else None

    async def _keys(self, row: Cluster) -> tuple[Keys, bool]:
        """Give a cluster's registered keys, and whether it is the one that this runs in."""
        known = _parsed(row)
        if self._reviewer is None:
            return known, False
        try:
            return known, await self._reviewer.owns(row.issuer, known)
        except KubeError as error:
            raise self._unreachable(error) from error

    async def _own_keys(self, *, unknown: bool) -> Keys:
        if self._reviewer is None:
            return {}
        try:
            return await self._reviewer.keys(unknown=unknown)
        except KubeError as error:
            raise self._unreachable(error) from error

    async def _review(self, credential: Bearer, audience: str, subject: str) -> None:
        if self._reviewer is None:
            return
        try:
            holds = await self._reviewer.holds(credential.token, audience, subject)
        except KubeError as error:
            if self._reviewed.get(credential.digest):
                self._away.failed(error=str(error))
                return
            raise self._unreachable(error) from error
        self._away.recovered()
        if not holds:
            self._reviewed.forget(credential.digest)
            raise JwtError("its API server no longer vouches for it; its pod may be gone")
        self._reviewed.keep(credential.digest, value=True)

    def _unreachable(self, error: KubeError) -> Exception:
        self._away.failed(error=str(error))
        return unavailable("the API server cannot be asked about the token; try again")


def _parsed(row: Cluster) -> Keys:
    try:
        return keys_of(row.jwks)
    except JwtError:
        log.warning("cluster_keys_unusable", cluster=row.cluster_id)
        return {}
