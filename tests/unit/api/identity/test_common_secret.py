"""What all replicas know, by which a sign-in may come back to another one."""

from typing import Any

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.identity.cookies import Seal
from citadel_k8s.api.identity.routes import common_secret
from citadel_k8s.config.server import ApiSettings

IN_URL = {"database_url": "postgresql://citadel:p%40ss@db.example/citadel"}
APART = {"database_url": "postgresql://citadel@db.example/citadel", "database_password": "p@ss"}
NONE = {"database_url": "postgresql://citadel@db.example/citadel"}


async def seal(settings: dict[str, Any]) -> Seal:
    secret = await common_secret(ApiSettings.model_validate(settings))
    return Seal(secret, "sign-in", ManualClock())


@pytest.mark.parametrize("other", [IN_URL, APART])
async def test_replicas_with_the_same_database_password_read_each_others_notes(
    other: dict[str, Any],
):
    note = (await seal(IN_URL)).seal({"state": "s"}, 60)
    assert (await seal(other)).unseal(note) == {"state": "s"}


async def test_without_any_secret_a_note_is_read_by_nobody_else():
    note = (await seal(NONE)).seal({"state": "s"}, 60)
    assert (await seal(NONE)).unseal(note) is None
