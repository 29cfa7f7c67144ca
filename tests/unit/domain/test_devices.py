import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.devices import DeviceMap, Place, is_gpu, vendor_of
from citadel_k8s.models.readings import Gpu, MigInstance

U0 = "GPU-0000000a-0000-4000-8000-00000000000b"
U1 = "GPU-0000000c-0000-4000-8000-00000000000d"
MIG = MigInstance("MIG-0000000e-0000-4000-8000-00000000000f", "1g.10gb", 7, 0)
NVIDIA = (
    Gpu(0, U0, pci_bus_id="00000000:0C:00.0", mig=(MIG,)),
    Gpu(1, U1, pci_bus_id="00000000:0D:00.0"),
)
OTHERS = (
    Gpu(0, None, vendor="intel", pci_bus_id="0000:03:00.0", minor=1),
    Gpu(1, "0xfeed", vendor="amd", pci_bus_id="0000:0c:00.0", minor=2),
)
DRA = "gpu.nvidia.com"


@pytest.mark.parametrize(
    ("resource", "name", "index", "device", "shared"),
    [
        ("nvidia.com/gpu", U1, 1, U1, False),
        ("nvidia.com/gpu", U1.upper().replace("GPU", "gpu"), 1, U1, False),
        ("nvidia.com/gpu", f"{U1}::12", 1, U1, True),
        ("nvidia.com/gpu.shared", f"{U1}::0", 1, U1, True),
        ("nvidia.com/gpu", f"{U1}-_-7", 1, U1, True),
        ("example.org/renamed", U1, 1, U1, False),
        ("nvidia.com/mig-1g.10gb", MIG.uuid, 0, MIG.uuid, False),
        ("nvidia.com/mig-1g.10gb", f"MIG-{U0}/7/0", 0, MIG.uuid, False),
        ("nvidia.com/mig-1g.10gb", f"MIG-{U0}/3/0", 0, f"MIG-{U0}/3/0", False),
        ("nvidia.com/gpu", "1", 1, U1, False),
        ("nvidia.com/gpu", "1::2", 1, U1, True),
        (DRA, "gpu-1", 1, U1, False),
        (DRA, U1.lower(), 1, U1, False),
        (DRA, "gpu-0-mig-19-4-1", 0, "gpu-0-mig-19-4-1", False),
        (DRA, "k8s.gpu.nvidia.com/device=gpu-1", 1, U1, False),
        (DRA, "0000-0d-00-0", 1, U1, False),
    ],
)
def test_a_device_of_nvidia_is_found_by_its_name(
    resource: str, name: str, index: int, device: str, *, shared: bool
) -> None:
    place = DeviceMap(NVIDIA).place(resource, name)
    assert place is not None
    assert (place.gpu, place.device, place.shared) == (index, device, shared)


@pytest.mark.parametrize(
    ("resource", "name", "place"),
    [
        ("gpu.intel.com/i915", "card1-0", Place(0, "0", None)),
        ("gpu.intel.com/xe", "card1-3", Place(0, "0", shared=True)),
        ("gpu.intel.com", "0000-03-00-0-0x56a0", Place(0, "0")),
        ("gpu.intel.com/i915_monitoring", "card1-0", None),
        ("gpu.intel.com/i915", "card7-0", None),
        ("amd.com/gpu", "0000:0c:00.0", Place(1, "0xfeed")),
        ("amd.com/gpu", "0000:0f:00.0", None),
        ("nvidia.com/gpu", "0000:0c:00.0", None),
        ("nvidia.com/gpu", "0", None),
        ("amd.com/gpu", "\x00", None),
    ],
)
def test_a_device_of_another_maker_is_found_by_its_name(
    resource: str, name: str, place: Place | None
) -> None:
    assert DeviceMap(OTHERS).place(resource, name) == place


def test_a_card_without_a_known_node_is_not_guessed_by_its_index() -> None:
    gpus = [Gpu(1, None, vendor="intel")]
    assert DeviceMap(gpus).place("gpu.intel.com/i915", "card1-0") is None


def test_a_node_number_is_not_taken_for_an_index_where_nodes_are_known() -> None:
    gpus = [Gpu(0, U0, minor=1), Gpu(1, U1, minor=0)]
    place = DeviceMap(gpus).place(DRA, "gpu-0")
    assert place == Place(1, U1)


@pytest.mark.parametrize(
    ("resource", "device", "gpu"),
    [
        ("nvidia.com/gpu", "0", True),
        ("nvidia.com/gpu.shared", "x", True),
        ("nvidia.com/mig-3g.40gb", "x", True),
        ("amd.com/gpu", "x", True),
        ("gpu.intel.com/i915", "x", True),
        (DRA, "gpu-9", True),
        ("anything", U0, True),
        ("nvidia.com/hostdev", "0", False),
        ("nvidia.com/rdma_shared_device_a", "0", False),
        ("compute-domain.nvidia.com", "channel-0", False),
        ("gpu.example.org", "gpu-0", False),
        ("evil-nvidia.com/gpu", "0", False),
        ("devices.kubevirt.io/kvm", "kvm0", False),
        ("", "", False),
    ],
)
def test_gpus_are_told_from_other_devices(resource: str, device: str, *, gpu: bool) -> None:
    assert is_gpu(resource, device) is gpu


def test_a_vendor_is_told_by_the_domain() -> None:
    assert vendor_of("gpu.intel.com/xe") == "intel"
    assert vendor_of("nvidia.com.evil.org/gpu") is None


@given(st.text(max_size=60), st.text(max_size=80))
def test_any_name_has_a_place_or_none(resource: str, name: str) -> None:
    place = DeviceMap(NVIDIA).place(resource, name)
    assert place is None or place.gpu in {0, 1}


@given(
    st.sampled_from(["nvidia.com/gpu", DRA]),
    st.from_regex(r"(GPU-|MIG-|gpu-|card|0000)[0-9a-f:/=.-]{0,50}", fullmatch=True),
)
def test_names_that_are_nearly_right_do_no_harm(resource: str, name: str) -> None:
    place = DeviceMap(NVIDIA).place(resource, name)
    assert place is None or place.gpu in {0, 1}
