import ipaddress

import pytest

from citadel_k8s.api.live.fence import Fence, is_name, literal
from citadel_k8s.config.server import Live
from citadel_k8s.errors import ConfigError

DEFAULT = Fence(Live().allowed_cidrs)
EVERYTHING = Fence(["0.0.0.0/0", "::/0"])


def admits(fence: Fence, text: str) -> bool:
    address = literal(text)
    return address is not None and fence.admits(address)


@pytest.mark.parametrize("text", ["100.64.0.1", "100.127.255.254", "fd7a:115c:a1e0::1"])
def test_the_mesh_is_allowed_unless_told_otherwise(text: str) -> None:
    assert admits(DEFAULT, text)


FORBIDDEN = [
    # loopback, unspecified, link-local, multicast, broadcast, reserved
    "127.0.0.1", "127.1.2.3", "127.255.255.255", "::1", "0.0.0.0", "0.1.2.3", "::",
    "169.254.0.1", "169.254.169.254", "169.254.170.2", "fe80::1", "febf::1", "fe80::1%eth0",
    "224.0.0.1", "239.255.255.250", "ff02::1", "ff05::1:3", "255.255.255.255", "240.0.0.1",
    # metadata
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254",
    # the mesh's own services on this host
    "100.100.100.100", "fd7a:115c:a1e0::53",
    # IPv4 in disguise
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:100.64.0.1",
    "::127.0.0.1", "::100.64.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1",
    "100::1", "fd7a:115c:a1e0::1%lo",
    # other spellings
    "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1",
    "0100.64.0.1", "100.64.1", "1681915905", "0x64.0x40.0.1", "100.064.0.1", "100.64.0.1.",
    " 100.64.0.1", "100.64.0.1 ", "100.64.0.1\n", "100.64.0.1/32", "100.64.0.1:80",
    "[fd7a:115c:a1e0::1]", "\uff11\uff10\uff10.64.0.1", "100。64。0。1", "", "localhost",
    "a@100.64.0.1", "100.64.0.1#", "100.64.0.1\x00",
]  # fmt: skip


@pytest.mark.parametrize("text", FORBIDDEN)
def test_a_large_network_allows_nothing_special_and_no_other_spelling(text: str) -> None:
    assert not admits(EVERYTHING, text)
    assert not admits(DEFAULT, text)


@pytest.mark.parametrize("text", ["8.8.8.8", "10.0.0.1", "192.168.1.1", "2a00::1", "fd00::1"])
def test_what_lies_in_no_allowed_network_is_not_dialled(text: str) -> None:
    assert not admits(DEFAULT, text)
    assert admits(EVERYTHING, text)


@pytest.mark.parametrize(
    ("cidr", "text", "allowed"),
    [
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1/32", "127.0.0.2", False),
        ("126.0.0.0/7", "127.0.0.1", False),
        ("::1/128", "::1", True),
        ("::/0", "::1", False),
        ("100.100.100.200/32", "100.100.100.200", True),
        ("224.0.0.0/8", "224.0.0.1", True),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("169.254.169.254/32", "169.254.169.254", False),
        ("fe80::/10", "fe80::1", False),
        ("0.0.0.0/32", "0.0.0.0", False),
        ("::/128", "::", False),
        ("::ffff:0:0/96", "::ffff:100.64.0.1", True),
        ("::ffff:0:0/96", "::ffff:169.254.169.254", False),
        ("64:ff9b::/96", "64:ff9b::a9fe:a9fe", False),
        ("2002::/16", "2002:a9fe:a9fe::1", False),
    ],
)
def test_what_is_special_must_be_allowed_as_such_and_some_never_is(
    cidr: str, text: str, *, allowed: bool
) -> None:
    assert admits(Fence([cidr]), text) is allowed


def test_no_network_is_no_permission() -> None:
    assert not admits(Fence([]), "100.64.0.1")


def test_what_is_no_network_is_refused_at_the_start() -> None:
    for cidr in ("everything", "10.0.0.0/33", "010.0.0.0/8", ""):
        with pytest.raises(ConfigError, match=r"live\.allowedCidrs"):
            Fence([cidr])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gpu-1.mesh.example", True),
        ("gpu-1.mesh.example.", True),
        ("gpu_1", True),
        ("localhost", True),  # what it means is checked, not how it reads
        ("127.0.0.1", False),
        ("2130706433", False),
        ("0x7f000001", False),
        ("a.0x7f", False),
        ("127.1", False),
        ("example.1", False),
        ("", False),
        (".", False),
        ("a..b", False),
        ("-a.example", False),
        ("ex ample", False),
        ("ex%61mple", False),
        ("bücher.example", False),
        ("a" * 64 + ".example", False),
        ("a." * 127 + "example", False),
        ("user@host", False),
        ("host:80", False),
        ("host/path", False),
    ],
)
def test_names_are_told_from_spellings_of_addresses(text: str, *, name: bool) -> None:
    assert is_name(text) is name


def test_a_zone_is_no_part_of_an_address() -> None:
    assert not EVERYTHING.admits(ipaddress.IPv6Address("fd7a::1%eth0"))
