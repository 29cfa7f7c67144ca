from datetime import UTC, datetime

import pytest

from citadel_k8s.stores.postgres.audit import AuditRow, _cursor, _parsed
from citadel_k8s.stores.postgres.refused import RefusedError


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_a_cursor_is_read_back_to_the_microsecond(microsecond: int) -> None:
    moment = datetime(2026, 11, 23, 1, 2, 3, microsecond, tzinfo=UTC)
    row = AuditRow(7, "acme", moment, "s", "a", "", "done", {}, None, None)
    assert _parsed(_cursor(row)) == (moment, 7)


def test_an_overlong_moment_is_refused() -> None:
    with pytest.raises(RefusedError):
        _parsed("9" * 63 + "-1")
