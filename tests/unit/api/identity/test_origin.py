"""Where a request comes from: site and address."""

import pytest
from aiohttp.test_utils import make_mocked_request

from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.identity.origin import CSRF_HEADER, Networks, SameSite, origin_of
from citadel_k8s.errors import ConfigError

OURS = "https://fabric.example"


def passes(method: str, public_url: str | None = OURS, **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = make_mocked_request(method, "/", headers={"Host": "fabric.example", **named})
    try:
        SameSite(public_url).check(request)
    except RefusalError as error:
        return error.status != 403
    return True


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_only_looks_may_come_from_anywhere(method: str):
    assert passes(method, Origin="https://evil.example")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_change_needs_our_header_or_our_origin(method: str):
    assert not passes(method)
    assert not passes(method, Origin="https://evil.example")
    assert not passes(method, Origin="https://fabric.example.evil.example")
    assert not passes(method, Origin="http://fabric.example")
    assert not passes(method, Origin="null")
    assert not passes(method, Referer=OURS)
    assert passes(method, Origin=OURS)
    assert passes(method, **{CSRF_HEADER: "1"})
    assert not passes(method, **{CSRF_HEADER: "true"})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_that_asks_to_become_a_socket_is_still_a_change(method: str):
    assert not passes(method, Upgrade="websocket", Connection="Upgrade")
    assert not passes(method, None, Upgrade="WebSocket")


def test_without_a_public_url_only_the_header_counts():
    assert not passes("POST", None, Origin="https://fabric.example")
    assert passes("POST", None, **{CSRF_HEADER: "1"})


def test_a_socket_is_not_opened_for_another_sites_page():
    socket = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert passes("GET", **socket)
    assert passes("GET", Origin=OURS, **socket)
    assert not passes("GET", Origin="https://evil.example", **socket)
    assert passes("GET", None, Origin="http://fabric.example", **socket)
    assert not passes("GET", None, Origin="http://evil.example", **socket)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://fabric.example/", "https://fabric.example"),
        ("https://Fabric.Example:443/x?y", "https://fabric.example"),
        ("http://fabric.example:80", "http://fabric.example"),
        ("http://fabric.example:8080", "http://fabric.example:8080"),
        ("https://[fd7a::1]:8443", "https://[fd7a::1]:8443"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str):
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["fabric.example", "ftp://x", "https://", "https://x:99999"])
def test_what_has_no_origin_is_no_public_url(url: str):
    with pytest.raises(ConfigError, match="publicUrl"):
        origin_of(url)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd7a::1", True),
        ("fd7b::1", False),
        ("fd7a::1%eth0", True),
        ("", False),
        (None, False),
        ("10.1.2.3, 11.1.1.1", False),
        ("localhost", False),
    ],
)
def test_addresses_are_in_a_network_or_not(address: str | None, inside: bool):  # noqa: FBT001
    assert Networks(["10.0.0.0/8", "fd7a::/16"]).have(address) is inside


@pytest.mark.parametrize("cidr", ["10.0.0.1/8", "x", "10.0.0.0/33", ""])
def test_what_is_no_network_is_told_at_the_start(cidr: str):
    with pytest.raises(ConfigError, match="fromCidrs"):
        Networks([cidr])
