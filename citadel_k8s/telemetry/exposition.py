"""The two text formats that scrapers read: Prometheus' own and OpenMetrics.

Written here because a scrape of a large node has more than a thousand lines: a general library
checks each name and label of each line again, and brings an HTTP server along.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from citadel_k8s.domain.units import figure

Kind: TypeAlias = Literal["gauge", "counter", "unknown"]

Labels: TypeAlias = tuple[str, ...]

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of Prometheus' own format."""

OPENMETRICS: Final = "application/openmetrics-text; version={}; charset=utf-8"
"""Content type of OpenMetrics, without its version."""

_OPENMETRICS: Final = "application/openmetrics-text"
_PLAIN_TYPES: Final = {"gauge": "gauge", "counter": "counter", "unknown": "untyped"}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its series.

    Attributes
    ----------
    name
        In full, as in the lines: a counter's ends in ``_total``.
    text
        What it tells.
    kind
        ``unknown`` for a counter whose name, not ours, lacks the suffix.
    labels, samples
        Names of the labels; a finite value for each combination of theirs.
    """

    name: str
    text: str
    kind: Kind
    labels: Labels
    samples: Mapping[Labels, float]


def render(families: Iterable[Family], accept: str) -> tuple[bytes, str]:
    """Give the text and its content type, in the format that the scraper accepts.

    Parameters
    ----------
    families : iterable of Family
        Each name once.
    accept : str
        The request's ``Accept`` header; empty if there is none.
    """
    version = _openmetrics_version(accept)
    lines = list(_lines(families, openmetrics=version is not None))
    if version is not None:
        lines.append("# EOF")
    # An emptied line ends the text: each line ends with a line feed, the last one too.
    body = "\n".join([*lines, ""]).encode(errors="replace")
    return body, TEXT if version is None else OPENMETRICS.format(version)


def _openmetrics_version(accept: str) -> str | None:
    asked = [part for part in accept.split(",") if part.strip().startswith(_OPENMETRICS)]
    if not asked:
        return None
    old = all("version=0.0.1" in part.replace(" ", "") for part in asked)
    return "0.0.1" if old else "1.0.0"


def _lines(families: Iterable[Family], *, openmetrics: bool) -> Iterator[str]:
    known: dict[tuple[Labels, Labels], str] = {}
    for family in families:
        name = family.name
        head = name.removesuffix("_total") if openmetrics and family.kind == "counter" else name
        kind = family.kind if openmetrics else _PLAIN_TYPES[family.kind]
        yield f"# HELP {head} {_escaped(family.text)}"
        yield f"# TYPE {head} {kind}"
        for key, value in family.samples.items():
            labels = known.get((family.labels, key))
            if labels is None:
                labels = known[family.labels, key] = _labels(family.labels, key)
            yield f"{name}{labels} {float(value)!r}"


def _labels(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(text)}"' for name, text in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def finite(value: float, kind: Kind) -> bool:
    """Say whether a value can be told: a counter that is negative is none."""
    return figure(value) is not None and (kind != "counter" or value >= 0)
