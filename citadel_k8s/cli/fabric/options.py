"""Options that all commands about a fleet have, and what they mean together."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_SOURCE = "Source"


class Form(StrEnum):
    """Forms in which one thing can be told."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


class ListForm(StrEnum):
    """Forms in which a list can be told."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


Api = Annotated[
    str | None,
    typer.Option(
        "--api",
        envvar="CITADEL_API_URL",
        show_envvar=True,
        help="https://HOST of the API; without it FabricNodes are asked.",
        rich_help_panel=_SOURCE,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help="File with a token for the API. Default: CITADEL_API_TOKEN, or who signed in.",
        rich_help_panel=_SOURCE,
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        envvar="CITADEL_API_INSECURE",
        help="Allow http:// to another host: a token in clear.",
        rich_help_panel=_SOURCE,
    ),
]
Kubeconfig = Annotated[
    Path | None, typer.Option(help="Default: as kubectl's.", rich_help_panel=_SOURCE)
]
Context = Annotated[
    str | None,
    typer.Option(help="Context of the kubeconfig. Default: its own.", rich_help_panel=_SOURCE),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--request-timeout",
        min=0.1,
        max=600,
        help="Seconds for a question.",
        rich_help_panel=_SOURCE,
    ),
]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the answer.")]
ListOutput = Annotated[ListForm, typer.Option("--output", "-o", help="Form of the answer.")]
NoHeaders = Annotated[bool, typer.Option("--no-headers", help="Leave the headers out.")]

TIMEOUT = 10.0
"""Seconds for a question unless another limit is named: an answer takes 0.1."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fleet is asked for: an API where one is named, else a cluster."""

    api: str | None = None
    token_file: Path | None = None
    insecure: bool = False
    kubeconfig: Path | None = None
    context: str | None = None
    timeout: float = TIMEOUT
