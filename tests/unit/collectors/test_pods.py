import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from citadel_k8s.collectors.kubelet import Kubelet
from citadel_k8s.collectors.podlist import NodePods
from citadel_k8s.collectors.podlogs import PodLogs
from citadel_k8s.collectors.pods import PodCollector, pod_collector
from citadel_k8s.config.agent import AgentSettings, PodSource
from citadel_k8s.models.readings import (
    Absent,
    Allocation,
    Failed,
    Outcome,
    Pod,
    Pods,
    Reading,
)
from tests.podresources import Handler, behaving, encode, pod, reply, replying

LIST = encode("ListPodResourcesResponse", {"pod_resources": [pod("a", "GPU-1"), pod("b", "GPU-2")]})
WELL = replying(List=reply(LIST), GetAllocatableResources=reply())
GIVEN = (
    Allocation("ns", "a", "main", "nvidia.com/gpu", ("GPU-1",)),
    Allocation("ns", "b", "main", "nvidia.com/gpu", ("GPU-2",)),
)
A = Pod("uid-a", "ns", "a")
UNWELL = replying(List=reply(status="500"), GetAllocatableResources=reply())


class FakeKubelet(Kubelet):
    def __init__(self, outcome: Outcome[NodePods]) -> None:
        super().__init__("https://127.0.0.1", PodSource())
        self.outcome = outcome

    async def collect(self) -> Outcome[NodePods]:
        return self.outcome


def logs_of(folder: Path, *pods: Pod) -> PodLogs:
    for one in pods:
        name = f"{one.namespace}_{one.name}_{one.uid}"
        (folder / "var/log/pods" / name).mkdir(parents=True)
    return PodLogs(folder)


async def collected(
    folder: Path,
    handler: Handler | None,
    *names: Pod,
    kubelet: Outcome[NodePods] | None = None,
) -> tuple[Outcome[Pods], dict[str, str]]:
    socket = folder / "k.sock"
    api = None if kubelet is None else FakeKubelet(kubelet)
    collector = PodCollector(socket, logs_of(folder, *names), api)
    if handler is None:
        outcome = await collector.collect()
    else:
        async with behaving(socket, handler):
            outcome = await collector.collect()
    await collector.close()
    return outcome, {source: problem.reason for source, problem in collector.problems}


async def test_names_and_devices_are_put_together(tmp_path: Path) -> None:
    outcome, problems = await collected(tmp_path, WELL, A)
    assert outcome == Reading(Pods((A,), GIVEN, ()))
    assert problems == {}


async def test_devices_are_known_where_names_are_not(tmp_path: Path) -> None:
    outcome, problems = await collected(tmp_path, WELL)
    assert outcome == Reading(Pods((), GIVEN, ()))
    assert problems == {"pod-logs": "NoPodLogs"}


async def test_names_are_known_where_there_is_no_socket(tmp_path: Path) -> None:
    outcome, problems = await collected(tmp_path, None, A)
    assert outcome == Reading(Pods((A,), None, None))
    assert problems == {"pod-resources": "NoPodResources"}


async def test_names_are_known_where_the_socket_does_not_answer(tmp_path: Path) -> None:
    outcome, problems = await collected(tmp_path, UNWELL, A)
    assert outcome == Reading(Pods((A,), None, None))
    assert problems == {"pod-resources": "PodResourcesRefused"}


async def test_a_socket_that_does_not_answer_is_a_failure_where_nothing_else_is_known(
    tmp_path: Path,
) -> None:
    outcome, _ = await collected(tmp_path, UNWELL)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "PodResourcesRefused"


async def test_a_host_without_a_kubelet_has_no_pods(tmp_path: Path) -> None:
    outcome, problems = await collected(tmp_path, None)
    assert isinstance(outcome, Absent)
    assert outcome.reason == "NoPodResources"
    assert "mount its folder" in outcome.message
    assert problems == {"pod-resources": "NoPodResources", "pod-logs": "NoPodLogs"}


async def test_the_kubelets_api_goes_before_the_folder_of_logs(tmp_path: Path) -> None:
    named = Reading(NodePods((Pod("other", "ns", "z"),), frozenset()))
    outcome, problems = await collected(tmp_path, WELL, A, kubelet=named)
    assert outcome == Reading(Pods((Pod("other", "ns", "z"),), GIVEN, ()))
    assert problems == {}


async def test_the_folder_of_logs_steps_in_for_the_kubelets_api(tmp_path: Path) -> None:
    refused = Failed("NoPermission", "nodes/pods")
    outcome, problems = await collected(tmp_path, WELL, A, kubelet=refused)
    assert outcome == Reading(Pods((A,), GIVEN, ()))
    assert problems == {"kubelet": "NoPermission"}


async def test_devices_of_pods_that_have_run_to_their_end_are_free(tmp_path: Path) -> None:
    named = Reading(NodePods((A,), frozenset({("ns", "b")})))
    outcome, _ = await collected(tmp_path, WELL, kubelet=named)
    assert outcome == Reading(Pods((A,), GIVEN[:1], ()))


async def test_a_folder_of_the_sockets_name_is_no_socket(tmp_path: Path) -> None:
    # Kubernetes makes a folder where a mounted file is missing.
    (tmp_path / "k.sock").mkdir()
    outcome, _ = await collected(tmp_path, None)
    assert isinstance(outcome, Absent)


async def test_a_socket_that_nobody_serves_is_a_failure(tmp_path: Path) -> None:
    async with behaving(tmp_path / "k.sock", WELL):
        (tmp_path / "k.sock").rename(tmp_path / "old.sock")
    collector = PodCollector(tmp_path / "old.sock", PodLogs(tmp_path))
    outcome = await collector.collect()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "PodResourcesRefused"
    assert "Connection refused" in outcome.message


async def test_a_path_that_is_too_long_for_a_socket_is_absent(tmp_path: Path) -> None:
    outcome = await PodCollector(tmp_path / ("x" * 300), PodLogs(tmp_path)).collect()
    assert isinstance(outcome, Absent | Failed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_socket_of_root_says_what_is_missing(tmp_path: Path) -> None:
    socket = tmp_path / "k.sock"
    async with behaving(socket, WELL):
        os.seteuid(65532)
        try:
            outcome = await PodCollector(socket, PodLogs(Path("/nowhere"))).collect()
        finally:
            os.seteuid(0)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "NoPermission"
    assert "user 0" in outcome.message


@pytest.mark.parametrize(
    ("settings", "socket"),
    [
        ({}, "/var/lib/kubelet/pod-resources/kubelet.sock"),
        ({"host_root": "/host"}, "/host/var/lib/kubelet/pod-resources/kubelet.sock"),
        ({"host_root": "/host", "pod_resources_socket": "/p/k.sock"}, "/p/k.sock"),
    ],
)
def test_the_socket_is_below_the_hosts_root(settings: dict[str, Any], socket: str) -> None:
    made = AgentSettings.model_validate(settings, by_name=True)
    assert pod_collector(made)._socket == Path(socket)


def test_the_kubelets_api_is_asked_only_where_it_is_configured() -> None:
    assert pod_collector(AgentSettings())._kubelet is None
    asked = AgentSettings(pods=PodSource(kubelet_url="https://10.0.0.1:10250"))
    assert pod_collector(asked)._kubelet is not None


PROGRAM = """
import asyncio, sys
from pathlib import Path
from citadel_k8s.collectors.podlogs import PodLogs
from citadel_k8s.collectors.pods import PodCollector
asyncio.run(PodCollector(Path("/nowhere/k.sock"), PodLogs(Path("/nowhere"))).collect())
print(sorted({m.partition(".")[0] for m in sys.modules} & {"h2", "hpack", "grpc", "google"}))
"""


def test_a_node_without_a_kubelet_does_not_pay_for_http2() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
