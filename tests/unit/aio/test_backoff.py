from citadel_k8s.aio.backoff import Backoff


def test_pauses_double_up_to_a_bound_and_begin_anew() -> None:
    backoff = Backoff(1, 5, jitter=lambda: 0.0)
    assert [backoff.pause() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.pause() == 1


def test_chance_only_lengthens_a_pause() -> None:
    backoff = Backoff(1, 4, jitter=lambda: 0.999)
    assert [round(backoff.pause()) for _ in range(4)] == [2, 4, 8, 8]


def test_a_wait_that_was_asked_for_is_waited_in_full() -> None:
    backoff = Backoff(1, 4, jitter=lambda: 0.5)
    assert backoff.pause(60) == 60.5
    assert backoff.pause() == 3
