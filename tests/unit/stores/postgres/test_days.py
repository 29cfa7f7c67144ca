from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.stores.postgres.partitions import AUDIT, PARTED, partition_day, partition_name


@given(st.sampled_from(PARTED), st.dates(min_value=date(1970, 1, 1), max_value=date(9998, 1, 1)))
def test_a_partitions_name_tells_its_day(table, day: date) -> None:
    assert partition_day(table, partition_name(table, day)) == day


@pytest.mark.parametrize(
    "name",
    ["audit_log_default", "audit_log_archive", "audit_log_20261332", "audit_log_2026112",
     "audit_log_202611230", "audit_log_²0261123", "fabric_events_20261123", ""],
)  # fmt: skip
def test_other_names_have_no_day(name: str) -> None:
    assert partition_day(AUDIT, name) is None
