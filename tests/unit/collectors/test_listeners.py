from pathlib import Path

import pytest

from citadel_k8s.collectors.base import processes_from
from citadel_k8s.collectors.listeners import LISTENERS_MAX, POD_LISTENERS_MAX
from citadel_k8s.collectors.processes import ProcessSource
from citadel_k8s.models.readings import Listener
from tests.unit.collectors import trees
from tests.unit.collectors.trees import CONTAINER, OTHER_CONTAINER, OTHER_POD, POD, cgroup_path

IN_POD = f"0::{cgroup_path()}"
HOST_SERVICE = "0::/system.slice/ollama.service"
POD_IP = "10.244.1.5"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    trees.process(tmp_path, 1, ppid=0, started=1, name="systemd", cgroup="0::/init.scope")
    trees.network(tmp_path, "host", addresses=["192.0.2.7"])
    trees.join(tmp_path, 1, "host")
    return tmp_path


@pytest.fixture
def source(root: Path) -> ProcessSource:
    return ProcessSource(str(root))


def read(source: ProcessSource, pids=(), ports=()) -> list[Listener]:
    args = {"pids": list(pids), "ports": list(ports)}
    given = source.collect(lambda _gpu, _call: None, {}, args)
    assert given["kind"] == "reading", given
    return list(processes_from(given["value"]).listeners)


def engine(root: Path, pid: int = 42, *, tcp=(), name: str = "pod-a", **facts) -> None:
    """Write a process in a pod, alone in the pod's network."""
    trees.process(root, pid, **{"cgroup": IN_POD, "command": ["engine"], **facts})
    trees.network(root, name, addresses=[POD_IP], tcp=list(tcp))
    trees.join(root, pid, name)


def ports_of(listeners: list[Listener]) -> list[int]:
    return [listener.port for listener in listeners]


def test_a_pods_engine_is_found_at_the_pods_address(root: Path, source: ProcessSource):
    engine(root, tcp=[("0.0.0.0", 8000, 7)], command=["vllm", "serve", "--port", "8000"])
    trees.opened(root, 42, [3, 7])
    assert read(source, [42]) == [
        Listener(
            port=8000, address=POD_IP, pid=42, command="vllm serve --port 8000", pod_uid=POD,
            container_id=CONTAINER,
        )
    ]  # fmt: skip


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", POD_IP, f"::ffff:{POD_IP}"])
def test_all_forms_of_a_bound_address_lead_to_the_pods(
    root: Path, source: ProcessSource, bound: str
):
    engine(root, tcp=[(bound, 8000, 7)])
    assert [listener.address for listener in read(source, [42], [8000])] == [POD_IP]


@pytest.mark.parametrize("bound", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_in_a_pod_cannot_be_reached(root: Path, source: ProcessSource, bound: str):
    engine(root, tcp=[(bound, 8000, 7)])
    assert read(source, [42], [8000]) == []


def test_a_pod_with_ipv6_only_is_asked_there(root: Path, source: ProcessSource):
    engine(root, tcp=[("::", 8000, 7)])
    trees.network(root, "pod-a", addresses=["fd00:10:244::5"], tcp=[("::", 8000, 7)])
    assert [listener.address for listener in read(source, [42], [8000])] == ["fd00:10:244::5"]


def test_known_and_told_ports_come_before_guesses(root: Path, source: ProcessSource):
    tcp = [("0.0.0.0", port, port) for port in (80, 9000, 9001, 8000, 40000)]
    engine(root, tcp=tcp, command=["server", "--port=9000"])
    assert ports_of(read(source, [42], [8000, 5])) == [8000, 9000]


def test_the_lowest_few_are_guessed_where_none_is_known(root: Path, source: ProcessSource):
    tcp = [("0.0.0.0", port, port) for port in (40000, 90, 60000, 70, 80, 60, 50)]
    engine(root, tcp=tcp)
    assert ports_of(read(source, [42], [8000])) == [50, 60, 70, 80]


def test_a_port_that_a_parent_was_told_counts(root: Path, source: ProcessSource):
    trees.process(root, 40, cgroup=IN_POD, started=1, command=["vllm", "serve", "--port", "9000"])
    engine(root, 42, ppid=40, started=2, tcp=[("0.0.0.0", 9000, 7), ("0.0.0.0", 80, 8)])
    trees.join(root, 40, "pod-a")
    (listener,) = read(source, [42])
    assert (listener.port, listener.pid) == (9000, 40)


def test_the_owner_is_the_parent_that_shares_a_socket_with_its_workers(
    root: Path, source: ProcessSource
):
    for pid in (40, 41, 42):
        engine(root, pid, ppid=pid - 1 if pid > 40 else 1, tcp=[("0.0.0.0", 8000, 7)])
    trees.opened(root, 40, [1])
    trees.opened(root, 41, [7])
    trees.opened(root, 42, [7])
    assert [listener.pid for listener in read(source, [42], [8000])] == [41]


def test_the_first_of_a_container_stands_in_where_files_cannot_be_seen(
    root: Path, source: ProcessSource
):
    trees.process(root, 30, name="containerd-shim", cgroup="0::/system.slice/containerd.service")
    engine(root, 40, ppid=30, command=["sh", "-c", "exec engine"])
    engine(root, 42, ppid=40, tcp=[("0.0.0.0", 8000, 7)])
    assert [listener.pid for listener in read(source, [42], [8000])] == [40]


def test_a_server_is_named_before_the_shell_that_started_it(root: Path, source: ProcessSource):
    engine(root, 40, name="pod-a", command=["sh", "-c", "vllm serve --port 9000"])
    trees.process(root, 40, name="sh", cgroup=IN_POD, command=["sh", "-c", "vllm --port 9000"])
    trees.process(root, 41, ppid=40, cgroup=IN_POD, command=["vllm", "--port", "9000"])
    engine(root, 42, ppid=41, tcp=[("0.0.0.0", 9000, 7)])
    assert [listener.pid for listener in read(source, [42])] == [41]


def test_nobody_is_named_where_another_container_may_listen(root: Path, source: ProcessSource):
    engine(root, 42, tcp=[("0.0.0.0", 8000, 7)])
    trees.process(root, 43, cgroup=f"0::{cgroup_path(container=OTHER_CONTAINER)}")
    trees.join(root, 43, "pod-a")
    (listener,) = read(source, [42, 43], [8000])
    assert (listener.pid, listener.container_id, listener.pod_uid) == (None, None, POD)


def test_nobody_is_named_where_all_files_were_seen_and_none_is_the_socket(
    root: Path, source: ProcessSource
):
    engine(root, 42, tcp=[("0.0.0.0", 8000, 7)], command=["x", "--port", "8000"])
    trees.opened(root, 42, [1, 2])
    (listener,) = read(source, [42])
    assert (listener.pid, listener.command, listener.pod_uid) == (None, None, POD)


def test_owners_are_looked_for_anew_when_there_are_other_processes(
    root: Path, source: ProcessSource
):
    engine(root, 42, tcp=[("0.0.0.0", 8000, 7)])
    trees.opened(root, 42, [])
    assert [listener.pid for listener in read(source, [42], [8000])] == [None]
    engine(root, 43, tcp=[("0.0.0.0", 8000, 7)])
    trees.join(root, 42, "pod-a")
    trees.opened(root, 43, [7])
    for _ in range(2):
        assert [listener.pid for listener in read(source, [42, 43], [8000])] == [43]
    read(source)
    assert source._listeners._owners._kept == {}
    assert source._listeners._addresses == {}


def test_each_pod_has_its_own_listeners_and_tables_are_read_once(root: Path, source: ProcessSource):
    engine(root, 42, tcp=[("0.0.0.0", 8000, 7)])
    engine(root, 43, tcp=[("0.0.0.0", 8000, 7)])
    trees.join(root, 42, "pod-a")
    trees.process(root, 50, cgroup=f"0::{cgroup_path(OTHER_POD)}")
    trees.network(root, "pod-b", addresses=["10.244.1.9"], tcp=[("0.0.0.0", 8000, 8)])
    trees.join(root, 50, "pod-b")
    found = read(source, [42, 43, 50], [8000])
    assert [(listener.pod_uid, listener.address) for listener in found] == [
        (POD, POD_IP),
        (OTHER_POD, "10.244.1.9"),
    ]


def test_a_table_that_cannot_be_read_hides_no_other_pods(root: Path, source: ProcessSource):
    engine(root, 42, tcp=[("0.0.0.0", 8000, 7)])
    trees.unreadable(root / "proc/42/net/tcp")
    trees.unreadable(root / "proc/42/net/tcp6")
    trees.process(root, 44, cgroup=f"0::{cgroup_path('c' * 32)}")
    trees.process(root, 50, cgroup=f"0::{cgroup_path(OTHER_POD)}")
    trees.network(root, "pod-b", addresses=["10.244.1.9"], tcp=[("0.0.0.0", 8000, 8)])
    trees.join(root, 50, "pod-b")
    assert [listener.pod_uid for listener in read(source, [42, 44, 50], [8000])] == [OTHER_POD]


def test_a_pod_without_a_readable_address_has_none_to_be_asked_at(
    root: Path, source: ProcessSource
):
    engine(root, 42, tcp=[("0.0.0.0", 8000, 7), ("10.9.9.9", 8001, 8)])
    (root / "proc/42/net/fib_trie").unlink()
    found = read(source, [42], [8000, 8001])
    assert [(listener.port, listener.address) for listener in found] == [(8001, "10.9.9.9")]


def test_one_pods_many_ports_are_bounded(root: Path, source: ProcessSource):
    ports = range(1000, 1100)
    engine(root, 42, tcp=[("0.0.0.0", port, port) for port in ports])
    assert len(read(source, [42], ports)) == POD_LISTENERS_MAX
    for i in range(43, 47):
        trees.process(root, i, cgroup=f"0::{cgroup_path(f'{i:032x}')}")
        trees.network(root, f"pod-{i}", tcp=[(f"10.0.0.{i}", port, port) for port in ports])
        trees.join(root, i, f"pod-{i}")
    assert len(read(source, range(42, 47), ports)) == LISTENERS_MAX


def test_the_host_tells_no_ports_but_known_ones(root: Path, source: ProcessSource):
    tcp = [("0.0.0.0", 22, 1), ("127.0.0.1", 11434, 2), ("192.0.2.7", 8000, 3), ("::1", 8001, 4)]
    trees.network(root, "host", addresses=["192.0.2.7"], tcp=[*tcp, ("::", 30000, 5)])
    found = read(source, ports=[8000, 8001, 11434, 30000])
    assert [(listener.port, listener.address) for listener in found] == [
        (8000, "192.0.2.7"),
        (8001, "::1"),
        (11434, "127.0.0.1"),
        (30000, "127.0.0.1"),
    ]
    assert {listener.pid for listener in found} == {None}


def test_a_port_that_a_process_on_a_gpu_of_the_host_was_told_counts(
    root: Path, source: ProcessSource
):
    trees.network(root, "host", tcp=[("0.0.0.0", 22, 6), ("0.0.0.0", 38241, 7)])
    command = ["llama-server", "--port", "38241"]
    trees.process(root, 42, cgroup=HOST_SERVICE, command=command)
    trees.join(root, 42, "host")
    (listener,) = read(source, [42], [8000])
    assert (listener.port, listener.address, listener.pid) == (38241, "127.0.0.1", 42)


def test_the_hosts_owner_is_named_where_it_is_a_known_process(root: Path, source: ProcessSource):
    trees.network(root, "host", tcp=[("0.0.0.0", 8000, 7), ("0.0.0.0", 8001, 8)])
    trees.process(root, 42, cgroup=HOST_SERVICE, command=["vllm"])
    trees.join(root, 42, "host")
    trees.opened(root, 42, [8])
    found = read(source, [42], [8000, 8001])
    assert [(listener.port, listener.pid) for listener in found] == [(8000, None), (8001, 42)]


def test_a_pod_in_the_hosts_network_listens_on_the_host(root: Path, source: ProcessSource):
    trees.network(root, "host", tcp=[("0.0.0.0", 8000, 7), ("0.0.0.0", 9999, 8)])
    trees.process(root, 42, cgroup=IN_POD, command=["vllm", "--port", "8000"])
    trees.join(root, 42, "host")
    (listener,) = read(source, [42], [8000])
    assert (listener.address, listener.pod_uid, listener.pid) == ("127.0.0.1", POD, 42)


def test_a_container_of_another_kind_does_not_own_the_hosts_sockets(
    root: Path, source: ProcessSource
):
    trees.network(root, "host", tcp=[("0.0.0.0", 8000, 7)])
    trees.process(root, 42, cgroup=f"0::/docker/{CONTAINER}", command=["vllm", "--port", "8000"])
    trees.network(root, "docker", addresses=["172.17.0.2"], tcp=[("0.0.0.0", 8000, 9)])
    trees.join(root, 42, "docker")
    (listener,) = read(source, [42], [8000])
    assert (listener.address, listener.pid) == ("127.0.0.1", None)


def test_ollamas_runner_is_no_service(root: Path, source: ProcessSource):
    tcp = [("0.0.0.0", 11434, 7), ("127.0.0.1", 40123, 8), ("0.0.0.0", 8080, 9)]
    trees.process(root, 40, cgroup=IN_POD, name="ollama", command=["/bin/ollama", "serve"])
    runner = ["/bin/ollama", "runner", "--model", "x", "--port", "40123"]
    engine(root, 42, ppid=40, name="pod-a", tcp=tcp, command=runner)
    trees.process(root, 42, ppid=40, name="ollama", cgroup=IN_POD, command=runner)
    trees.join(root, 40, "pod-a")
    trees.opened(root, 40, [7])
    trees.opened(root, 42, [8, 9])
    found = read(source, [42], [11434, 8080, 40123])
    assert [(listener.port, listener.pid) for listener in found] == [(11434, 40)]


def test_ollamas_runner_on_the_host_is_no_service_either(root: Path, source: ProcessSource):
    trees.network(root, "host", tcp=[("127.0.0.1", 11434, 7), ("127.0.0.1", 8000, 8)])
    trees.process(root, 40, cgroup=HOST_SERVICE, command=["ollama", "serve"])
    trees.process(
        root, 42, ppid=40, cgroup=HOST_SERVICE, command=["ollama", "runner", "--port", "8000"]
    )
    for pid in (40, 42):
        trees.join(root, pid, "host")
    assert ports_of(read(source, [42], [8000, 11434])) == [11434]


def test_from_a_pod_the_hosts_loopback_is_out_of_reach(root: Path, source: ProcessSource):
    tcp = [("0.0.0.0", 8000, 1), ("127.0.0.1", 11434, 2), ("192.0.2.7", 8001, 3)]
    routes = trees.route(("eth0", "0.0.0.0/0"), ("eth0", "192.0.2.0/24"), ("cni0", "10.244.1.0/24"))
    own = ["10.244.1.1", "10.96.0.1", "192.0.2.7"]
    trees.network(root, "host", addresses=own, tcp=tcp, route=routes)
    for name in ("fib_trie", "route"):
        trees.write(root / f"proc/1/net/{name}", (root / f"netns/host/{name}").read_bytes())
    trees.network(root, "agent", addresses=["10.244.1.77"])
    trees.process(root, 5000)
    trees.join(root, 5000, "agent")
    (root / "proc/self").symlink_to("5000")
    found = read(source, ports=[8000, 8001, 11434])
    assert [(listener.port, listener.address) for listener in found] == [
        (8000, "192.0.2.7"),
        (8001, "192.0.2.7"),
    ]


def test_this_machines_listeners_can_be_read():
    assert isinstance(read(ProcessSource("/"), [1], range(1024)), list)
