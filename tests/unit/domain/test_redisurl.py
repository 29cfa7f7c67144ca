import pytest

from citadel_k8s.domain.redisurl import several
from citadel_k8s.errors import ConfigError


@pytest.mark.parametrize(
    "url", ["redis://host:6379/0", "rediss://host", "unix:///run/redis.sock", "redis://a,b"]
)
def test_an_address_of_one_server_is_left_to_the_library(url: str) -> None:
    assert several(url) is None


def test_sentinels_are_read_with_their_service_and_database() -> None:
    place = several("redis+sentinel://bob:p%40ss@one:26380,two,[::1]:7/mymaster/3")
    assert place is not None
    assert place.kind == "sentinel"
    assert not place.tls
    assert place.hosts == (("one", 26380), ("two", 26379), ("::1", 7))
    assert (place.username, place.password) == ("bob", "p@ss")
    assert (place.service, place.database) == ("mymaster", 3)
    assert place.where == "one:26380,two:26379,::1:7"


def test_sentinels_may_have_a_password_of_their_own() -> None:
    place = several("rediss+sentinel://h/m?sentinel_username=s&sentinel_password=t")
    assert place is not None
    assert place.tls
    assert (place.sentinel_username, place.sentinel_password) == ("s", "t")
    assert "'t'" not in repr(place)


def test_a_cluster_is_read_with_all_its_hosts() -> None:
    place = several("redis+cluster://:secret@one:7000,two:7001")
    assert place is not None
    assert place.kind == "cluster"
    assert place.hosts == (("one", 7000), ("two", 7001))
    assert (place.username, place.password) == (None, "secret")
    assert "secret" not in repr(place)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+sentinel://host", "SERVICE"),
        ("redis+sentinel://host/a/b/c", "SERVICE"),
        ("redis+sentinel://host/a/b", "no number"),
        ("redis+sentinel:///a", "no host"),
        ("redis+cluster://", "no host"),
        ("redis+cluster://h/1", "one database"),
        ("redis+cluster://h:x", "port"),
        ("redis+cluster://h:99999", "port"),
        ("redis+cluster://:7000", "without a name"),
        ("redis+sentinel://h/m?socket_timeout=1", "unknown option: socket_timeout"),
    ],
)
def test_a_bad_address_is_refused_without_its_password(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        several(url.replace("://", "://user:hunter2@"))
    assert "hunter2" not in str(caught.value)
