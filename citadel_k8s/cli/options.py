"""Options that several commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings, keys in camelCase.")
]
RedisUrl = Annotated[
    str | None,
    typer.Option(help="redis://, rediss:// or unix:// URL. Secrets: CITADEL__REDIS_PASSWORD."),
]
Org = Annotated[str | None, typer.Option("--org", help="Org that the nodes belong to.")]
Interval = Annotated[
    float | None, typer.Option(help="Seconds between heartbeats, 5 to 300. Default 30.")
]
ListenHost = Annotated[str | None, typer.Option(help="Address to listen on. Default 0.0.0.0.")]
ListenPort = Annotated[
    int | None, typer.Option(help="Port to listen on, 0 for any free one. Default 8080.")
]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="postgresql:// URL. The password: CITADEL__DATABASE_PASSWORD."),
]
LogFormat = Annotated[str | None, typer.Option(help="json (default) or console.")]
FakeGpu = Annotated[
    str | None,
    typer.Option(help="Pretend to have GPUs and models, such as h100x8. For demos only."),
]


class Output(StrEnum):
    """Forms in which a command can answer."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the answer.")]
