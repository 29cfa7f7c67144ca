import ipaddress
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadel_k8s.collectors.nettables import (
    ip_text,
    own_address,
    parse_if_inet6,
    parse_local_ipv4,
    parse_routes,
    read_listeners,
)
from citadel_k8s.collectors.procfs import known
from tests.unit.collectors import trees

GROUPS = st.lists(st.sampled_from([b"\0\0", b"\0\0", b"\0\1", b"\xff\0"]), min_size=8, max_size=8)


@settings(max_examples=80)
@given(GROUPS.map(b"".join) | st.binary(min_size=4, max_size=4))
def test_addresses_are_written_as_everybody_writes_them(packed: bytes):
    address = ipaddress.ip_address(packed)
    mapped = getattr(address, "ipv4_mapped", None)
    assert ip_text(packed) == str(mapped or address)


def test_local_addresses_are_those_of_the_namespace_itself(tmp_path: Path):
    folder = trees.network(tmp_path, "n", addresses=["10.244.1.5", "192.168.9.1"])
    text = (folder / "fib_trie").read_text()
    assert parse_local_ipv4(text) == ["127.0.0.1", "10.244.1.5", "192.168.9.1"]


@pytest.mark.parametrize("text", ["", "garbage", "/32 host LOCAL", "|-- x\n /32 host LOCAL\n"])
def test_a_table_without_a_local_address_is_none(text: str):
    assert known(parse_local_ipv4, text) is None


def test_ipv6_addresses_that_others_cannot_use_are_left_out():
    text = (
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fe800000000000000042acfffe110002 02 40 20 80     eth0\n"
        "fd7a115ca1e000000000000000000005 03 80 00 80 tailscale0\n"
        "20010db8000000000000000000000001 02 40 00 40     eth0\n"
        "20010db8000000000000000000000002 02 40 00 08     eth0\n"
        "20010db8000000000000000000000003 02 40 00 zz     eth0\n"
        "xx010db8000000000000000000000003 02 40 00 80     eth0\n"
        "20010db8\n\n"
    )
    assert parse_if_inet6(text) == ["fd7a:115c:a1e0::5"]


def test_routes_that_are_cut_short_are_passed_over():
    text = trees.route(("eth0", "0.0.0.0/0"), ("net1", "192.168.0.0/16"))
    assert parse_routes(text) == [("eth0", 0, 0), ("net1", 0xC0A80000, 0xFFFF0000)]
    assert parse_routes(text + "eth1\t00\n" + "eth2\tzz\t0\t0\t0\t0\t0\tzz\n")[2:] == []


def test_listening_sockets_of_both_versions_are_read(tmp_path: Path):
    tcp = [("0.0.0.0", 8000, 11), ("127.0.0.1", 9, 12), ("::", 443, 13), ("2001:db8::7", 80, 14)]
    folder = trees.network(tmp_path, "n", tcp=tcp, connections=3)
    assert read_listeners(str(folder / "tcp")) == tcp[:2]
    assert read_listeners(str(folder / "tcp6")) == tcp[2:]


def test_an_ipv4_address_in_an_ipv6_socket_is_that_address(tmp_path: Path):
    folder = trees.network(tmp_path, "n", tcp=[("::ffff:10.1.2.3", 80, 1)])
    assert read_listeners(str(folder / "tcp6")) == [("10.1.2.3", 80, 1)]


def test_a_table_of_a_million_connections_is_not_read_to_its_end(tmp_path: Path):
    file = trees.network(tmp_path, "n", tcp=[("0.0.0.0", 8000, 11)], connections=2000) / "tcp"
    with file.open("ab") as sparse:
        sparse.truncate(1 << 40)
    assert read_listeners(str(file)) == [("0.0.0.0", 8000, 11)]


def test_a_table_that_is_all_listeners_is_read_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("citadel_k8s.collectors.nettables.FILE_MAX", 1000)
    tcp = [("0.0.0.0", 1 + i, i) for i in range(1500)]
    file = trees.network(tmp_path, "n", tcp=tcp) / "tcp"
    assert 100 < len(read_listeners(str(file))) < 1500


def test_lines_of_a_table_that_are_broken_are_passed_over(tmp_path: Path):
    file = trees.network(tmp_path, "n", tcp=[("0.0.0.0", 8000, 11), ("0.0.0.0", 80, 12)]) / "tcp"
    text = file.read_text()
    broken = (
        " 0: zz:1F40 0 0A 0\n 1: 00:1 0 0A\n 0A \n\x00\xff 0A \n 1: 000000:50 0 0A 0 0 0 0 0 1\n"
    )
    file.write_text(text + broken)
    assert len(read_listeners(str(file))) == 2
    file.write_text(text[:-40])
    assert [port for _, port, _ in read_listeners(str(file))] == [8000]


def test_this_machines_own_listener_is_found():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        inode = os.fstat(server.fileno()).st_ino
        assert ("127.0.0.1", port, inode) in read_listeners("/proc/self/net/tcp")


@pytest.mark.parametrize(
    ("addresses", "routes", "wanted"),
    [
        (["10.244.1.5"], [], "10.244.1.5"),
        ([], [], None),
        (
            ["10.56.0.9", "10.244.1.5"],
            [("eth0", "0.0.0.0/0"), ("eth0", "10.244.1.0/24"), ("net1", "10.56.0.0/16")],
            "10.244.1.5",
        ),
        (
            ["10.56.0.9", "10.244.1.5"],
            [("eth0", "0.0.0.0/0"), ("eth0", "169.254.1.1/32"), ("net1", "10.56.0.0/16")],
            "10.244.1.5",
        ),
        (["169.254.3.3", "fd00::5"], [], "fd00::5"),
    ],
)
def test_the_address_wanted_is_that_of_the_clusters_network(
    tmp_path: Path, addresses: list[str], routes: list[tuple[str, str]], wanted: str | None
):
    table = trees.route(*routes)
    folder = trees.network(tmp_path, "pod", addresses=addresses, route=table)
    assert own_address(str(folder)) == wanted
