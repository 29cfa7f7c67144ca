from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.collectors.lines import WHOLE_GPU
from citadel_k8s.collectors.quarantine import QUARANTINE_FIRST, QUARANTINE_MAX, Quarantine


def test_a_call_that_hung_is_left_out_for_a_minute():
    clock = ManualClock()
    quarantine = Quarantine(clock)
    quarantine.hung((3, "a"), "why")
    assert quarantine.active() == {(3, "a"): "why"}
    clock.advance(QUARANTINE_FIRST)
    assert quarantine.active() == {}


def test_a_call_that_hangs_again_is_left_out_twice_as_long_up_to_an_hour():
    clock = ManualClock()
    quarantine = Quarantine(clock)
    waits = []
    for _ in range(9):
        quarantine.hung((3, "a"), "why")
        waited = 0
        while quarantine.active():
            clock.advance(10)
            waited += 10
        waits.append(waited)
    assert waits[:4] == [60, 120, 240, 480]
    assert waits[-1] == QUARANTINE_MAX


def test_a_call_that_answered_after_its_time_is_forgotten():
    clock = ManualClock()
    quarantine = Quarantine(clock)
    quarantine.hung((3, "a"), "why")
    clock.advance(QUARANTINE_FIRST)
    quarantine.answered({(3, "a")})
    quarantine.hung((3, "a"), "again")
    clock.advance(QUARANTINE_FIRST)
    assert quarantine.active() == {}


def test_a_call_is_due_once_its_time_is_over_and_until_it_has_answered():
    clock = ManualClock()
    quarantine = Quarantine(clock)
    quarantine.hung((3, "a"), "why")
    assert quarantine.due() == []
    clock.advance(QUARANTINE_FIRST)
    assert quarantine.due() == [(3, "a")]
    quarantine.answered([(3, "a")])
    assert quarantine.due() == []


def test_an_answer_does_not_free_a_call_that_was_not_made():
    quarantine = Quarantine(ManualClock())
    quarantine.hung((3, "a"), "why")
    quarantine.answered({(2, "a"), (3, "b")})
    assert quarantine.active() == {(3, "a"): "why"}


def test_a_second_call_that_hangs_on_the_same_gpu_leaves_out_the_whole_gpu():
    quarantine = Quarantine(ManualClock())
    quarantine.hung((3, "a"), "first")
    quarantine.hung((4, "b"), "other")
    quarantine.hung((3, "b"), "second")
    assert quarantine.active() == {(3, "a"): "first", (4, "b"): "other", (3, WHOLE_GPU): "second"}
    assert (3, WHOLE_GPU) in quarantine.active()


def test_two_calls_of_the_source_itself_do_not_become_a_gpu():
    quarantine = Quarantine(ManualClock())
    quarantine.hung((None, "nvmlInit"), "first")
    quarantine.hung((None, "nvmlDeviceGetCount"), "second")
    assert set(quarantine.active()) == {(None, "nvmlInit"), (None, "nvmlDeviceGetCount")}
