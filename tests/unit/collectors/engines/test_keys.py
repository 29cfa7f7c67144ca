"""Keys of engines: read anew, sent to their own engine, and never told."""

import pytest

from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.config.agent import EngineEndpoint
from tests import fake_engines as fakes
from tests.fake_engines import FakeEngine
from tests.unit.collectors.engines.looking import Looker


async def test_a_vllm_behind_a_key_is_ok_and_its_models_are_unknown(tmp_path):
    async with FakeEngine(fakes.vllm(), key="secret-1") as fake:
        async with Looker(fake, "vllm") as looker:
            engine = await looker.look()
        assert (engine.health, engine.models, engine.reason) == ("ok", None, "Unauthorized")
        assert engine.requests_running == 2.0
        (tmp_path / "key").write_text("secret-1\n")
        async with Looker(fake, "vllm", api_key_file=tmp_path / "key") as looker:
            engine = await looker.look()
        assert (engine.health, engine.reason) == ("ok", None)
        assert engine.models == ("tiny-random-llama", "tiny-alias")


async def test_a_key_is_read_anew_each_time_and_never_told(tmp_path):
    key = tmp_path / "key"
    key.write_text("old-secret")
    async with (
        FakeEngine(fakes.vllm(), key="new-secret") as fake,
        Looker(fake, "vllm", api_key_file=key) as looker,
    ):
        engine = await looker.look()
        assert (engine.reason, engine.models) == ("Unauthorized", None)
        assert "secret" not in repr(engine)
        key.write_text("new-secret")
        assert (await looker.look()).models is not None


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff\xfe", b"a\r\nX: y", "dir"])
async def test_a_key_that_cannot_be_used_is_told_and_not_sent(tmp_path, content):
    key = tmp_path / "key"
    if content == "dir":
        key.mkdir()
    elif content is not None:
        key.write_bytes(content)
    async with (
        FakeEngine(fakes.vllm(), key="x") as fake,
        Looker(fake, "vllm", api_key_file=key) as looker,
    ):
        engine = await looker.look()
    assert (engine.health, engine.models, engine.reason) == ("ok", None, "KeyUnreadable")
    assert set(fake.tokens) == {None}


async def test_a_key_goes_to_its_own_endpoint_alone(tmp_path):
    key = tmp_path / "key"
    key.write_text("secret")
    async with fakes.fake_engines(fakes.vllm(), fakes.vllm()) as (one, other):
        collector = EngineCollector(
            [
                EngineEndpoint(name="a", engine="vllm", url=one.url, api_key_file=key),
                EngineEndpoint(name="b", engine="vllm", url=other.url),
            ],
            discover=False,
        )
        await collector.collect()
        await collector.close()
    assert set(one.tokens) == {"secret"}
    assert set(other.tokens) == {None}
