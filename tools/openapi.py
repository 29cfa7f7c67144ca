"""Print the API's description, as ``/api/openapi.json`` serves it; no server is asked."""

import asyncio
import json
import sys

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.frame.openapi import describe
from citadel_k8s.api.wiring import Api
from citadel_k8s.config.server import ApiSettings

SETTINGS = {
    "database_url": "postgresql://nobody@127.0.0.1:1/none",
    "redis_url": "redis://127.0.0.1:1",
    "in_cluster": "off",
}
"""Enough for all routes to be there; nothing is connected to until it is asked."""


async def description() -> dict[str, object]:
    """Give the description of an API that has all of its routes."""
    api = await Api.build(ApiSettings.model_validate(SETTINGS), SystemClock())
    try:
        return describe(api.service.routes)
    finally:
        await api.close()


if __name__ == "__main__":
    json.dump(asyncio.run(description()), sys.stdout, indent=1)
