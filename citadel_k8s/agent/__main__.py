"""The agent's own process: ``python -m citadel_k8s.agent [SETTINGS]``.

``citadel-k8s agent`` checks its words and becomes this program, so that the command line's
libraries are not kept in memory for as long as the node is up. SETTINGS is a JSON object with the
path of the settings file in ``file`` and what the command line said in ``given``.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from citadel_k8s.agent.main import run
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.config.base import load
from citadel_k8s.errors import CitadelError, ConfigError, told


def settings_from(text: str) -> AgentSettings:
    """Give the settings that a command line asked for.

    Raises
    ------
    ConfigError
        If a value does not fit.
    """
    words: dict[str, Any] = json.loads(text)
    file = words.get("file")
    return load(AgentSettings, file=Path(file) if file else None, **words.get("given", {}))


def main(argv: list[str]) -> None:
    """Run the agent; end with a line on what was wrong, if something was."""
    try:
        asyncio.run(run(settings_from(argv[0] if argv else "{}")))
    except* ConfigError as group:
        _fail(group, 2)
    except* CitadelError as group:
        _fail(group, 1)
    except* KeyboardInterrupt:
        sys.exit(130)


def _fail(group: BaseExceptionGroup[CitadelError], code: int) -> None:
    sys.stderr.write(f"error: {told(group)}\n")
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
