"""Opening a fleet: which side is asked, and as whom."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.cli.fabric.options import Place
from citadel_k8s.clients.fleet import FleetSource
from citadel_k8s.errors import ConfigError


@asynccontextmanager
async def opened(place: Place) -> AsyncGenerator[FleetSource]:
    """Give the fleet of a place, and let go of it.

    Raises
    ------
    ConfigError
        If there is no such place; says what to set.
    """
    source = await open_api(place) if place.api else await _open_objects(place)
    try:
        yield source
    finally:
        await source.close()


async def open_api(place: Place) -> FleetSource:
    """Open the API with the credential that there is."""
    from citadel_k8s.clients.fabricapi import ApiFleet  # noqa: PLC0415 - see the package cli
    from citadel_k8s.clients.fabrichttp import ApiHttp, api_base  # noqa: PLC0415

    base = api_base(place.api or "", insecure=place.insecure)
    credential = await _credential(place.token_file, base)
    return ApiFleet(ApiHttp(base, credential, timeout=place.timeout))


async def _open_objects(place: Place) -> FleetSource:
    from citadel_k8s.clients.fleetobjects import ObjectFleet  # noqa: PLC0415
    from citadel_k8s.clients.kube import KubeClient  # noqa: PLC0415

    try:
        client = await KubeClient.connect(
            place.kubeconfig, timeout=place.timeout, context=place.context
        )
    except ConfigError as error:
        raise ConfigError(f"{error}; or name an API with --api or CITADEL_API_URL") from error
    return ObjectFleet(client, SystemClock(), client.host)


async def _credential(file: Path | None, base: str) -> str | None:
    """Give the credential: of the file that is named, the environment, or who signed in."""
    from citadel_k8s.cli.fabric.sessions import kept_session  # noqa: PLC0415
    from citadel_k8s.clients.post import DeliveryError  # noqa: PLC0415
    from citadel_k8s.clients.secretfile import SecretFile  # noqa: PLC0415

    if file is not None:
        try:
            return await SecretFile(file).read()
        except DeliveryError as error:
            raise ConfigError(str(error)) from error
    return os.environ.get("CITADEL_API_TOKEN", "").strip() or kept_session(base)
