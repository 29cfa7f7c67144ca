"""Trees of files as the kernel shows them, written below a test's own root.

Each function writes one thing and may be called again to change it. ``root`` stands for the
host's ``/``. Where the kernel would refuse to read a file, a directory lies in its place, which
root cannot read either.

>>> process(root, 4242, command=["vllm", "serve", "--port", "9000"], cgroup="0::" + cgroup_path())
>>> network(root, "pod-a", addresses=["10.244.1.5"], tcp=[("0.0.0.0", 9000, 777)])
>>> join(root, 4242, "pod-a")
>>> container(root, "kubepods/pod0d5f…/4c1…", cpu_usec=1_000_000, current=4096)
>>> amd_card(root, 0, slot="0000:03:00.0")
"""

import ipaddress
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

POD = "0d5f2c1a-8d3e-4b6f-9a21-7c0e5d4b3a21"
"""UID of a pod."""

OTHER_POD = "99f6d0b7-1c2d-4e3f-8a9b-0c1d2e3f4a5b"
"""UID of another pod."""

STATIC_POD = "8d3b21d5c6f7a8e9b0c1d2e3f4a5b6c7"
"""UID of a pod from a file of the node: a hash."""

CONTAINER = "4c1d" * 16
"""Id of a container."""

OTHER_CONTAINER = "b7e0" * 16
"""Id of another container."""

Socket = tuple[str, int, int]
"""Address, port and inode of a listening socket."""


def write(path: Path, text: str | bytes) -> None:
    """Write a file and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def unreadable(path: Path) -> None:
    """Put a directory in a file's place, so that nobody can read it."""
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def open_files() -> int:
    """Count this process' open files."""
    return len(list(Path("/proc/self/fd").iterdir()))


def cgroup_path(pod: str = POD, container: str = CONTAINER, qos: str = "burstable") -> str:
    """Give the path of a container's cgroup as systemd and containerd name it."""
    name = "kubepods" if qos == "guaranteed" else f"kubepods-{qos}"
    middle = "" if qos == "guaranteed" else f"/{name}.slice"
    pod_slice = f"{name}-pod{pod.replace('-', '_')}.slice"
    return f"/kubepods.slice{middle}/{pod_slice}/cri-containerd-{container}.scope"


def process(
    root: Path,
    pid: int,
    *,
    ppid: int = 1,
    started: int = 100,
    name: str = "python3",
    cgroup: str = "0::/",
    command: Sequence[str] | str = ("python3",),
    flags: int = 0x400000,
) -> Path:
    """Write a process of the host and give its folder; its network is written by `join`.

    A ``command`` that is one string is a title that the program gave itself.
    """
    folder = root / f"proc/{pid}"
    columns = " ".join(
        ["S", str(ppid), *["0"] * 4, str(flags), *["0"] * 12, str(started), *["0"] * 30]
    )
    write(folder / "stat", f"{pid} ({name}) {columns}\n")
    write(folder / "cgroup", cgroup + "\n")
    line = command if isinstance(command, str) else "\0".join(command)
    write(folder / "cmdline", line + "\0")
    return folder


def gone(root: Path, pid: int) -> None:
    """End a process."""
    shutil.rmtree(root / f"proc/{pid}")


def opened(root: Path, pid: int, inodes: Iterable[int]) -> None:
    """Make sockets open files of a process; one without this has files that nobody may see."""
    folder = root / f"proc/{pid}/fd"
    folder.mkdir(parents=True, exist_ok=True)
    for number, inode in enumerate(inodes):
        (folder / str(number)).symlink_to(f"socket:[{inode}]")


def network(
    root: Path,
    name: str,
    *,
    addresses: Sequence[str] = (),
    tcp: Sequence[Socket] = (),
    connections: int = 0,
    route: str = "",
) -> Path:
    """Write a network namespace and give its folder.

    Parameters
    ----------
    root : Path
        The host's root.
    name : str
        What `join` calls it.
    addresses : sequence of str
        Its own, of both versions, besides loopback.
    tcp : sequence of Socket
        What listens in it.
    connections : int
        Sockets that do not listen.
    route : str
        Its table of routes.
    """
    folder = root / f"netns/{name}"
    versions: dict[int, list[Socket]] = {4: [], 6: []}
    for row in tcp:
        versions[ipaddress.ip_address(row[0]).version].append(row)
    write(folder / "tcp", _tcp(versions[4], connections))
    write(folder / "tcp6", _tcp(versions[6], 0))
    own = [ipaddress.ip_address(address) for address in addresses]
    write(folder / "fib_trie", _fib_trie([str(a) for a in own if a.version == 4]))
    lines = [f"{int(a):032x} 02 40 00 80     eth0\n" for a in own if a.version == 6]
    write(folder / "if_inet6", "".join(["0" * 31 + "1 01 80 10 80       lo\n", *lines]))
    write(folder / "route", route)
    return folder


def join(root: Path, pid: int, name: str) -> None:
    """Put a process into a network namespace: its files are those of all others in it."""
    folder = root / f"proc/{pid}/net"
    folder.mkdir(parents=True, exist_ok=True)
    for file in (root / f"netns/{name}").iterdir():
        (folder / file.name).unlink(missing_ok=True)
        os.link(file, folder / file.name)


def route(*routes: tuple[str, str]) -> str:
    """Give a table of routes; each is an interface and a network, ``0.0.0.0/0`` by default."""
    lines = ["Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"]
    for interface, text in routes:
        net = ipaddress.ip_network(text)
        to, mask = (_words(int(a).to_bytes(4)) for a in (net.network_address, net.netmask))
        lines.append(f"{interface}\t{to}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n")
    return "".join(lines)


def container(
    root: Path,
    path: str,
    *,
    cpu_usec: int = 0,
    current: int = 0,
    inactive_file: int = 0,
    memory_max: str = "max",
    cpu_max: str = "max 100000",
    oom_kill: int = 0,
    pids: Sequence[int] = (),
) -> Path:
    """Write the files of a container's cgroup of version 2 and give its folder."""
    top = root / "sys/fs/cgroup"
    write(top / "cgroup.controllers", "cpu memory\n")
    folder = top / path.strip("/")
    files = {
        "cpu.stat": f"usage_usec {cpu_usec}\nuser_usec 1\nsystem_usec 1\n",
        "cpu.max": cpu_max + "\n",
        "memory.current": f"{current}\n",
        "memory.stat": f"anon 1\nfile 2\ninactive_file {inactive_file}\nactive_file 3\n",
        "memory.max": memory_max + "\n",
        "memory.events": f"low 0\nhigh 0\nmax 7\noom 9\noom_kill {oom_kill}\n",
        "cgroup.procs": "".join(f"{pid}\n" for pid in pids),
    }
    for name, text in files.items():
        write(folder / name, text)
    return folder


def container_v1(
    root: Path,
    path: str,
    *,
    cpu_nsec: int = 0,
    usage: int = 0,
    inactive_file: int = 0,
    limit: int = 9223372036854771712,
    quota: int = -1,
    oom_kill: int = 0,
    pids: Sequence[int] = (),
) -> None:
    """Write the files of a container's cgroups of version 1."""
    top = root / "sys/fs/cgroup"
    own = path.strip("/")
    cpu, memory = top / "cpu,cpuacct" / own, top / "memory" / own
    for link in ("cpu", "cpuacct"):
        if not (top / link).is_symlink():
            top.mkdir(parents=True, exist_ok=True)
            (top / link).symlink_to("cpu,cpuacct")
    write(cpu / "cpuacct.usage", f"{cpu_nsec}\n")
    write(cpu / "cpu.cfs_quota_us", f"{quota}\n")
    write(cpu / "cpu.cfs_period_us", "100000\n")
    write(cpu / "cgroup.procs", "".join(f"{pid}\n" for pid in pids))
    write(memory / "memory.usage_in_bytes", f"{usage}\n")
    text = f"cache 1\ninactive_file 1\ntotal_cache 1\ntotal_inactive_file {inactive_file}\n"
    write(memory / "memory.stat", text)
    write(memory / "memory.limit_in_bytes", f"{limit}\n")
    write(memory / "memory.oom_control", f"oom_kill_disable 0\nunder_oom 0\noom_kill {oom_kill}\n")


def amd_card(
    root: Path,
    number: int,
    *,
    slot: str = "0000:03:00.0",
    device: str = "0x74a1",
    files: Mapping[str, str] | None = None,
    above: Sequence[str] = ("0000:00:01.1",),
) -> Path:
    """Write a card of AMD and give its device's folder; ``above`` are the bridges to it."""
    own = {
        "unique_id": "deadbeef00c0ffee",
        "mem_info_vram_total": "206141652992",
        "mem_info_vram_used": "1073741824",
        "gpu_busy_percent": "42",
        "mem_busy_percent": "7",
        "current_link_speed": "32.0 GT/s PCIe",
        "max_link_speed": "32.0 GT/s PCIe",
        "current_link_width": "16",
        "max_link_width": "16",
        "pcie_replay_count": "0",
        "ras/umc_err_count": "ue: 1\nce: 25",
        "pp_dpm_sclk": "0: 132Mhz\n1: 2100Mhz *",
        "pp_dpm_mclk": "0: 900Mhz *\n1: 1300Mhz",
        "hwmon/hwmon3/name": "amdgpu",
        "hwmon/hwmon3/temp2_label": "junction",
        "hwmon/hwmon3/temp2_input": "51000",
        "hwmon/hwmon3/temp3_label": "mem",
        "hwmon/hwmon3/temp3_input": "44500",
        "hwmon/hwmon3/power1_input": "140500000",
        "hwmon/hwmon3/power1_cap": "750000000",
        "power/runtime_status": "active",
    }
    own |= {"vendor": "0x1002", "device": device, "uevent": _uevent("amdgpu", slot)}
    return _card(root, number, [*above, slot], own | dict(files or {}))


def kfd_node(root: Path, number: int, gpu_id: int, slot: str = "") -> None:
    """Write a node of AMD's compute driver: a GPU at a place of the bus, or with 0 a CPU."""
    domain, bus, device = (int(part, 16) for part in (slot or "0:0:0").partition(".")[0].split(":"))
    folder = root / f"sys/class/kfd/kfd/topology/nodes/{number}"
    write(folder / "gpu_id", f"{gpu_id}\n")
    location = bus << 8 | device << 3
    write(folder / "properties", f"simd_count 304\nlocation_id {location}\ndomain {domain}\n")


def kfd_process(root: Path, pid: int, memory: Mapping[int, int]) -> None:
    """Write a process on AMD's GPUs: its bytes by the numbers of `kfd_node`."""
    for gpu_id, used in memory.items():
        write(root / f"sys/class/kfd/kfd/proc/{pid}/vram_{gpu_id}", f"{used}\n")


def intel_card(
    root: Path,
    number: int,
    *,
    slot: str = "0000:4d:00.0",
    device: str = "0x0bda",
    driver: str = "i915",
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a card of Intel and give its device's folder."""
    own = {"vendor": "0x8086", "device": device, "uevent": _uevent(driver, slot), **(files or {})}
    return _card(root, number, ["0000:4a:01.0", slot], own)


def _uevent(driver: str, slot: str) -> str:
    return f"DRIVER={driver}\nPCI_CLASS=30000\nPCI_SLOT_NAME={slot}"


def _card(root: Path, number: int, place: Sequence[str], files: Mapping[str, str]) -> Path:
    folder = root.joinpath("sys/devices/pci0000:00", *place)
    for name, text in files.items():
        write(folder / name, text + "\n")
    card = folder / f"drm/card{number}"
    card.mkdir(parents=True, exist_ok=True)
    names = root / "sys/class/drm"
    names.mkdir(parents=True, exist_ok=True)
    for link, target in ((card / "device", folder), (names / f"card{number}", card)):
        if not link.is_symlink():
            link.symlink_to(target)
    return folder


def _tcp(rows: Sequence[Socket], connections: int) -> str:
    lines = ["  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"]
    rest = "00000000:00000000 00:00000000 00000000     0        0"
    for i, (address, port, inode) in enumerate(rows):
        own = _words(ipaddress.ip_address(address).packed)
        peer = "0" * len(own)
        lines.append(f"{i:4}: {own}:{port:04X} {peer}:0000 0A {rest} {inode} 1 0 100 0 0 10 0\n")
    lines += [
        f"{i:4}: 0100007F:1F90 0100007F:{i:04X} 01 {rest} {i} 1 0 20 4 30 10 -1\n"
        for i in range(connections)
    ]
    return "".join(lines)


def _words(packed: bytes) -> str:
    words = (packed[i : i + 4] for i in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, 'little'):08X}" for word in words)


def _fib_trie(addresses: Sequence[str]) -> str:
    leaves = "".join(f"        |-- {a}\n           /32 host LOCAL\n" for a in addresses)
    return f"""\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
        |-- 10.244.1.0
           /24 link UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
{leaves}Local:
        |-- 127.0.0.1
           /32 host LOCAL
{leaves}"""
