"""Who asks: the one place where a request becomes a principal."""

from aiohttp import web

from citadel_k8s.api.frame.refusal import unauthorized
from citadel_k8s.api.identity.bearer import bearer
from citadel_k8s.api.identity.devices import Devices
from citadel_k8s.api.identity.origin import SameSite
from citadel_k8s.api.identity.people import SignedIn, TrustedProxy
from citadel_k8s.api.identity.workloads import Workloads
from citadel_k8s.models.identity import Principal


class Authenticator:
    """Finds a request's principal. Authorization goes before the cookie, that before the header.

    A bad Authorization is refused, and nothing else tried. A session that is over gives way to
    a proxy's word, and is refused without one. What a browser or a proxy adds by itself is
    believed for changes only if our own page asked.
    """

    def __init__(
        self,
        *,
        devices: Devices,
        workloads: Workloads,
        signed_in: SignedIn,
        proxy: TrustedProxy,
        same_site: SameSite,
    ) -> None:
        self._devices = devices
        self._workloads = workloads
        self._signed_in = signed_in
        self._proxy = proxy
        self._same_site = same_site

    async def __call__(self, request: web.Request) -> Principal | None:
        """Give who asks; None for nobody.

        Raises
        ------
        RefusalError
            401 for a credential that does not hold; 403 ``csrf`` for a change that another site
            may have made a browser ask for; 503 if an API server must be asked and is away.
        DatabaseError
            If PostgreSQL is away.
        """
        credential = bearer(request.headers)
        if credential is not None:
            kind = self._devices if credential.kind == "device" else self._workloads
            return await kind.find(credential)
        person = await self._signed_in.find(request) or await self._proxy.find(request)
        if person is not None:
            self._same_site.check(request)
        elif self._signed_in.claimed(request):
            raise unauthorized("the session is over; sign in again")
        return person
