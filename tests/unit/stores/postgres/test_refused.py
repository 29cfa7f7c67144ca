import pytest
from psycopg import DataError, errors

from citadel_k8s.stores.postgres.refused import RefusedError, refusing


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.UniqueViolation(), "exists"),
        (errors.ForeignKeyViolation(), "missing"),
        (errors.CheckViolation(), "invalid"),
        (errors.NotNullViolation(), "invalid"),
        (DataError("secret"), "invalid"),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "no"), "invalid"),
    ],
)
def test_what_a_constraint_says_becomes_a_refusal_without_its_values(
    error: Exception, reason: str
) -> None:
    with pytest.raises(RefusedError, match="the thing") as refused, refusing("the thing"):
        raise error
    assert refused.value.reason == reason
    assert "secret" not in str(refused.value)


def test_other_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), refusing("the thing"):
        raise ZeroDivisionError
