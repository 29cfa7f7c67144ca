import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.capabilities import (
    TAGS_MAX,
    capabilities_of,
    model_tag,
    no_permissions,
    tag_of,
)
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.readings import Absent, Failed, Gpu, Gpus, Reading
from tests.unit.domain.richnode import OLLAMA, rich

TAG = re.compile(r"^[a-z0-9][a-z0-9:._-]*$")
GIB = 1024**3


def node(*gpus: Gpu) -> Snapshot:
    return Snapshot().learn_gpus(Reading(Gpus("575", gpus)), at=1, duration=0)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA H100 NVL", "h100"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA RTX A6000", "rtx-a6000"),
        ("Tesla T4", "t4"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("AMD Instinct MI300X", "mi300x"),
        ("Intel Data Center GPU Max 1550", "data-center-max-1550"),
        ("NVIDIA", ""),
    ],
)
def test_a_gpus_tag_is_the_name_of_its_model(name: str, tag: str):
    assert model_tag(name) == tag


@given(st.text(max_size=400))
def test_any_text_becomes_a_tag_of_the_contract_or_none(text: str):
    tag = tag_of(text)
    assert tag == "" or (TAG.match(tag) and len(tag) <= 128)
    assert tag_of(tag) == tag


def test_a_node_is_tagged_by_people_and_by_its_gpus():
    told = capabilities_of(rich(), ("Team Blue", "zone:a", "gpu", "!!"))
    assert told.tags == ["team-blue", "zone:a", "gpu", "gpu:h100", "vram:80gb"]
    assert told.engines == ["ollama", "vllm"]
    assert told.gpu is True
    assert [(g.vram_mb, g.tag, g.vram_tag) for g in told.gpus or []] == [
        (81559, "gpu:h100", "vram:80gb")
    ] * 2


def test_a_database_is_no_engine():
    postgres = replace(OLLAMA, engine="postgres", type="database")
    told = Snapshot().learn_engines(Reading((OLLAMA, postgres)), at=1, duration=0)
    assert capabilities_of(told, ()).engines == ["ollama"]


def test_tags_are_bounded():
    told = capabilities_of(Snapshot(), tuple(f"tag-{n}" for n in range(1000)))
    assert len(told.tags or []) == TAGS_MAX


def test_a_kubernetes_node_offers_no_console_and_starts_nothing():
    told = capabilities_of(rich(), ())
    assert (told.console, told.desktop, told.files) == (False, False, False)
    assert told.available_services == []
    assert not any(no_permissions().model_dump().values())


def test_whether_there_is_a_gpu_is_unknown_until_somebody_looked():
    assert capabilities_of(Snapshot(), ()).gpu is None
    assert capabilities_of(Snapshot(), ()).gpus is None
    failed = Snapshot().learn_gpus(Failed("Unresponsive", "x"), at=1, duration=0)
    assert capabilities_of(failed, ()).gpu is None
    absent = Snapshot().learn_gpus(Absent("DriverNotLoaded", "x"), at=1, duration=0)
    assert capabilities_of(absent, ()).gpu is False
    assert capabilities_of(node(), ()).gpu is False
    assert capabilities_of(node(Gpu(0)), ()).gpu is True


def test_a_gpu_without_a_name_has_no_tag_of_a_model():
    told = capabilities_of(node(Gpu(0, memory_total_bytes=22 * GIB)), ())
    assert told.tags == ["gpu", "vram:22gb"]
