"""What the client makes of answers that no healthy API server gives."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from aiohttp import web

from citadel_k8s.clients.kube import KubeClient, transport
from citadel_k8s.errors import ConfigError, KubeError

Answer = Callable[[web.Request], web.Response]


def kubeconfig(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }


@asynccontextmanager
async def serving(answer: Answer, folder: Path) -> AsyncIterator[KubeClient]:
    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    file = folder / "kube.conf"
    file.write_text(yaml.safe_dump(kubeconfig(f"http://127.0.0.1:{port}")))
    client = await KubeClient.connect(file)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def status(code: int, message: str, **headers: str) -> Answer:
    body = json.dumps({"kind": "Status", "code": code, "message": message})
    return lambda _: web.Response(status=code, text=body, headers=headers)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)],
)
async def test_the_time_that_a_server_asks_to_wait_is_passed_on(
    tmp_path: Path, header: str, seconds: float | None
) -> None:
    answer = status(429, "too many requests", **{"Retry-After": header})
    async with serving(answer, tmp_path) as kube:
        with pytest.raises(KubeError, match="too many requests") as caught:
            await kube.create_fabric_node({})
    assert (caught.value.status, caught.value.retry_after) == (429, seconds)


async def test_a_refusal_that_is_no_json_is_quoted_in_part(tmp_path: Path) -> None:
    page = "<html>" + "x" * 5000
    async with serving(lambda _: web.Response(status=502, text=page), tmp_path) as kube:
        with pytest.raises(KubeError, match="502: <html>xxx") as caught:
            await kube.list_nodes()
    assert caught.value.status == 502
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize("text", ["", "[]", "null", "<html>", "{"])
async def test_an_answer_that_is_no_object_is_an_error(tmp_path: Path, text: str) -> None:
    async with serving(lambda _: web.Response(text=text), tmp_path) as kube:
        with pytest.raises(KubeError, match="no JSON object"):
            await kube.list_nodes()


async def test_a_server_that_is_not_there_is_an_error_without_a_status(tmp_path: Path) -> None:
    file = tmp_path / "kube.conf"
    file.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1")))
    kube = await KubeClient.connect(file)
    with pytest.raises(KubeError, match="GET /api/v1/nodes: ") as caught:
        await kube.list_nodes()
    assert caught.value.status == 0
    await kube.close()


def chunks(answers: list[web.Response], seen: list[dict[str, str]]) -> Answer:
    def answer(request: web.Request) -> web.Response:
        seen.append(dict(request.query))
        return answers.pop(0)

    return answer


def page(names: list[str], token: str = "") -> web.Response:
    items = [{"metadata": {"name": name}} for name in names]
    return web.json_response({"items": items, "metadata": {"continue": token}})


async def test_a_list_whose_history_is_gone_starts_over_once(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []
    gone = web.json_response({"message": "too old"}, status=410)
    answers = [page(["a"], "t1"), gone, page(["b"], "t2"), page(["c"])]
    async with serving(chunks(answers, seen), tmp_path) as kube:
        found = await kube.list_fabric_nodes(chunk=1)
    assert [item["metadata"]["name"] for item in found] == ["b", "c"]
    assert seen == [
        {"limit": "1"},
        {"limit": "1", "continue": "t1"},
        {"limit": "1"},
        {"limit": "1", "continue": "t2"},
    ]


async def test_a_list_whose_history_is_always_gone_is_an_error(tmp_path: Path) -> None:
    async with serving(status(410, "too old"), tmp_path) as kube:
        with pytest.raises(KubeError) as caught:
            await kube.list_fabric_nodes()
    assert caught.value.status == 410


async def test_chunks_whose_history_is_gone_begin_anew_once_and_may_repeat(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []
    gone = web.json_response({"message": "too old"}, status=410)
    answers = [page(["a"], "t1"), gone, page(["a"], "t2"), page(["b"])]
    async with serving(chunks(answers, seen), tmp_path) as kube:
        found = [chunk async for chunk in kube.fabric_node_chunks(chunk=1)]
    assert [[item["metadata"]["name"] for item in chunk] for chunk in found] == [
        ["a"],
        ["a"],
        ["b"],
    ]
    assert [query.get("continue") for query in seen] == [None, "t1", None, "t2"]


async def test_chunks_are_asked_for_one_after_the_other_as_they_are_taken(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []
    answers = [page(["a"], "t1"), page(["b"])]
    async with serving(chunks(answers, seen), tmp_path) as kube:
        async for chunk in kube.node_chunks(label_selector="x=y", chunk=1):
            assert len(chunk) == 1
            break
    assert seen == [{"labelSelector": "x=y", "limit": "1"}]


async def test_an_empty_list_may_be_null(tmp_path: Path) -> None:
    answer = '{"items": null, "metadata": null}'
    async with serving(lambda _: web.Response(text=answer), tmp_path) as kube:
        assert await kube.list_fabric_nodes() == []


async def test_the_token_is_shown_and_a_name_cannot_leave_its_place(tmp_path: Path) -> None:
    asked: list[tuple[str, str | None]] = []

    def answer(request: web.Request) -> web.Response:
        asked.append((request.raw_path, request.headers.get("Authorization")))
        return web.json_response({"items": []})

    async with serving(answer, tmp_path) as kube:
        await kube.get_fabric_node("../../secrets?x")
        other = kube.with_token("mine")
        await other.list_nodes()
        await other.close()
    assert asked[0] == (
        "/apis/fabric.aceteam.ai/v1alpha1/fabricnodes/..%2F..%2Fsecrets%3Fx",
        "Bearer t",
    )
    assert asked[1][1] == "Bearer mine"


async def test_without_any_credentials_it_is_said_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--kubeconfig or KUBECONFIG"):
        await KubeClient.connect(environ={"HOME": str(tmp_path)})


async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    for environ in ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}):
        with pytest.raises(ConfigError, match=r"other\.conf: no such file"):
            await KubeClient.connect(tmp_path / "other.conf", environ=environ)


@pytest.mark.parametrize("text", ["", "[]", "{}", "a: [", "\x00", "clusters: 3"])
async def test_a_kubeconfig_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kube.conf"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"kube\.conf"):
        await KubeClient.connect(file)


async def test_in_a_pod_without_a_token_it_is_said_what_is_missing(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match="service account"):
        await KubeClient.connect(environ=environ)


async def test_the_environment_names_a_kubeconfig_before_a_pod_does(tmp_path: Path) -> None:
    file = tmp_path / "kube.conf"
    file.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1")))
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": f"/none:{file}"}
    kube = await KubeClient.connect(environ=environ)
    await kube.close()


async def test_a_token_that_was_refused_is_read_anew_for_the_next_request(tmp_path: Path) -> None:
    good = "t"

    def answer(request: web.Request) -> web.Response:
        known = request.headers.get("Authorization") == f"Bearer {good}"
        return web.json_response({} if known else {"message": "who?"}, status=200 if known else 401)

    async with serving(answer, tmp_path) as kube:
        await kube.get_fabric_node("n")
        good = "next"
        file = tmp_path / "kube.conf"
        file.write_text(file.read_text().replace("token: t\n", "token: next\n"))
        with pytest.raises(KubeError) as caught:
            await kube.get_fabric_node("n")
        assert caught.value.status == 401
        await kube.get_fabric_node("n")
        good = "third"
        file.unlink()
        for status_code in (401, 0):
            with pytest.raises(KubeError) as caught:
                await kube.get_fabric_node("n")
            assert caught.value.status == status_code


@pytest.mark.parametrize("answer", ["{}", '{"kind": "Status", "metadata": {}}'])
async def test_an_answer_that_is_no_list_is_not_an_empty_one(answer: str, tmp_path: Path) -> None:
    async with serving(lambda _: web.Response(text=answer), tmp_path) as kube:
        with pytest.raises(KubeError, match="no list") as error:
            await kube.list_fabric_nodes()
        with pytest.raises(KubeError, match="no list"):
            await kube.list_nodes()
    assert error.value.status == 200


async def test_several_kubeconfigs_are_one_whose_first_words_count(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    one, other = kubeconfig("http://127.0.0.1:1"), kubeconfig("http://127.0.0.1:2")
    # The first has a context whose cluster and user the second knows; both say which is theirs.
    one["current-context"], one["contexts"][0]["name"] = "mine", "mine"
    one["contexts"][0]["context"] = {"cluster": "elsewhere", "user": "u"}
    other["clusters"].append({"name": "elsewhere", "cluster": {"server": "http://127.0.0.1:3"}})
    first.write_text(yaml.safe_dump(one))
    second.write_text(yaml.safe_dump(other))
    environ = {"KUBECONFIG": f"{tmp_path / 'gone'}:{first}:{second}"}
    client = await KubeClient.connect(environ=environ)
    assert client.host == "http://127.0.0.1:3"
    await client.close()
    client = await KubeClient.connect(environ=environ, context="c")
    assert client.host == "http://127.0.0.1:1", "of two clusters of a name the first counts"
    await client.close()


async def test_a_context_that_no_kubeconfig_has_is_named(tmp_path: Path) -> None:
    file = tmp_path / "kube.conf"
    file.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1")))
    with pytest.raises(ConfigError, match="nowhere"):
        await KubeClient.connect(file, context="nowhere")


@pytest.mark.parametrize("text", ["- a", "contexts: 1", "contexts: [1]", "clusters: {a: b}"])
async def test_a_file_of_several_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1")))
    bad.write_text(text)
    with pytest.raises(ConfigError, match="kubeconfig"):
        await KubeClient.connect(environ={"KUBECONFIG": f"{bad}:{good}"})


async def test_a_plugin_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = kubeconfig("http://127.0.0.1:1")
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sleep"}
    told["users"][0]["user"] = {"exec": {**plugin, "args": ["0.2"]}}
    file = tmp_path / "kube.conf"
    file.write_text(yaml.safe_dump(told))
    monkeypatch.setattr(transport, "PLUGIN_PATIENCE", 0.05)
    with pytest.raises(ConfigError, match="its plugin gave no credentials"):
        await KubeClient.connect(file)
    # The library has started it and lets nobody end it: the loop has to live until it has ended.
    async with asyncio.timeout(5):
        while any(child.name() == "sleep" for child in psutil.Process().children()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)
