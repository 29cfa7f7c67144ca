import errno
import ipaddress
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.collectors.procfs import (
    FILE_MAX,
    OpenFiles,
    ip_text,
    known,
    parse_if_inet6,
    parse_local_ipv4,
    parse_routes,
    parse_stat,
    read_bytes,
    read_listeners,
    read_number,
)
from tests.unit.collectors import trees


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_more_than_the_limit_is_read_of_a_file(tmp_path: Path):
    file = tmp_path / "huge"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert len(read_bytes(str(file))) == FILE_MAX
    assert len(read_bytes(str(file), 100)) == 100
    file.write_bytes(b"x" * 200_000)
    assert read_bytes(str(file)) == b"x" * 200_000


def test_a_pipe_in_a_files_place_holds_nobody_up(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert read_bytes(str(tmp_path / "pipe")) == b""


@pytest.mark.parametrize(
    "text", ["", "max\n", "-1\n", "1_0\n", "0x10\n", "1 2\n", "\u0663\n", "\0"]
)
def test_what_is_no_number_is_unknown(tmp_path: Path, text: str):
    (tmp_path / "f").write_text(text)
    assert read_number(str(tmp_path / "f")) is None
    assert read_number(str(tmp_path / "none")) is None


@pytest.mark.parametrize("name", ["python3", "a) S 1 (b", "tmux: server", "(sd-pam)", ") 7 (", ""])
def test_a_process_may_be_called_anything(name: str):
    columns = " ".join(["S", "42", *["0"] * 17, "777", "0", "0"])
    assert parse_stat(f"10 ({name}) {columns}\n") == (name, 42, 777)


def test_a_stat_that_is_cut_short_is_an_error():
    text = "10 (a) " + " ".join(["S", "42", *["0"] * 17])
    for end in range(len(text)):
        with pytest.raises((ValueError, IndexError)):
            parse_stat(text[:end])


@given(st.binary(min_size=16, max_size=16) | st.binary(min_size=4, max_size=4))
def test_addresses_are_written_as_everybody_writes_them(packed: bytes):
    address = ipaddress.ip_address(packed)
    mapped = getattr(address, "ipv4_mapped", None)
    assert ip_text(packed) == str(mapped or address)


@given(st.lists(st.ip_addresses(v=6), max_size=8, unique=True))
def test_a_few_zeros_are_shortened_only_once(addresses: list[ipaddress.IPv6Address]):
    for address in addresses:
        packed = bytes(b if b > 100 else 0 for b in address.packed)
        assert ipaddress.ip_address(ip_text(packed)).packed[-4:] == packed[-4:]


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


def test_a_table_that_is_all_listeners_is_read_up_to_the_limit(tmp_path: Path):
    tcp = [("0.0.0.0", 1 + i % 65535, i) for i in range(20_000)]
    file = trees.network(tmp_path, "n", tcp=tcp) / "tcp"
    assert 5000 < len(read_listeners(str(file))) < 20_000


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


def test_kept_files_are_read_anew_each_time(tmp_path: Path):
    file = tmp_path / "f"
    files = OpenFiles(room=1)
    for text in (b"one", b"three", b"2"):
        file.write_bytes(text)
        assert files.read(str(file)) == text
    with pytest.raises(FileNotFoundError):
        files.read(str(tmp_path / "none"))


def test_no_more_files_are_kept_open_than_there_is_room_for(tmp_path: Path):
    files = OpenFiles(room=3)
    before = open_files()
    for _ in range(3):
        for i in range(10):
            (tmp_path / str(i)).write_bytes(b"x")
            assert files.read(str(tmp_path / str(i))) == b"x"
        assert open_files() == before + 3
    files.sweep()
    assert files.read(str(tmp_path / "0")) == b"x"
    files.sweep()
    assert open_files() == before + 1
    files.sweep()
    assert open_files() == before


def test_a_kept_file_that_gives_an_error_is_opened_anew(tmp_path: Path):
    file = tmp_path / "f"
    file.write_bytes(b"new")
    files = OpenFiles(room=3)
    files.read(str(file))
    folder = os.open(tmp_path, os.O_RDONLY)  # reading a directory is an error, as of a gone cgroup
    os.dup2(folder, files._kept[str(file)])
    os.close(folder)
    with pytest.raises(OSError, match=os.strerror(errno.EISDIR)):
        os.pread(files._kept[str(file)], 1, 0)
    assert files.read(str(file)) == b"new"
    for _ in range(2):
        files.sweep()
    assert files._kept == {}
