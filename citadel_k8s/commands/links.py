"""Login links as the commands print them."""

from datetime import datetime, timedelta

from citadel_k8s.api.identity.userroutes import login_link
from citadel_k8s.commands.platform import Platform
from citadel_k8s.stores.postgres.users import User

NOWHERE = "http://127.0.0.1:8080"
"""Where the API is as far as anybody said: ``publicUrl`` is not set."""


async def link_of(platform: Platform, user: User, *, life: timedelta) -> tuple[str, datetime]:
    """Make a link for somebody; give it and when it ends."""
    raw, until = await platform.logins.create_link(user.org_id, user.user_id, life=life)
    await platform.noted(user.org_id, "user.link", str(user.user_id))
    base = (platform.settings.public_url or NOWHERE).rstrip("/")
    return login_link(base, raw), until
