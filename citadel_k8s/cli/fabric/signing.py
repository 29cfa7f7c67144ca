"""``login`` and ``logout``: a person's session with the API, kept for the next commands."""

import sys
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import typer

from citadel_k8s.cli.fabric.options import TIMEOUT, Api, Insecure, Timeout
from citadel_k8s.errors import CitadelError, ConfigError

LINK_PATH = "/api/session/link"
"""Where login links lead."""

LINK_MAX = 4096
"""Letters read of a link; one has some hundred."""

_UNAUTHORIZED = 401


def login(
    link: Annotated[
        str,
        typer.Argument(
            help="A login link, as `citadel-k8s user link` or an admin gives it; - reads it from "
            "standard input, where no list of processes shows it."
        ),
    ],
    *,
    insecure: Insecure = False,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Sign in with a login link, which works once; keep the session for the next commands."""
    import asyncio  # noqa: PLC0415 - see the package cli

    from citadel_k8s.cli.fabric.printing import note  # noqa: PLC0415
    from citadel_k8s.cli.fabric.sessions import keep_session  # noqa: PLC0415
    from citadel_k8s.clients.fabrichttp import api_base  # noqa: PLC0415

    base, secret = taken_apart(sys.stdin.readline(LINK_MAX) if link == "-" else link)
    base = api_base(base, insecure=insecure)
    file = keep_session(base, asyncio.run(_redeemed(base, secret, timeout)))
    note(f"Signed in at {base}; the session is kept in {file}.")
    note(f"Next: export CITADEL_API_URL={base}")


def logout(*, api: Api = None, insecure: Insecure = False, timeout: Timeout = TIMEOUT) -> None:
    """Sign out: end the session at the API, and forget it here."""
    import asyncio  # noqa: PLC0415 - see the package cli

    from citadel_k8s.cli.fabric.printing import note  # noqa: PLC0415
    from citadel_k8s.cli.fabric.sessions import forget_session, kept_session  # noqa: PLC0415
    from citadel_k8s.clients.fabrichttp import api_base  # noqa: PLC0415

    if not api:
        raise ConfigError("which API: --api or CITADEL_API_URL")
    base = api_base(api, insecure=insecure)
    secret = kept_session(base)
    if secret is None:
        raise CitadelError(f"nobody is signed in at {base} from here")
    try:
        asyncio.run(_ended(base, secret, timeout))
    finally:
        forget_session(base)
    note(f"Signed out at {base}.")


def taken_apart(link: str) -> tuple[str, str]:
    """Give the API's address and the secret of a login link.

    Raises
    ------
    ConfigError
        If it is none; the message has nothing of it, for it may be a secret.
    """
    try:
        parts = urlsplit(link.strip())
        secret = parse_qs(parts.query).get("token", [""])[0]
    except ValueError:
        secret = ""
        parts = urlsplit("")
    if not secret or not parts.path.endswith(LINK_PATH):
        raise ConfigError(f"that is no login link: https://HOST{LINK_PATH}?token=…")
    return f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix(LINK_PATH)}", secret


async def _redeemed(base: str, secret: str, timeout: float) -> str:
    from citadel_k8s.clients.fabrichttp import ApiHttp  # noqa: PLC0415

    http = ApiHttp(base, None, timeout=timeout)
    try:
        cookies = await http.change("POST", LINK_PATH, {"token": secret})
    finally:
        await http.close()
    found = next((v for name, v in cookies.items() if name.endswith("citadel_session")), "")
    if not found:
        raise CitadelError(f"{http.where} gave no session")
    return found


async def _ended(base: str, secret: str, timeout: float) -> None:
    from citadel_k8s.clients.fabrichttp import ApiHttp  # noqa: PLC0415
    from citadel_k8s.clients.fleet import FleetError  # noqa: PLC0415

    http = ApiHttp(base, secret, timeout=timeout)
    try:
        await http.change("DELETE", "/api/session")
    except FleetError as error:
        # A session that is over already is what was asked for.
        if error.status != _UNAUTHORIZED:
            raise
    finally:
        await http.close()
