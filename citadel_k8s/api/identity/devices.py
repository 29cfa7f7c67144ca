"""Device tokens at the door: looked up by hash, remembered for a moment, noted as used."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol
from uuid import UUID

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.refusal import unauthorized
from citadel_k8s.api.identity.bearer import Bearer
from citadel_k8s.api.identity.remembered import Remembered
from citadel_k8s.errors import DatabaseError
from citadel_k8s.models.identity import Principal
from citadel_k8s.stores.postgres.tokens import TokenRow
from citadel_k8s.telemetry.log import RepeatLog, get_logger

KNOWN_SECONDS: Final = 30.0
"""How long a token that was found is believed, in seconds: the longest that a revocation takes
where no Redis tells of it."""

UNKNOWN_SECONDS: Final = 5.0
"""How long one that was not found is refused without a look: a node with a bad token asks on."""

LAST_SECONDS: Final = 600.0
"""How long one that was found is believed while PostgreSQL is away and Redis tells of revocations:
nodes go on reporting through a failover of the database."""

LOOK_SECONDS: Final = 0.5
"""Seconds that PostgreSQL has to say that a token which was found lately still works. With the
second in which a stopped statement is given up, a heartbeat is answered within two."""

FIRST_LOOK_SECONDS: Final = 2.5
"""Seconds that it has for a token never seen: less than a write's route may take, so that its node
is told what is away."""

AGAIN_SECONDS: Final = 2.0
"""Seconds between two such questions while none is answered: all tokens seen lately go unasked
meanwhile, and a hung database is not buried in connections."""

KNOWN_MOST: Final = 50_000
"""Tokens that are remembered: a large fleet's, at 600 bytes each."""

UNKNOWN_MOST: Final = 10_000
"""Bad tokens that are remembered; apart, so that guesses do not push out the good ones."""

TOUCH_SECONDS: Final = 30.0
"""Seconds between two notes of which tokens were used."""

TOUCH_MOST: Final = 5_000
"""Tokens noted in one statement."""

REFUSED: Final = "the device token is not known, or was revoked, or has expired"
"""What is said of each bad token: who guesses learns nothing."""


class Tokens(Protocol):
    """Where device tokens are kept; see `stores.postgres.tokens.DeviceTokens`."""

    async def find(self, token_hash: bytes) -> TokenRow | None:
        """Give the token with a hash, if it works."""
        ...

    async def touch(self, token_ids: Collection[UUID]) -> None:
        """Note that tokens are used."""
        ...


class Devices:
    """Knows whose a device token is.

    Parameters
    ----------
    tokens : Tokens
        Where they are kept.
    clock : Clock
        Ages of what is remembered, and ends of tokens.
    told : callable
        Says whether revocations are told here at once.
    """

    def __init__(
        self, tokens: Tokens, clock: Clock, *, told: Callable[[], bool] = lambda: False
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._told = told
        self._known = Remembered[bytes, TokenRow](clock, seconds=KNOWN_SECONDS, most=KNOWN_MOST)
        self._unknown = Remembered[bytes, bool](clock, seconds=UNKNOWN_SECONDS, most=UNKNOWN_MOST)
        self._round = 0
        self._again_at: float | None = None
        self._used: set[UUID] = set()
        self._trouble = RepeatLog(get_logger("api"), "token_use_not_noted", clock=clock)

    async def find(self, credential: Bearer) -> Principal:
        """Give whose a token is.

        Raises
        ------
        RefusalError
            401, if it does not work.
        DatabaseError
            If PostgreSQL is away or hangs, and the token was not found lately.
        """
        row = self._known.get(credential.digest)
        if row is None:
            if self._unknown.get(credential.digest):
                raise unauthorized(REFUSED)
            row = await self._look(credential.digest)
        if row is None or (row.expires_at and row.expires_at.timestamp() <= self._clock.now()):
            raise unauthorized(REFUSED)
        self._used.add(row.token_id)
        return Principal(
            kind="device",
            org_id=row.org_id,
            subject=f"token:{row.token_id}",
            scopes=row.scopes,
            node_id=row.node_id,
        )

    def forget(self) -> None:
        """Look again for all tokens."""
        self._round += 1
        self._known.clear()
        self._unknown.clear()

    async def run(self) -> None:
        """Note now and then which tokens were used, for ever."""
        while True:
            await asyncio.sleep(TOUCH_SECONDS)
            await self.note()

    async def note(self) -> None:
        """Note which tokens were used since the last note; never raises for the database."""
        used = list(self._used)
        self._used.clear()
        try:
            for start in range(0, len(used), TOUCH_MOST):
                await self._tokens.touch(used[start : start + TOUCH_MOST])
        except DatabaseError as error:
            self._trouble.failed(error=str(error))
        else:
            self._trouble.recovered()

    async def _look(self, digest: bytes) -> TokenRow | None:
        last = self._known.get(digest, seconds=LAST_SECONDS) if self._told() else None
        if last is not None and not self._may_ask():
            return last
        began = self._round
        try:
            row = await self._asked(digest, FIRST_LOOK_SECONDS if last is None else LOOK_SECONDS)
        except DatabaseError:
            self._again_at = self._clock.monotonic() + AGAIN_SECONDS
            # What was revoked while it was asked for is no longer believed.
            if last is None or began != self._round:
                raise
            return last
        self._again_at = None
        # What was read before something was revoked must not be kept after it.
        if began == self._round:
            if row is None:
                self._known.forget(digest)
                self._unknown.keep(digest, value=True)
            else:
                self._known.keep(digest, row)
        return row

    def _may_ask(self) -> bool:
        """Say whether it is time to ask; while PostgreSQL is away that is one in a while."""
        now = self._clock.monotonic()
        if self._again_at is None:
            return True
        if now < self._again_at:
            return False
        self._again_at = now + AGAIN_SECONDS
        return True

    async def _asked(self, digest: bytes, seconds: float) -> TokenRow | None:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._tokens.find(digest)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DatabaseError(f"PostgreSQL named no token within {seconds:g} s") from error
