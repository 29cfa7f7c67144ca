"""The way to an address through this machine's HTTP proxy, as its environment names one."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from citadel_k8s.domain.proxy import is_loopback


def way_out(address: str) -> str | None:
    """Give the HTTP proxy of this machine's environment for an address, if there is one."""
    url = urlsplit(address)
    if is_loopback(url.hostname or "") or proxy_bypass(url.netloc):
        return None
    return getproxies().get(url.scheme)
