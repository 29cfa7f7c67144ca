"""The page of rights is what the manifests give; each decision is listed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/security.md").read_text()
DECISIONS = ROOT / "docs/decisions"

PLACES = {
    "citadel": "its namespace",
    "kube-node-lease": "`kube-node-lease`",
    "default": "`default`, where Events of objects without a namespace are",
}
"""How the page calls the namespaces of the manifests."""


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((ROOT / "manifests" / name).read_text()) if one]


def rights(name: str, cluster: str) -> Iterator[list[str]]:
    for role in documents(name):
        if role["kind"] not in {"Role", "ClusterRole"} or role["metadata"]["name"] in {
            "citadel-view",
            "citadel-edit",
        }:
            continue
        where = PLACES.get(role["metadata"].get("namespace", ""), cluster)
        for rule in role["rules"]:
            names = rule.get("resourceNames")
            on = f"the Lease `{names[0]}`" if names else ", ".join(rule["resources"])
            yield [where, on, ", ".join(rule["verbs"])]


def test_the_operators_rights_are_those_of_the_manifests():
    only = "cluster, only with `cordon.mode: on`"
    given = [*rights("rbac.yaml", "cluster"), *rights("cordon.yaml", only)]
    assert rows(section("The operator in the cluster"))[1:] == given


def test_the_policies_are_those_of_the_manifests():
    kind = "ValidatingAdmissionPolicy"
    given = {
        one["metadata"]["name"]
        for name in ("policy.yaml", "cordon.yaml")
        for one in documents(name)
        if one["kind"] == kind
    }
    assert set(re.findall(r"^\*\*`([\w-]+)`\*\*", TEXT, re.MULTILINE)) == given
    assert 'check("repair")' in (ROOT / "manifests/policy.yaml").read_text()


def test_the_keys_of_the_operators_redis_user_are_those_that_it_is_given():
    script = (ROOT / "charts/citadel-k8s/files/redis/start.sh").read_text()
    (line,) = re.findall(r"^user operator .*$", script, re.MULTILINE)
    given = re.findall(r"\([~&](\S+)", line)
    assert [row[0].strip("`") for row in rows(section("Redis"))[1:]] == given
    assert line in re.sub(
        r"^ +", "", (ROOT / "manifests/redis.yaml").read_text(), flags=re.MULTILINE
    )


def test_each_decision_is_listed_under_its_title():
    titles = {}
    for page in DECISIONS.glob("0*.md"):
        number, _, title = page.read_text().splitlines()[0].removeprefix("# ").partition(". ")
        assert int(number) == int(page.name[:4])
        titles[int(number)] = (title, page.name)
    listed = re.findall(
        r"^(\d+)\. \[(.*)\]\((.*)\)$", (DECISIONS / "README.md").read_text(), re.MULTILINE
    )
    assert {int(number): (title, name) for number, title, name in listed} == titles
