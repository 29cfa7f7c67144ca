from collections.abc import Collection
from typing import Any

import pytest

from citadel_k8s.api.live.failure import LiveError, Step
from citadel_k8s.api.live.fence import Fence
from citadel_k8s.api.live.places import Places, SystemResolver
from tests.unit.api.live.rows import row


class Names:
    """Names whose meaning changes with each look-up."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), []

    async def resolve(self, name: str) -> list[str]:
        self.asked.append(name)
        if not self.answers:
            raise OSError("no such name")
        return self.answers.pop(0)


class Others:
    def __init__(self, *addresses: str) -> None:
        self.addresses = frozenset(addresses)

    async def others_at(
        self, org_id: str, addresses: Collection[str], *, claimed: bool = False
    ) -> frozenset[str]:
        return self.addresses & frozenset(addresses)


def places(*answers: list[str], others: Others | None = None) -> tuple[Places, Names]:
    names = Names(*answers)
    fence = Fence(["100.64.0.0/10", "10.42.0.0/16", "fd7a:115c:a1e0::/48"])
    return Places(fence, names, others or Others()), names


async def found(status: dict[str, Any] | None, *addresses: str, **more: Any) -> list[str]:
    where, _ = places(*more.pop("answers", ()), **more)
    return [place.where for place in await where.of("acme", row(addresses=[*addresses]), status)]


async def failed(status: dict[str, Any] | None, *addresses: str, **more: Any) -> LiveError:
    with pytest.raises(LiveError) as caught:
        await found(status, *addresses, **more)
    return caught.value


async def test_what_the_mesh_knows_comes_before_what_the_node_says() -> None:
    status = {
        "addresses": ["10.42.0.7", "192.168.0.7"], "statusPort": 9000, "podIP": "10.42.0.7",
        "status": {"node": {"network_ip": "100.64.0.8", "tailscale_ip": "100.64.0.7"}},
    }  # fmt: skip

    assert await found(status, "fd7a:115c:a1e0::7", "100.64.0.7") == [
        "[fd7a:115c:a1e0::7]:9000", "100.64.0.7:9000", "10.42.0.7:9000", "100.64.0.8:9000",
    ]  # fmt: skip


async def test_a_bare_status_of_the_oldest_nodes_is_read_too() -> None:
    assert await found({"node": {"tailscale_ip": "100.64.0.7"}}) == ["100.64.0.7:8080"]
    assert await found(None, "100.64.0.7") == ["100.64.0.7:8080"]


async def test_a_node_that_has_no_address_inside_the_fence_is_not_asked() -> None:
    for status, addresses in (
        (None, []),
        ({"addresses": ["127.0.0.1", "169.254.169.254", "8.8.8.8", "example.com"]}, []),
        ({"addresses": "100.64.0.1"}, []),
        ({"addresses": [None, 7, {}, ["100.64.0.1"]], "node": {"network_ip": 3}}, []),
        (None, ["127.0.0.1", "::ffff:100.64.0.1"]),
    ):
        assert (await failed(status, *addresses)).step is Step.ADDRESS


async def test_the_address_of_another_orgs_node_is_not_asked() -> None:
    status = {"addresses": ["100.64.0.9"]}

    assert (await failed(status, others=Others("100.64.0.9"))).step is Step.ADDRESS
    # What the mesh says is this node's own is.
    assert await found(status, "100.64.0.9", others=Others("100.64.0.9")) == ["100.64.0.9:8080"]


@pytest.mark.parametrize("port", [0, -1, 22, 6379.5, 65536, "80", True, 1023])
async def test_a_port_that_is_no_agents_is_not_asked(port: object) -> None:
    assert (await failed({"statusPort": port}, "100.64.0.1")).step is Step.ADDRESS


@pytest.mark.parametrize("port", [5432, 6379, 2379, 6443, 10250, 15432])
async def test_a_port_of_another_service_is_not_asked(port: int) -> None:
    fence = Fence(["127.0.0.0/8", "10.42.0.0/16"])
    where = Places(fence, Names(), Others(), closed=[15432])
    status = {"addresses": ["127.0.0.1", "10.42.0.9"], "statusPort": port}
    with pytest.raises(LiveError, match="another service"):
        await where.of("acme", row(), status)


async def test_few_addresses_of_one_node_are_tried() -> None:
    status = {"addresses": [f"100.64.0.{number}" for number in range(1, 100)]}

    assert len(await found(status)) == 4


async def test_a_name_is_looked_up_once_and_what_was_checked_is_dialled() -> None:
    where, names = places(["100.64.0.3"], ["127.0.0.1"])

    (place,) = await where.of("acme", row(addresses=["gpu-3.mesh.example"]), None)

    assert (str(place.address), place.name) == ("100.64.0.3", "gpu-3.mesh.example")
    assert names.asked == ["gpu-3.mesh.example"]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["169.254.169.254"], ["100.64.0.3", "127.0.0.1"], ["fe80::1%eth0"],
        ["::ffff:100.64.0.3"], ["100.64.0.3", "not an address"],
    ],
)  # fmt: skip
async def test_a_name_that_leads_elsewhere_too_is_not_asked(addresses: list[str]) -> None:
    error = await failed(None, "gpu-3.mesh.example", answers=[addresses])

    assert error.step is Step.ADDRESS


async def test_a_name_that_means_nothing_is_told() -> None:
    assert (await failed(None, "gpu-3.mesh.example")).step is Step.RESOLVE
    assert (await failed(None, "gpu-3.mesh.example", answers=[[]])).step is Step.RESOLVE


async def test_a_name_that_only_the_node_says_is_not_looked_up() -> None:
    where, names = places(["100.64.0.3"])
    with pytest.raises(LiveError):
        await where.of("acme", row(), {"addresses": ["evil.example"]})

    assert names.asked == []


async def test_other_spellings_of_addresses_are_not_looked_up() -> None:
    for text in ("2130706433", "0x7f.1", "127.1", "0177.0.0.1", "a.0x7f000001"):
        where, names = places(["100.64.0.3"])
        with pytest.raises(LiveError):
            await where.of("acme", row(addresses=[text]), None)
        assert names.asked == []


async def test_the_system_looks_up_names() -> None:
    assert set(await SystemResolver().resolve("localhost")) <= {"127.0.0.1", "::1"}
