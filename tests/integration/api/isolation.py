"""Three orgs whose every text says whose it is, and what tells a leak.

A mark such as ``mkacme1a2b3cn17x`` stands in each stored text of an org; ids, addresses and figures
that cannot hold one are known by their owner. What an answer holds of another org's is a leak,
unless the caller said it himself: a mark has a number, so that naming one text excuses no other.
"""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

ORGS = ("acme", "other", "third")
HOUSE = "house"
"""Whose the keys without an org are: those of nodes that read Redis directly."""

SHARED = tuple(f"gpu-{number}" for number in range(1, 13))
"""Ids of nodes that each org has."""

_MARK = re.compile(r"mk(?:acme|other|third|house)[0-9a-f]{6}n[0-9]+x", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_MESH = re.compile(r"(?<![0-9.])7[0-9]{11}(?![0-9])")
_FIGURE = re.compile(r"(?<![0-9.])191[123][0-9]{6}(?![0-9])")
_ADDRESS = re.compile(r"(?<![0-9.])127\.1[123]\.[0-9]+\.[0-9]+")


@dataclass
class Org:
    """One org: what it has, by kind, and with whose credentials it asks."""

    name: str
    number: int
    salt: str
    has: dict[str, list[str]] = field(default_factory=dict)
    spare: dict[str, list[str]] = field(default_factory=dict)
    credentials: dict[str, dict[str, str]] = field(default_factory=dict)
    serial: Any = field(default_factory=lambda: count(1))

    def mark(self) -> str:
        """Give a new mark."""
        return f"mk{self.name}{self.salt}n{next(self.serial)}x"

    def figure(self) -> int:
        """Give a new number that is this org's."""
        return 1_910_000_000 + self.number * 1_000_000 + next(self.serial)

    def address(self, last: int) -> str:
        """Give an address of this org's machines; all of them are this host's loopback."""
        return f"127.1{self.number}.0.{last}"

    def keep(self, kind: str, value: str) -> str:
        """Note something that requests may name."""
        self.has.setdefault(kind, []).append(value)
        return value

    def keep_spare(self, kind: str, value: str) -> str:
        """Note something that a request may use up."""
        self.spare.setdefault(kind, []).append(value)
        return self.keep(kind, value)


@dataclass
class Owners:
    """Knows whose what is, and for each thing of somebody's an unknown one of the same shape."""

    rng: random.Random
    orgs: dict[str, Org] = field(default_factory=dict)
    of: dict[str, str] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, name in enumerate((*ORGS, HOUSE), 1):
            self.orgs[name] = Org(name, number, f"{self.rng.randrange(16**6):06x}")

    def claim(self, org: str, values: Iterable[str]) -> None:
        """Note whose ids are that cannot hold a mark."""
        self.of.update(dict.fromkeys(map(str.lower, values), org))

    def found(self, text: str) -> set[tuple[str, str]]:
        """Give what a text holds of anybody's: owners and what it is."""
        low = text.lower()
        told = {(self._marked(m), m) for m in _MARK.findall(low)}
        told |= {(self._numbered(m[3]), m) for m in _FIGURE.findall(low)}
        told |= {(self._numbered(m[5]), m) for m in _ADDRESS.findall(low)}
        ids = {*_UUID.findall(low), *_MESH.findall(low)}
        return told | {(self.of[i], i) for i in ids if i in self.of}

    def twin(self, value: str) -> str:
        """Give an unknown value of the same shape; always the same one for the same value."""
        if value not in self.twins:
            self.twins[value] = self._unknown(value)
        return self.twins[value]

    def _unknown(self, value: str) -> str:
        if value in self.orgs:
            return {"acme": "nobo", "other": "nobod", "third": "nobdy"}.get(value, "nobod")
        if _UUID.fullmatch(value):
            return str(UUID(int=self.rng.getrandbits(128), version=4))
        if re.fullmatch(r"[0-9]+", value):
            return "8" + "".join(self.rng.choices("0123456789", k=len(value) - 1))
        if re.fullmatch(r"[A-Z]{4}-?[A-Z]{4}", value):
            return re.sub(r"[A-Z]", lambda _: self.rng.choice("BCDFGHJKLMNPQRSTVWXZ"), value)
        return re.sub(r"mk[a-z]+?[0-9a-f]{6}n", f"mknobdy{self.rng.randrange(16**6):06x}n", value)

    def _marked(self, mark: str) -> str:
        return next(name for name in self.orgs if mark.startswith(f"mk{name}"))

    def _numbered(self, digit: str) -> str:
        return ORGS[int(digit) - 1]
