"""The agent's small gRPC client against real gRPC, as a kubelet serves it."""

import os
from pathlib import Path

import pytest

from citadel_k8s.collectors.podresources import Granted, ask
from citadel_k8s.models.readings import Allocation, Failed, Outcome, Reading
from tests.podresources import pod, served

PODS = {"pod_resources": [pod("a", "GPU-1", "GPU-2"), pod("b")]}
DEVICES = {"devices": [{"resource_name": "nvidia.com/gpu", "device_ids": ["GPU-1", "GPU-2"]}]}
GIVEN = (Allocation("ns", "a", "main", "nvidia.com/gpu", ("GPU-1", "GPU-2")),)


async def asked(folder: Path, **says: object) -> Outcome[Granted]:
    async with served(folder / "kubelet.sock", **says):
        return await ask(folder / "kubelet.sock")


async def test_a_kubelet_answers(tmp_path: Path) -> None:
    outcome = await asked(tmp_path, list=PODS, allocatable=DEVICES)
    assert outcome == Reading(Granted(GIVEN, (("nvidia.com/gpu", ("GPU-1", "GPU-2")),)))


async def test_an_old_kubelet_does_not_say_what_can_be_given(tmp_path: Path) -> None:
    outcome = await asked(tmp_path, list=PODS)
    assert outcome == Reading(Granted(GIVEN, None))


async def test_a_kubelet_with_a_large_answer(tmp_path: Path) -> None:
    pods = [pod(f"p{n}", *(f"GPU-{n}-{k}" + "x" * 100 for k in range(8))) for n in range(1000)]
    outcome = await asked(tmp_path, list={"pod_resources": pods}, allocatable=DEVICES)
    assert isinstance(outcome, Reading)
    assert sum(len(a.devices) for a in outcome.value.allocations) == 8000


async def test_a_kubelet_whose_answer_is_beyond_all_measure(tmp_path: Path) -> None:
    devices = [f"GPU-{n}" + "x" * 60 for n in range(100_000)]
    outcome = await asked(tmp_path, list={"pod_resources": [pod("a", *devices)]})
    assert isinstance(outcome, Failed)
    assert outcome.reason == "PodResourcesUnreadable"


async def test_a_kubelet_that_restarts_is_asked_at_its_new_socket(tmp_path: Path) -> None:
    for name in ("a", "b"):
        outcome = await asked(tmp_path, list={"pod_resources": [pod(name, "GPU-1")]})
        assert isinstance(outcome, Reading)
        assert [a.pod for a in outcome.value.allocations] == [name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_socket_of_root_is_closed_to_others(tmp_path: Path) -> None:
    socket = tmp_path / "kubelet.sock"
    async with served(socket, list=PODS):
        socket.chmod(0o600)
        os.seteuid(65532)
        try:
            with pytest.raises(PermissionError):
                await ask(socket)
        finally:
            os.seteuid(0)
