"""Each reason for which the operator refuses an entry is in the table of errors, and no other."""

import inspect
import re
from pathlib import Path

from citadel_k8s.domain import keys
from citadel_k8s.domain.liveness import rejection
from citadel_k8s.models import codec, lean
from citadel_k8s.operator import reader, registry, roster
from citadel_k8s.stores import entries

PAGE = (Path(__file__).parents[3] / "docs/wire.md").read_text()
ERRORS = PAGE.split("\n## Errors\n")[1]


def given() -> set[str]:
    sources = [inspect.getsource(room) for room in (keys, codec, lean, reader, registry, roster)]
    sources.append(inspect.getsource(entries))
    raised = re.findall(r'WireError\(\s*"(\w+)"', "\n".join(sources))
    refused = re.findall(r'(?:return|else) "(\w+)"', inspect.getsource(rejection))
    return {*raised, *refused}


def test_each_reason_is_explained_and_no_other():
    assert {"NotJson", "Replayed", "FormerBoot", "UnknownNode"} <= given()
    assert set(re.findall(r"^\| `(\w+)`", ERRORS, re.MULTILINE)) == given()
