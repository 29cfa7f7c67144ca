from typing import Any

import pytest

from citadel_k8s.stores.postgres.migrations import REVISIONS
from citadel_k8s.stores.postgres.schema import (
    SchemaState,
    quoted,
    revision_problem,
    tenant_problem,
    upgrade_problem,
)

OWNER: dict[str, Any] = {
    "me": "owner",
    "database": "fabric",
    "schema": "public",
    "version": 180000,
    "standby": False,
    "creates": True,
    "superuser": False,
    "makes_roles": True,
    "sees_all": None,
    "becomes": None,
    "administers": None,
}
ROLE: dict[str, Any] = {"sees_all": False, "becomes": True, "administers": False}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        (ROLE, None),
        ({"superuser": True, "makes_roles": False}, None),
        ({"version": 120022}, "PostgreSQL 12 is too old"),
        ({"standby": True}, "standby"),
        ({"creates": False}, 'GRANT USAGE, CREATE ON SCHEMA "public" TO "owner";'),
        ({"schema": None, "creates": False}, 'ON SCHEMA "public"'),
        (
            {"makes_roles": False},
            (
                'there: CREATE ROLE citadel_tenant NOLOGIN; GRANT citadel_tenant TO "owner"'
                " WITH INHERIT FALSE, SET TRUE;"
            ),
        ),
        (
            {"makes_roles": False, "version": 150000},
            'CREATE ROLE citadel_tenant NOLOGIN; GRANT citadel_tenant TO "owner";',
        ),
        (ROLE | {"becomes": False}, 'there: GRANT citadel_tenant TO "owner" WITH INHERIT FALSE'),
        (ROLE | {"becomes": False, "administers": True}, None),
        (ROLE | {"becomes": False, "version": 150000}, None),
        (
            ROLE | {"becomes": False, "version": 150000, "makes_roles": False},
            'there: GRANT citadel_tenant TO "owner";',
        ),
        (ROLE | {"sees_all": True}, "ALTER ROLE citadel_tenant NOSUPERUSER NOBYPASSRLS;"),
    ],
)
def test_what_stands_in_the_way_of_an_upgrade_is_said_with_its_remedy(
    changed: dict[str, Any], said: str | None
) -> None:
    problem = upgrade_problem(OWNER | changed)
    assert (problem is None) if said is None else (problem and said in problem)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (ROLE, None),
        ({}, "CREATE ROLE citadel_tenant"),
        (ROLE | {"becomes": False, "administers": True}, "GRANT citadel_tenant"),
        (ROLE | {"sees_all": True}, "ALTER ROLE"),
    ],
)
def test_a_role_that_cannot_be_used_is_told_though_no_step_is_missing(
    changed: dict[str, Any], said: str | None
) -> None:
    problem = tenant_problem(OWNER | changed)
    assert (problem is None) if said is None else (problem and said in problem)


def test_a_revision_fits_or_it_is_said_who_has_to_be_upgraded() -> None:
    assert revision_problem(REVISIONS[-1]) is None
    assert "citadel-k8s db upgrade" in (revision_problem(None) or "")
    assert "upgrade the program" in (revision_problem("9999") or "")


def test_a_state_is_in_order_if_it_has_no_problem() -> None:
    assert SchemaState("1", "1", None).ok
    assert not SchemaState(None, "1", "no schema").ok


def test_names_are_quoted() -> None:
    assert quoted('a"b; DROP') == '"a""b; DROP"'
