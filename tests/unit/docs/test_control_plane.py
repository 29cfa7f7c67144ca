"""The pages of the worker and of the API are what these are."""

import re
from pathlib import Path
from typing import Any

import pydantic
import pytest
from prometheus_client.metrics import MetricWrapperBase

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.events import hub, stream, websocket
from citadel_k8s.api.events.figures import Figures
from citadel_k8s.api.fabric.onenode import RANGES
from citadel_k8s.api.frame.route import Access
from citadel_k8s.api.identity import deviceauth, devices, workloads
from citadel_k8s.api.live.failure import Step
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.api.proxy import session
from citadel_k8s.api.wiring import Api
from citadel_k8s.cli.app import app
from citadel_k8s.config.base import Settings, load
from citadel_k8s.config.server import ApiSettings, Oidc, WorkerSettings
from citadel_k8s.domain import frontier
from citadel_k8s.models.identity import Scope
from citadel_k8s.stores import queues, statusgroup
from citadel_k8s.stores.postgres import deviceauths, leftovers, logins, partitions, tokens
from citadel_k8s.telemetry import probes
from citadel_k8s.worker import claiming, history, reading, sweeping, tenancy, wiring
from citadel_k8s.worker.metrics import WorkerMetrics

ROOT = Path(__file__).parents[3]
PAGES = {
    name: (ROOT / f"docs/{name}.md").read_text()
    for name in ("worker", "api", "proxy", "identity", "database", "mesh", "control-plane")
}
NESTED = {
    "headscale", "retention", "live", "oidc", "trustedHeader", "quota", "limits", "enrolment",
    "page",
}  # fmt: skip


def section(page: str, title: str) -> str:
    return PAGES[page].split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def shown(default: Any) -> str:
    if default in ((), {}):
        return "none"
    match default:
        case None:
            return "\N{EN DASH}"
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{default:g}`"
        case tuple():
            return ", ".join(f"`{one}`" for one in default)
        case _:
            return f"`{default}`"


def settings(model: type[pydantic.BaseModel], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for field in model.model_fields.values():
        key = f"{prefix}{field.alias}"
        default = field.get_default(call_default_factory=True)
        if field.alias in NESTED:
            found |= settings(type(default), f"{key}.")
        else:
            found[key] = shown(default)
    return found


def exported(metrics: object) -> dict[str, tuple[str, str]]:
    """Give each metric as the page names it, with its type and meaning."""
    found: dict[str, tuple[str, str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            labels = ",".join(metric._labelnames)
            total = "_total" if family.type == "counter" else ""
            name = f"{family.name}{total}" + (f"{{{labels}}}" if labels else "")
            found[name] = (family.type, family.documentation)
    return found


def told_metrics(page: str) -> dict[str, tuple[str, str]]:
    return {
        row[0].strip("`"): (row[1], row[2])
        for row in rows(section(page, "Metrics"))
        if row[0].startswith("`citadel_") and len(row) > 2
    }


def who(access: Access) -> str:
    """Say who may, in the page's words."""
    if access.public:
        return "anybody"
    if access.device and access.role is not None:
        return "all"
    if access.role is not None:
        return str(access.role)
    return "devices" if access.scope is None else f"devices, `{access.scope}`"


@pytest.mark.parametrize(("page", "model"), [("worker", WorkerSettings), ("api", ApiSettings)])
def test_every_setting_is_told_with_its_default_and_no_other(
    page: str, model: type[pydantic.BaseModel]
):
    told = {row[0].strip("`"): row[1] for row in rows(section(page, "Settings"))[1:]}
    assert told == settings(model)


def test_every_metric_of_the_worker_is_told_and_no_other():
    assert told_metrics("worker") == exported(WorkerMetrics())


def test_every_metric_of_the_api_is_told_and_no_other():
    metrics = ApiMetrics()
    metrics.add_streams(Figures())
    named = exported(metrics)
    told = told_metrics("api")
    assert {name: told[name] for name in named} == named
    streams = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in metrics.registry.collect()
        if family.name.startswith("citadel_api_streams")
    }
    assert {name: kind for name, (kind, _) in told.items() if name not in named} == streams


async def test_every_route_of_the_description_is_told_and_who_may_ask():
    asked = ApiSettings(
        database_url="postgresql://a@127.0.0.1/a",
        redis_url="redis://127.0.0.1:1",
        public_url="https://citadel.example.org",
        oidc=Oidc(issuer="https://id.example.org", client_id="citadel"),
        in_cluster="off",
    )
    api = await Api.build(asked, SystemClock())
    try:
        # What a part has to look like is for the router alone.
        given = {
            f"{route.method} {re.sub(r':[^{}]*}', '}', route.path)}": who(route.access)
            for route in api.service.routes
        }
    finally:
        await api.close()
    told = {row[0].strip("`"): row[1] for row in rows(section("api", "Routes"))}
    told.pop("route")
    assert told == given


def test_every_step_of_a_live_question_is_told_in_its_order():
    told = [row[0].strip("`") for row in rows(section("api", "Live"))[1:]]
    assert told == [str(step) for step in Step]


def test_every_range_of_the_history_is_told():
    (row,) = [r for r in rows(section("api", "Routes")) if r[0].endswith("/history`")]
    assert set(re.findall(r"`(\d+[hd])`", row[2])) == set(RANGES)


def test_every_scope_is_told():
    assert {str(scope) for scope in Scope} <= set(re.findall(r"`([\w:]+)`", PAGES["identity"]))


def test_every_probe_of_the_worker_is_told():
    told = re.findall(r"^\| `(/\w+)`", section("worker", "What it serves"), re.MULTILINE)
    source = Path(probes.__file__).read_text()
    assert told == re.findall(r'add_get\("(/\w+)"', source)


def test_every_reason_of_a_dead_letter_is_told():
    told = set(
        re.findall(r"`([A-Z]\w+)`", section("worker", "Dead letters").split("| reason |")[1])
    )
    folder = ROOT / "citadel_k8s"
    text = "".join(file.read_text() for file in sorted((folder / "worker").glob("*.py")))
    given = set(re.findall(r'(?:Letter\([^"\n]*|WireError\()"(\w+)"', text))
    given |= set(re.findall(r'WireError\(\s*"(\w+)"', (folder / "models/lean.py").read_text()))
    given |= set(re.findall(r'WireError\(\s*"(\w+)"', (folder / "models/codec.py").read_text()))
    assert {"UnknownOrg", "Undeliverable", "NotJson"} <= given
    assert given <= told


@pytest.mark.parametrize(
    ("page", "model", "count"),
    [("mesh", WorkerSettings, 1), ("identity", ApiSettings, 2)],
)
def test_the_settings_that_a_page_shows_are_those_that_there_are(
    page: str, model: type[Settings], count: int, tmp_path: Path
):
    shown_settings = [
        block
        for block in re.findall(r"```yaml\n(.*?)```", PAGES[page], re.DOTALL)
        if "volumes:" not in block
    ]
    assert len(shown_settings) == count
    for block in shown_settings:
        file = tmp_path / "settings.yaml"
        file.write_text(block)
        load(model, file=file, env={})


def test_the_files_of_the_first_run_are_taken(tmp_path: Path):
    api, worker = re.findall(r"```yaml\n(.*?)```", PAGES["control-plane"], re.DOTALL)
    for model, block in ((ApiSettings, api), (WorkerSettings, worker)):
        file = tmp_path / "settings.yaml"
        file.write_text(block)
        load(model, file=file, env={})


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_command_of_a_page_is_one(page: str):
    blocks = "".join(re.findall(r"```(?:sh)?\n(.*?)```", PAGES[page], re.DOTALL))
    known = {
        *(command.name or "" for command in app.registered_commands),
        *(
            str(command.callback.__name__)
            for command in app.registered_commands
            if command.callback
        ),
        *(group.name or "" for group in app.registered_groups),
    }
    named = set(re.findall(r"^(?:\$ )?citadel-k8s ([a-z]+)", blocks, re.MULTILINE))
    assert named <= known, known


def test_every_action_of_the_audit_log_is_told():
    folder = ROOT / "citadel_k8s"
    text = "".join(
        file.read_text()
        for room in ("api", "commands")
        for file in sorted((folder / room).rglob("*.py"))
    )
    given = set(re.findall(r'(?:audit=|"audit"\] = |noted\(\w+, )"(\w+\.\w+)"', text))
    assert {"token.revoke", "org.create", "device.enrol"} <= given
    assert given <= set(re.findall(r"`(\w+\.\w+)`", PAGES["identity"]))


def test_every_table_is_told():
    folder = ROOT / "citadel_k8s/stores/postgres/migrations/versions"
    made = re.findall(
        r"^CREATE TABLE (\w+) \(",
        "".join(file.read_text() for file in sorted(folder.glob("0*.py"))),
        re.MULTILINE,
    )
    told = re.findall(r"`(\w+)`", " ".join(row[0] for row in rows(section("database", "Tables"))))
    assert set(told) == {*made, "alembic_version"}


@pytest.mark.parametrize(
    ("words", "page"),
    [
        (f"it gathers for {reading.GATHER * 1000:.0f} ms", "worker"),
        (f"believed for {tenancy.KNOWN_SECONDS:.0f} s", "worker"),
        (f"taken over after {statusgroup.CLAIM_IDLE:.0f} s", "worker"),
        (f"a gap of more than {frontier.GAP_SECONDS:.0f} s", "worker"),
        (f"Each {sweeping.EVERY:.0f} s one worker", "worker"),
        (f"older than {frontier.TRIM_AGE_SECONDS / 60:.0f} min", "worker"),
        (f"for {statusgroup.CONSUMER_IDLE / 60:.0f} min", "worker"),
        (f"| {claiming.EVERY:.0f} s |", "worker"),
        (f"| {history.FLUSH_SECONDS:.0f} s |", "worker"),
        (f"(within {wiring.TURN_LATE:.0f} s)", "worker"),
        (f"up to {sweeping.UNTOLD_MAX:,} changes", "worker"),
        (f"`time` | each {stream.TIME_EVERY:.0f} s", "api"),
        (f"has left for {hub.STUCK_SECONDS:.0f} s", "api"),
        (f"looked at each {hub.CHECK_EVERY:.0f} s", "api"),
        (f"{hub.Limits().per_org:,} of an org and {hub.Limits().total:,} in a process", "api"),
        (f"no subscribe within {websocket.SUBSCRIBE_SECONDS:.0f} s", "api"),
        (f"pings each {session.PING_EVERY:.0f} s", "proxy"),
        (f"silent for {session.SILENCE_MAX:.0f} s", "proxy"),
        (f"After {queues.CLAIM_AFTER / 60:.0f} min without a word", "proxy"),
        (f"valid for {deviceauths.EXPIRES / 60:.0f} min", "proxy"),
        (f"`{deviceauth.NO_MESH}`", "proxy"),
        (f"{deviceauths.PENDING_PER_ADDRESS} codes that wait", "proxy"),
        (f"within {devices.KNOWN_SECONDS:.0f} s", "identity"),
        (f"{devices.LAST_SECONDS / 60:.0f} min", "identity"),
        (f"{workloads.CHECKED_SECONDS / 60:.0f} min", "identity"),
        (f"{tokens.GRACE.total_seconds() / 3600:.0f} h", "identity"),
        (f"{logins.LINK_LIFE.total_seconds() / 60:.0f} min", "identity"),
    ],
)
def test_the_numbers_of_the_pages_are_those_of_the_code(words: str, page: str):
    assert words in re.sub(r"\s+", " ", PAGES[page])


def test_the_numbers_in_words_are_those_of_the_code():
    assert statusgroup.DELIVERIES_MAX == 5  # "what five workers took"
    assert partitions.DAYS_AHEAD == 3  # "three days ahead"
    assert frontier.TRIM_HOLD_SECONDS == 3600  # "older than an hour"
    assert workloads.REVIEWED_SECONDS == 3600  # "within the hour"
    assert leftovers.KEPT_DAYS == 90
