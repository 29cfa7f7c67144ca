"""A node in the words and the shape of ``kubectl describe``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from citadel_k8s.cli.fabric.printing import table
from citadel_k8s.cli.fabric.sections import figures, pair, section
from citadel_k8s.domain.columns import age
from citadel_k8s.domain.fleetrows import name_of, part, parts
from citadel_k8s.domain.nodecolumns import age_text, cells
from citadel_k8s.domain.standing import CURRENT
from citadel_k8s.domain.summary import UNKNOWN
from citadel_k8s.domain.terminal import shown

UNHEARD = "never"
"""What is said of a heartbeat that nobody heard."""

_GPUS: Final = {"GPU": "index", "UUID": "uuid", "HEALTH": "health", "REASON": "reason"}
_SERVICES: Final = {
    "NAME": "name", "TYPE": "type", "HEALTH": "health", "PORT": "port", "MODELS": "models",
}  # fmt: skip


def told(detail: Mapping[str, Any], events: Any, now: float) -> list[str]:
    """Give the lines about a node; ``events`` are a list, or the error in their place."""
    row, status = part(detail, "node"), part(detail, "object")
    profile = part(row, "profile")
    lines = [
        pair("Name", name_of(row)),
        pair("Id", row.get("id")),
        pair("State", row.get("state")),
        *([pair("Reason", row["reason"])] if row.get("reason") else ()),
        *([pair("Message", row["message"])] if row.get("message") else ()),
        pair("Since", _moment(row.get("since"), now)),
        *_heard(row, now),
        *_labels(part(row, "labels")),
        pair("Addresses", ", ".join(_addresses(detail, profile))),
        pair("Agent", _agent(profile)),
        pair("Driver", profile.get("driver")),
    ]
    if status:
        lines += _object(row, status, now)
    elif detail.get("status") is None:
        lines.append("No status of this node is kept: it never reported, or that was long ago.")
    else:
        if row.get("state") not in CURRENT:
            lines.append("What follows is the last that it said, and not how it is now.")
        if not detail.get("complete"):
            lines.append("Figures that move are not kept: what follows is what was stored.")
        lines += figures(detail.get("status"))
    return lines + _events(events, now)


def _heard(row: Mapping[str, Any], now: float) -> list[str]:
    heard, seconds = row.get("lastHeartbeat"), row.get("age")
    if "object" in row:
        silent = [] if heard is None else [pair("Last Heartbeat", _moment(heard, now))]
        return [*silent, pair("Confirmed", _moment(row.get("confirmed"), now) or UNHEARD)]
    if heard is None:
        return [pair("Last Heartbeat", UNHEARD)]
    ago = age_text(seconds) if isinstance(seconds, int | float) else age(heard, now)
    return [pair("Last Heartbeat", f"{heard} ({ago} ago)")]


def _labels(labels: Mapping[str, Any]) -> list[str]:
    texts = [f"{key}={value}" for key, value in sorted(labels.items())]
    first, *others = texts or ["<none>"]
    return [pair("Labels", first), *(f"{'':18}{shown(text)}" for text in others)]


def _addresses(detail: Mapping[str, Any], profile: Mapping[str, Any]) -> Iterable[str]:
    said = part(detail, "status").get("addresses")
    stated = part(part(detail, "object"), "status").get("addresses")
    found = said or stated
    named: list[Any] = found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
    known: list[Any] = named or [profile.get("address")]
    return dict.fromkeys(str(address) for address in known if address)


def _agent(profile: Mapping[str, Any]) -> str:
    transport = profile.get("transport")
    return str(profile.get("agent") or "") + (f", by {transport}" if transport else "")


def _object(row: Mapping[str, Any], raw: Mapping[str, Any], now: float) -> list[str]:
    status, spec = part(raw, "status"), part(raw, "spec")
    named = cells(row, now)
    conditions = [
        [c.get("type"), c.get("status"), c.get("reason"), age(c.get("lastTransitionTime"), now),
         c.get("message")]
        for c in parts(status, "conditions")
    ]  # fmt: skip
    hardware = part(status, "hardware")
    lines = [
        pair("GPU model", hardware.get("gpuModel") or named[2]),
        pair("CPUs", hardware.get("cpuCount")),
        pair("Maintenance", "yes" if spec.get("maintenance") else "no"),
        pair("Healthy GPUs", named[2]),
        pair("GPU load", named[3]),
        pair("GPU memory", named[4]),
        pair("Requests", f"{named[6]} (running/waiting)"),
        *_listed("GPUs", status, "Gpus", _GPUS),
        *_listed("Services", status, "Services", _SERVICES),
    ]
    headers = ("TYPE", "STATUS", "REASON", "AGE", "MESSAGE")
    return lines + section("Conditions", table(headers, conditions) if conditions else [])


def _listed(
    title: str, status: Mapping[str, Any], what: str, columns: Mapping[str, str]
) -> list[str]:
    """Give what an object lists, as far as it does; how many more there are is said."""
    if status.get(what.lower()) is None:
        return [pair(title, None)]
    found, more = parts(status, what.lower()), status.get(f"more{what}")
    rows = [[_cell(one.get(key)) for key in columns.values()] for one in found]
    lines = table(list(columns), rows) if rows else []
    return section(title, [*lines, f"and {more} more"] if more else lines)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType]
    return UNKNOWN if value is None else value


def _events(events: Any, now: float) -> list[str]:
    if isinstance(events, Exception):
        return [pair("Events", f"not known: {events}")]
    headers = ("AGE", "KIND", "REASON", "MESSAGE")
    found: Sequence[Mapping[str, Any]] = events
    rows = [
        [age(event.get("time"), now), event.get("kind") or event.get("type"), event.get("reason"),
         happened(event)]
        for event in found
    ]  # fmt: skip
    return section("Events", table(headers, rows) if rows else [])


def happened(event: Mapping[str, Any]) -> str:
    """Give an event's sentence, with the change of state that it is."""
    state, message = event.get("state"), event.get("message") or ""
    change = f"{event.get('before') or '?'} -> {state}" if state else ""
    return f"{change}: {message}" if change and message else change or str(message)


def _moment(moment: Any, now: float) -> str:
    ago = age(moment, now)
    return f"{moment} ({ago} ago)" if ago else ""
