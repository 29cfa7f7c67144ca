"""What the page says of asking through the object is what the operator does."""

import re
from pathlib import Path

import pytest
import yaml

from citadel_k8s.config.agent import check_engine
from citadel_k8s.domain import desiredconfig
from citadel_k8s.domain.desiredconfig import desired_config
from citadel_k8s.operator import configpush, keptspecs

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/configuration.md").read_text()
SECTION = PAGE.split("\n## By the object\n")[1].split("\n## ", maxsplit=1)[0]
KEYS = PAGE.split("\n## Keys\n")[1].split("\n## ", maxsplit=1)[0]


def test_the_object_of_the_page_asks_for_what_can_be_sent():
    (text,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    spec = yaml.safe_load(text)["spec"]
    desired = desired_config(spec["config"], spec["nodeId"], check_engine)
    assert set(desired.values) == {"deviceName", "customTags", "intervalSeconds"}
    assert desired.unsupported == ()


def test_every_key_that_can_be_sent_is_in_the_table():
    told = {name.split(".")[-1] for name in re.findall(r"`([\w.]+)`", KEYS)}
    assert set(desiredconfig.KEYS) <= told


def test_keys_that_have_no_meaning_here_are_not_sent():
    named = re.findall(r"`(\w+)`", PAGE.split("### What has no meaning here")[1].split(".\n\n")[0])
    keys = [key for key in named if key not in {"unsupported", "sshAllowedUsers"}]
    assert "nodePasscode" in keys
    desired = desired_config(dict.fromkeys(keys, "secret"), "gpu-1", check_engine)
    assert desired.values == {}
    assert set(desired.unsupported) == set(keys)


def test_every_reason_of_the_condition_is_told():
    source = (ROOT / "citadel_k8s/domain/conditions.py").read_text()
    body = source.split("def _config_applied")[1].split("\ndef ")[0]
    given = set(re.findall(r'Claim\(kind, "(\w+)", "(\w+)"', body))
    rows = [row.strip("| ").split(" | ") for row in SECTION.splitlines() if row.startswith("| ")]
    told = {(row[0], row[1]) for row in rows[1:]}
    assert told == given | {("Unknown", "the state's own")}


@pytest.mark.parametrize(
    "words",
    [
        f"sends it {configpush.SETTLE:.0f} s after the change",
        f"after {configpush.AGAIN_FIRST / 60:.0f} min, 2 min, \N{HORIZONTAL ELLIPSIS} an hour",
        f"over {desiredconfig.CONFIG_MAX // 1024} KiB",
        f"for {keptspecs.KEPT_SECONDS / 3600:.0f} h",
        configpush.NOT_TARGETED.split(":", maxsplit=1)[0],
    ],
)
def test_the_numbers_of_the_page_are_those_of_the_code(words: str):
    assert words in re.sub(r"\s+", " ", SECTION)


def test_the_pace_of_the_page_is_that_of_the_code():
    assert (configpush.DIFFERS, configpush.AGAIN_MAX) == (2, 3600)
    assert configpush.SENDS_PER_TICK / configpush.TICK == 10
