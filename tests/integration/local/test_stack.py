import asyncio

from citadel_k8s.local.stack import Stack


async def test_a_client_finds_both_servers_of_the_stack(stack: Stack, namespace: str) -> None:
    assert await stack.valkey.ask("PING") == "+PONG"
    answer = await stack.kube.request("GET", f"/api/v1/namespaces/{namespace}")
    assert answer["metadata"]["name"] == namespace


async def test_two_stacks_run_side_by_side_and_leave_no_folder(stack: Stack) -> None:
    lines: list[str] = []
    async with Stack(report=lines.append) as other:
        assert other.kube.server != stack.kube.server
        assert other.valkey.port != stack.valkey.port
        await other.valkey.ask("SET only-here 1")
        assert await stack.valkey.ask("EXISTS only-here") == ":0"
        folder = other.folder
    assert not await asyncio.to_thread(folder.exists)
    assert any("Valkey" in line for line in lines)
    assert any("Kubernetes" in line for line in lines)
