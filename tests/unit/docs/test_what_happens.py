"""Each row of "What happens when" has tests, and each of these exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/troubleshooting.md").read_text()
SECTION = PAGE.split("\n## What happens when\n")[1].split("\n## ")[0]

TESTS: dict[str, tuple[str, ...]] = {
    "an entry that is no message": (
        "test_each_sender_of_nonsense_gets_one_line_that_says_what_is_wrong",
        "test_nonsense_makes_no_object_and_disturbs_no_node",
    ),
    "a message once more": ("test_a_replayed_entry_is_refused_and_keeps_nobody_alive",),
    "an entry of another org": ("test_entries_of_the_own_org_and_unstamped_ones_count",),
    "messages of two agents": (
        "test_two_agents_that_both_go_on_speaking_are_found_within_two_intervals",
        "test_there_is_one_agent_again_when_the_other_has_been_silent_for_ten_minutes",
    ),
    "an id that neither": (
        "test_an_id_that_nobody_knows_is_taken_on_where_that_is_the_policy",
        "test_an_id_that_nobody_knows_makes_no_node_where_it_is_not_wanted",
        "test_an_object_made_by_hand_admits_its_node",
    ),
    "Redis hangs": (
        "test_a_hanging_valkey_makes_nobody_offline",
        "test_a_hanging_valkey_is_told_in_one_line_in_figures_and_by_the_probe",
    ),
    "Redis is away when": (
        "test_redis_away_before_the_reader_began_is_its_trouble",
        "test_how_the_pipe_fares_is_an_event_also_of_who_cannot_read_the_stream_yet",
        "test_an_alert_about_the_way_goes_on_firing_over_a_restart_while_redis_is_away",
    ),
    "Redis lost its data": (
        "test_a_valkey_that_lost_its_data_begins_a_new_epoch_and_makes_nobody_offline",
    ),
    "entries were trimmed": (
        "test_entries_trimmed_below_the_cursor_are_counted_and_silence_is_deferred",
    ),
    "something else lies": ("test_a_key_of_another_type_in_the_streams_place_is_told_in_one_line",),
    "a status that somebody": (
        "test_an_emptied_status_is_put_right",
        "test_a_status_that_somebody_overwrote_is_put_right",
    ),
    "a state that does not exist": (
        "test_a_state_that_does_not_exist_is_refused_by_the_definition",
    ),
    "a status that cannot be read": ("test_a_restored_object_with_a_garbage_status_is_unknown",),
    "dates of the future": ("test_dates_of_another_century_are_put_right",),
    "conditions of other programs": (
        "test_conditions_of_other_programs_survive",
        "test_ours_have_their_place_among_sixteen_of_others",
    ),
    "an object whose name is not": (
        "test_an_object_under_a_wrong_name_says_nothing_and_takes_nobodys_place",
    ),
    "an object under a node's name": (
        "test_an_object_that_names_another_node_is_told_once_and_left_alone",
        "test_a_node_whose_place_was_taken_gets_its_object_once_the_place_is_free",
        "test_a_refused_object_is_tried_seldom_however_much_happens_to_it",
    ),
    "the object of a living node": (
        "test_a_living_nodes_deleted_object_is_made_anew_with_what_people_said",
    ),
    "the object of a dead node": ("test_a_dead_nodes_deleted_object_stays_deleted",),
    "an object is deleted while nobody": (
        "test_what_was_deleted_while_no_operator_ran_is_made_good",
        "test_an_object_deleted_while_its_watch_was_broken_is_made_anew",
        "test_what_a_watch_missed_is_noticed_without_waiting_for_the_next_sweep",
    ),
    "an object is deleted and somebody's finalizer": (
        "test_an_object_that_a_finalizer_holds_is_written_no_more_often_than_others",
        "test_an_object_whose_finalizer_is_done_is_made_anew_if_its_node_lives",
        "test_an_orphan_that_a_finalizer_holds_is_deleted_once",
    ),
    "a Node is made anew": (
        "test_a_node_made_anew_under_its_name_adopts_the_object",
        "test_a_node_made_anew_whose_object_went_with_the_old_one_gets_back_what_people_said",
    ),
    "a Node leaves": (
        "test_the_object_of_a_node_that_left_the_cluster_is_deleted",
        "test_the_object_of_a_node_that_still_speaks_is_kept",
    ),
    "an object is to be deleted": (
        "test_a_deletion_that_is_refused_is_no_failed_sweep_and_keeps_no_other_orphan",
        "test_an_object_that_the_server_keeps_does_not_keep_the_others",
    ),
    "a definition that is older": (
        "test_what_an_older_definition_drops_is_not_written_for_ever",
        "test_what_only_a_newer_definition_knows_is_kept",
    ),
    "the definition is deleted": (
        "test_an_operator_without_definitions_waits_and_says_what_to_install",
        "test_definitions_that_were_deleted_and_came_back_are_served_again",
    ),
    "410 to LIST": ("test_no_node_that_speaks_is_offline_for_a_trouble_of_the_api_server",),
    "429": (
        "test_a_time_to_wait_is_kept",
        "test_a_server_that_asks_to_wait_is_left_alone_by_all_nodes",
        "test_a_short_wait_does_not_end_a_longer_one",
    ),
    "500, 502": (
        "test_what_could_not_be_written_is_written_soon_after",
        "test_a_server_in_trouble_is_not_hammered",
    ),
    "401 or 403": ("test_what_every_write_would_get_is_the_servers_trouble",),
    "one object is refused": (
        "test_what_one_write_gets_is_not_the_servers_trouble",
        "test_an_object_refused_for_good_is_one_line_however_well_the_others_fare",
    ),
    "a connection that is taken": (
        "test_the_probe_says_what_is_missing_and_the_process_is_well",
        "test_a_server_that_takes_a_request_and_says_nothing_is_told",
        "test_a_server_that_does_not_answer_a_write_is_told_soon",
    ),
    "answers that break off": (
        "test_a_watch_that_breaks_off_at_once_is_begun_anew_less_and_less_often",
        "test_a_write_whose_answer_was_lost_is_made_again_until_the_server_answers",
        "test_an_answer_that_is_no_list_is_not_an_empty_one",
    ),
    "nobody listens": (
        "test_a_death_is_known_in_time_though_the_api_server_is_away",
        "test_an_api_server_that_is_back_is_told_soon",
    ),
}
"""Test functions by how the row begins."""


def rows() -> list[str]:
    lines = [line for line in SECTION.splitlines() if line.startswith("| ")]
    return [line.removeprefix("| ").split(" | ")[0] for line in lines if "what comes" not in line]


def existing() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}


def test_each_row_has_tests_and_there_are_no_others() -> None:
    told = {row: [start for start in TESTS if row.startswith(start)] for row in rows()}
    assert {row: starts for row, starts in told.items() if len(starts) != 1} == {}
    assert len(told) == len(TESTS)


@pytest.mark.parametrize("start", TESTS)
def test_the_tests_of_a_row_exist(start: str) -> None:
    assert set(TESTS[start]) - existing() == set()
