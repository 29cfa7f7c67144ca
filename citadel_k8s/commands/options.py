"""Options that several of these commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_ORG = "default"
"""The org that `bootstrap` makes, and that commands mean which name none."""

Config = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of settings: the API's, or the worker's."),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="postgresql:// URL. The password: CITADEL__DATABASE_PASSWORD."),
]
Org = Annotated[str, typer.Option("--org", help="Which org.")]


class Form(StrEnum):
    """Forms in which a command can answer."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the answer.")]
