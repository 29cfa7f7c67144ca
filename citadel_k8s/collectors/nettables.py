"""The kernel's tables of a network namespace: its addresses, routes and listening sockets."""

from __future__ import annotations

import os
import sys

from citadel_k8s.collectors.procfs import CHUNK, FILE_MAX, known, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

GLOBAL_SCOPE: Final = "00"
"""Scope of an IPv6 address that others can reach, as ``if_inet6`` writes it."""

NOT_USABLE: Final = 0x08 | 0x40
"""Flags of an IPv6 address that is still being checked for duplicates, or failed that check."""

_LISTEN: Final = b"0A"
_LOCAL: Final = "/32 host LOCAL"
_MAPPED: Final = bytes(10) + b"\xff\xff"


def own_address(net: str) -> str | None:
    """Give the address at which others reach a network namespace, of its folder ``net``.

    GPU nodes have networks for storage and collectives beside the cluster's: the one wanted is
    that of the interface of the default route.
    """
    ipv4 = known(lambda: parse_local_ipv4(read_text(f"{net}/fib_trie"))) or []
    usable = [a for a in ipv4 if not a.startswith(("127.", "169.254."))]
    if usable:
        routes = known(lambda: parse_routes(read_text(f"{net}/route"))) or []
        return min(usable, key=lambda address: _distance(address, routes))
    ipv6 = known(lambda: parse_if_inet6(read_text(f"{net}/if_inet6"))) or []
    return next(iter(ipv6), None)


def parse_local_ipv4(text: str) -> list[str]:
    """Give a network namespace's own addresses of its ``fib_trie``, loopback included.

    Raises
    ------
    ValueError
        If there is none: then it is no such table, since each namespace in use has a loopback.
    """
    found: list[str] = []
    at = text.find(_LOCAL)
    while at >= 0:
        # A leaf's line "|-- 10.0.0.1" comes before those of its routes.
        start = text.rindex("|-- ", 0, at) + 4
        address = text[start : text.index("\n", start)].strip()
        if address not in found and _is_ipv4(address):
            found.append(address)
        at = text.find(_LOCAL, at + 1)
    if not found:
        raise ValueError("no local address")
    return found


def parse_if_inet6(text: str) -> list[str]:
    """Give the global IPv6 addresses of ``if_inet6``, without those that are not usable yet."""
    found: list[str] = []
    for line in text.splitlines():
        columns = line.split()
        if len(columns) >= 6 and len(columns[0]) == 32 and columns[3] == GLOBAL_SCOPE:  # noqa: PLR2004 - columns of the file
            try:
                usable = not int(columns[4], 16) & NOT_USABLE
                address = ip_text(bytes.fromhex(columns[0]))
            except ValueError:
                continue
            if usable:
                found.append(address)
    return found


def parse_routes(text: str) -> list[tuple[str, int, int]]:
    """Give interface, destination and mask of each line of ``/proc/net/route``."""
    routes: list[tuple[str, int, int]] = []
    for line in text.splitlines()[1:]:
        columns = line.split()
        try:
            routes.append((columns[0], _route_number(columns[1]), _route_number(columns[7])))
        except (IndexError, ValueError):
            continue
    return routes


def ip_number(address: str) -> int:
    """Give an IPv4 address as a number; raises ValueError if it is none."""
    return int.from_bytes(bytes(int(part) for part in address.split(".")), "big")


def read_listeners(path: str) -> list[tuple[str, int, int]]:
    """Give address, port and inode of each listening socket of a ``net/tcp`` or ``net/tcp6``.

    Raises
    ------
    OSError
        If the table cannot be read.
    """
    found: list[tuple[str, int, int]] = []
    rest, total = b"", 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        while total < FILE_MAX and (chunk := os.read(descriptor, CHUNK)):
            total += len(chunk)
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            before = len(found)
            found += [row for row in map(_listener, lines) if row is not None]
            # The kernel writes the listening sockets first. A busy host has tens of thousands of
            # others behind them, which take milliseconds to write out.
            if len(found) == before:
                break
        last = _listener(rest)
    finally:
        os.close(descriptor)
    return [*found, last] if last is not None else found


def ip_text(address: bytes) -> str:
    """Give the usual form of an address of 4 or 16 bytes; an IPv4 one in IPv6 is IPv4."""
    if address.startswith(_MAPPED):
        address = address[12:]
    if len(address) == 4:  # noqa: PLR2004 - bytes of an IPv4 address
        return ".".join(map(str, address))
    groups = [f"{address[i] << 8 | address[i + 1]:x}" for i in range(0, 16, 2)]
    start, length = _longest_run_of_zeros(groups)
    if length < 2:  # noqa: PLR2004 - one zero is written out
        return ":".join(groups)
    return f"{':'.join(groups[:start])}::{':'.join(groups[start + length :])}"


def _longest_run_of_zeros(groups: list[str]) -> tuple[int, int]:
    best, length, run = 0, 0, 0
    for i, group in enumerate(groups):
        run = run + 1 if group == "0" else 0
        if run > length:
            best, length = i - run + 1, run
    return best, length


def _listener(line: bytes) -> tuple[str, int, int] | None:
    if b" 0A " not in line:
        return None
    columns = line.split()
    try:
        if columns[3] != _LISTEN:
            return None
        address, _, port = columns[1].partition(b":")
        return ip_text(_in_network_order(address)), int(port, 16), int(columns[9])
    except (IndexError, ValueError):
        return None


def _in_network_order(digits: bytes) -> bytes:
    # The kernel writes each 32-bit word as a number of its own byte order.
    raw = bytes.fromhex(digits.decode("ascii"))
    if len(raw) not in {4, 16}:
        raise ValueError("no address")
    if sys.byteorder == "big":
        return raw
    return b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))


def _route_number(digits: str) -> int:
    return int.from_bytes(_in_network_order(digits.encode("ascii", "replace")), "big")


def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(p.isdecimal() and int(p) < 256 for p in parts)  # noqa: PLR2004 - an address


def _distance(address: str, routes: list[tuple[str, int, int]]) -> int:
    defaults = {interface for interface, _, mask in routes if mask == 0}
    number = ip_number(address)
    near = [(mask, name) for name, to, mask in routes if mask and number & mask == to]
    if not near:
        return 1  # some networks give a pod one address and no subnet
    return 0 if max(near)[1] in defaults else 2
