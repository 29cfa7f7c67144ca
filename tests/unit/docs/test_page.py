"""The page of the Fabric page says what its code does."""

import gzip
import re
from pathlib import Path

import pytest

from citadel_k8s.api.page.policy import CONTENT_POLICY, PAGE_HEADERS
from citadel_k8s.domain import standing

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/page.md").read_text()
WEB = ROOT / "web"
STATIC = ROOT / "citadel_k8s/api/static"
FIRST_LOAD = 45_000
"""Bytes of the first load, packed; as the benchmark has it."""


def source(path: str) -> str:
    return (WEB / "src" / path).read_text()


def words(path: str, name: str) -> list[str]:
    """Give the texts of a list."""
    body = source(path).split(f"{name} = ")[1].split(";\n")[0]
    return re.findall(r'"([^"]+)"', body)


def entries(path: str, name: str) -> dict[str, str]:
    """Give the entries of an object of plain texts."""
    body = re.split(rf"\b{name}(?::[^=\n{{]+)?(?: =|:) \{{", source(path))[1].split("\n}", 1)[0]
    return dict(re.findall(r'^\s+"?([\w-]+)"?:\s*"([^"]+)",$', body, re.MULTILINE))


def titles_of_columns() -> dict[str, str]:
    body = source("text/nodes.ts").split("  column: {")[1].split("  },")[0]
    return dict(re.findall(r'(\w+): "([^"]+)"', body))


def section(title: str, level: int = 2) -> str:
    return re.split(rf"\n#{{1,{level}}} ", TEXT.split(f"\n{'#' * level} {title}\n")[1])[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def constant(path: str, name: str) -> float:
    found = re.search(rf"^(?:export )?const {name} = ([\d_.]+);", source(path), re.MULTILINE)
    assert found, f"{path} has no {name}"
    return float(found[1].replace("_", ""))


def test_states_are_told_in_the_order_of_the_list_with_the_legends_own_words():
    told = [(name, meaning) for name, meaning in rows(section("States"))[1:]]
    order = words("fleet/row.ts", "STATES")
    assert [name for name, _ in told] == order == list(standing.ATTENTION)
    assert dict(told) == entries("text/parts.ts", "meanings")


def test_columns_are_those_of_the_table():
    table = section("The list").split("\n\n**")[0]
    told = [row[0] for row in rows(table)[1:]]
    titles = titles_of_columns()
    assert sorted(told) == sorted(titles.values())
    assert told == [titles[name] for name in words("nodes/columns.ts", "COLUMNS")]


def test_bands_of_utilization_are_those_of_the_legend():
    told = [row[1] for row in rows(section("The list")) if row[0].isdigit()]
    bands = re.search(r"bands: \[([^\]]+)\]", source("text/legend.ts"))
    assert bands
    assert told == re.findall(r'"([^"]+)"', bands[1])


def test_parameters_of_the_address_are_those_that_are_read():
    told = [name for row in rows(section("Address")) for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(["tab", "view", *words("url.ts", "TEXTS")])
    read = set(re.findall(r"(?:asked\.get|text)\(\"(\w+)\"\)", source("url.ts")))
    assert read == {*told, "user_code"}
    assert re.findall(r"`(\w+)`", row_of("tab")) == words("url.ts", "TABS")
    longest = constant("url.ts", "TEXT_MAX")
    assert f"{longest:g} characters" in section("Address")


def row_of(name: str) -> str:
    return next(row[1] for row in rows(section("Address")) if row[0] == f"`{name}`")


def test_orders_and_parts_in_an_address_are_those_that_there_are():
    values = source("fleet/sorting.ts").split("const VALUES")[1].split("\n};")[0]
    orders = re.findall(r"^  (\w+)[:,]", values, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row_of("sort")) == orders
    assert re.findall(r"`(\w+)`", row_of("part")) == words("drawer/parts.tsx", "PARTS")


def test_parts_of_the_drawer_are_under_their_names():
    told = [row[0] for row in rows(section("The drawer"))[1:]]
    names = entries("text/drawer.ts", "partNames")
    assert sorted(told) == sorted(names.values())


def test_tokens_of_the_search_are_those_that_are_typed():
    typed = re.search(r"const TYPED = /\^\(([\w|]+)\):", source("fleet/query.ts"))
    assert typed
    # An older word for a state is understood and not told.
    assert set(re.findall(r"`(\w+):", section("Search", 3))) == set(typed[1].split("|")) - {"phase"}
    assert f"{constant('fleet/query.ts', 'WORDS_MAX'):g} words" in TEXT


def test_keys_are_those_of_the_help():
    body = source("text/help.ts").split("keys: [")[1].split("\n  ],")[0]
    told = [(row[0].strip("`"), row[1]) for row in rows(section("Keys"))[1:]]
    assert told == re.findall(r'\["([^"]+)", "([^"]+)"\]', body)


def test_words_of_the_badge_are_told():
    told = [row[0] for row in rows(section("The connection").split("\n###")[0])]
    body = source("text/shell.ts").split("\n  link: {")[1].split("\n  },")[0]
    badge = re.findall(r'^    \w+: "([^"]+)"', body, re.MULTILINE)
    assert len(badge) >= 5
    assert set(badge) <= set(told)
    assert any(word.startswith("Reconnecting in ") for word in told)


@pytest.mark.parametrize("name", ["unreachable", "cut", "noStream", "tooMany", "tooLarge"])
def test_each_reason_of_a_cut_is_told(name: str):
    assert entries("text/live.ts", "liveText")[name] in section("The connection")


@pytest.mark.parametrize("name", ["down", "ingest", "ingestUnknown", "pausedSince", "newer"])
def test_each_banner_is_told(name: str):
    text = re.search(rf"\b{name}:[^\"`]*[\"`]([^\"`$;.:]+)", source("text/shell.ts"))
    assert text
    assert text[1].strip() in section("Banners", 3)


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("live/stream.ts", "SILENT_MS", "{:g} s without a byte"),
        ("live/stream.ts", "HEAD_MS", "nothing came for {:g} s"),
        ("live/line.ts", "POLL_MS", "every {:g} s, with its ETag"),
        ("live/connection.ts", "HIDDEN_MS", "hidden for {:g} s leaves its stream"),
        ("live/pause.ts", "LONGEST_MS", "doubled up to {:g} s"),
        ("live/pause.ts", "FIRST_MS", "tried again after {:g} s"),
        ("shell/banners.tsx", "DOWN_AFTER_MS", "gone for {:g} s"),
        ("parts/announce.tsx", "PAUSE_MS", "every {:g} s at most"),
    ],
)
def test_times_are_those_of_today(path: str, name: str, told: str):
    assert told.format(constant(path, name) / 1000) in TEXT.replace("\n  ", " ")


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("live/line.ts", "ATTEMPTS", "after {:g} failures"),
        ("fleet/staleness.ts", "LAG_SECONDS", "ingest is {:g} s behind"),
        ("fleet/gpus.ts", "BUSY_PERCENT", "From {:g} % on a GPU counts as busy"),
        ("nodes/strip.tsx", "FIT", "Of more than {:g} GPUs"),
        ("nodes/windowing.ts", "WINDOWED_FROM", "More than {:g} rows"),
        ("nodes/view.ts", "NARROW_REM", "Below {:g} rem"),
        ("drawer/beats.ts", "SLOTS", "last {:g} heartbeats"),
        ("drawer/beats.ts", "LATE_SHARE", "over {:g} intervals"),
    ],
)
def test_numbers_are_those_of_today(path: str, name: str, told: str):
    assert told.format(constant(path, name)) in " ".join(TEXT.split())


def test_the_policy_is_told_as_it_is_sent():
    assert f"\nContent-Security-Policy: {CONTENT_POLICY}\n" in TEXT
    policy = PAGE_HEADERS["Cross-Origin-Opener-Policy"]
    assert f"`Cross-Origin-Opener-Policy: {policy}`" in TEXT


def test_browsers_are_those_that_it_is_built_for():
    targets = re.search(r"target: \[([^\]]+)\]", (WEB / "vite.config.ts").read_text())
    assert targets
    told = {"chrome": "Chrome and Edge", "firefox": "Firefox", "safari": "Safari"}
    for name, version in re.findall(r'"([a-z]+)([\d.]+)"', targets[1]):
        assert f"{told[name]} {version}" in TEXT


def test_the_first_load_is_as_small_as_it_is_said_to_be():
    assert f"under {FIRST_LOAD:,} bytes" in TEXT
    index = STATIC / "index.html"
    assert index.is_file(), "the page is not built: make page"
    named = re.findall(r'(?:src|href)="/(assets/[^"]+)"', index.read_text())
    assert len(named) >= 3
    sizes = {
        name: len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in ["index.html", *named]
    }
    assert sum(sizes.values()) < FIRST_LOAD, sizes
