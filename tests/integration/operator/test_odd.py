"""What people and other programs do to objects: nothing is lost, loops, or looks green."""

import pytest

from tests.integration.operator import odd as acts
from tests.integration.operator.lives import Life

pytestmark = pytest.mark.usefixtures("faults")


def test_an_object_under_a_wrong_name_says_nothing_and_takes_nobodys_place(faults: Life) -> None:
    found = faults.saw(acts.has_a_wrong_name).object()
    assert found["spec"]["nodeId"] == "odd-named"
    assert "status" not in found


def test_an_object_that_names_another_node_is_told_once_and_left_alone(faults: Life) -> None:
    seen = faults.saw(acts.names_another)
    assert len(seen.lines) == 1
    assert "already exists" in seen.lines[0]["error"]
    assert "status" not in seen.before
    assert seen.verdict == "Online"  # the metric knows better than the object
    assert seen.ready[0] == 200


def test_a_node_whose_place_was_taken_gets_its_object_once_the_place_is_free(
    faults: Life,
) -> None:
    seen = faults.saw(acts.names_another)
    assert seen.after["spec"]["nodeId"] == "odd-usurped"
    assert seen.after["status"]["state"] == "Online"
    assert len(seen.again) == 1


def test_a_node_made_anew_under_its_name_adopts_the_object(faults: Life) -> None:
    seen = faults.saw(acts.is_a_new_node)
    assert seen.took < 2
    before, after = (each["odd-anew"] for each in (seen.before, seen.after))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]


def test_a_node_made_anew_whose_object_went_with_the_old_one_gets_back_what_people_said(
    faults: Life,
) -> None:
    seen = faults.saw(acts.is_a_new_node)
    before, after = (each["odd-collected"] for each in (seen.before, seen.after))
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert after["spec"]["config"] == {"note": "odd-collected"}


def test_a_node_made_anew_is_never_offline_for_it(faults: Life) -> None:
    assert faults.saw(acts.is_a_new_node).states <= {"Online", None}


def test_an_object_that_a_finalizer_holds_is_written_no_more_often_than_others(
    faults: Life,
) -> None:
    seen = faults.saw(acts.is_held)
    assert "deletionTimestamp" in seen.held["metadata"]
    assert seen.held["status"]["state"] == "Online"
    assert {a.verb for a in seen.asked} <= {"PATCH"}
    assert len(seen.asked) <= 3


def test_an_object_whose_finalizer_is_done_is_made_anew_if_its_node_lives(faults: Life) -> None:
    assert faults.saw(acts.is_held).seconds < 10


def test_an_orphan_that_a_finalizer_holds_is_deleted_once(faults: Life) -> None:
    seen = faults.saw(acts.is_held)
    assert [verb for verb, _ in seen.orphan()].count("DELETE") == 1
    assert len(seen.deleted()) == 1


def test_conditions_of_other_programs_survive(faults: Life) -> None:
    seen = faults.saw(acts.has_others_conditions)
    assert seen.state == "Online"
    assert acts.types(seen.shared) == [*seen.ours, *acts.types(seen.theirs)]
    kept = [c for c in seen.shared if c["type"] not in seen.ours]
    assert kept == seen.theirs


def test_ours_have_their_place_among_sixteen_of_others(faults: Life) -> None:
    seen = faults.saw(acts.has_others_conditions)
    assert len(seen.crowded) == 16
    assert acts.types(seen.crowded) == [*seen.ours, *seen.many[: 16 - len(seen.ours)]]


def test_a_state_that_does_not_exist_is_refused_by_the_definition(faults: Life) -> None:
    assert "Unsupported value" in faults.saw(acts.has_garbage).refused


def test_an_emptied_status_is_put_right(faults: Life) -> None:
    seen = faults.saw(acts.has_garbage)
    assert seen.seconds < 15
    assert seen.emptied["gpus"] == seen.before["gpus"]
    assert seen.emptied["summary"] == seen.before["summary"]


def test_dates_of_another_century_are_put_right(faults: Life) -> None:
    dated = faults.saw(acts.has_garbage).dated
    assert acts.FUTURE not in str(dated)
