"""Where Redis is: one server, one that sentinels name, or a cluster of them."""

from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from citadel_k8s.errors import ConfigError

SCHEMES: Final = (
    "redis://",
    "rediss://",
    "unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
)
"""How an address of Redis may begin."""

SENTINEL_PORT: Final = 26379
"""Port of a sentinel that none is named for. Source: its documentation."""

SERVER_PORT: Final = 6379
"""Port of a server that none is named for. Source: its documentation."""


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """What an address of several hosts says.

    ``redis+sentinel://user:password@host:26379,host/SERVICE/DB`` and
    ``redis+cluster://user:password@host:6379,host``; with ``rediss+`` by TLS. Sentinels that ask
    for a password of their own get ``?sentinel_username=`` and ``?sentinel_password=``.
    """

    kind: Literal["sentinel", "cluster"]
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    service: str = ""
    database: int = 0
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """The hosts, for errors."""
        return ",".join(f"{host}:{port}" for host, port in self.hosts)


def several(url: str) -> RedisPlace | None:
    """Read an address of sentinels or of a cluster; None if it is that of one server.

    Raises
    ------
    ConfigError
        If it cannot be understood; it is not quoted, for it may hold a password.
    """
    scheme, _, rest = url.partition("://")
    base, _, kind = scheme.partition("+")
    if kind not in {"sentinel", "cluster"} or base not in {"redis", "rediss"}:
        return None
    parts = urlsplit(f"//{rest}")
    user, _, places = parts.netloc.rpartition("@")
    name, _, secret = user.partition(":")
    port = SENTINEL_PORT if kind == "sentinel" else SERVER_PORT
    hosts = tuple(_host(place, port) for place in places.split(",") if place)
    if not hosts:
        raise ConfigError("the Redis URL names no host")
    service, database = _service(parts.path, sentinel=kind == "sentinel")
    asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    if unknown := asked.keys() - {"sentinel_username", "sentinel_password"}:
        raise ConfigError(f"the Redis URL has an unknown option: {min(unknown)[:40]}")
    return RedisPlace(
        kind="sentinel" if kind == "sentinel" else "cluster",
        tls=base == "rediss",
        hosts=hosts,
        username=unquote(name) or None,
        password=unquote(secret) or None,
        service=service,
        database=database,
        sentinel_username=asked.get("sentinel_username"),
        sentinel_password=asked.get("sentinel_password"),
    )


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        found = parts.hostname, parts.port or port
    except ValueError as error:
        raise ConfigError("a host of the Redis URL has no usable port") from error
    if not found[0]:
        raise ConfigError("the Redis URL has a host without a name")
    return found[0], found[1]


def _service(path: str, *, sentinel: bool) -> tuple[str, int]:
    words = [word for word in path.split("/") if word]
    if not sentinel:
        if words not in ([], ["0"]):
            raise ConfigError("a Redis cluster has one database: leave the URL's path out")
        return "", 0
    if not words or len(words) > len(("service", "database")):
        raise ConfigError("a URL of sentinels ends in /SERVICE or /SERVICE/DATABASE")
    database = words[1] if len(words) > 1 else "0"
    if not database.isdigit():
        raise ConfigError("the database in the Redis URL is no number")
    return unquote(words[0]), int(database)
