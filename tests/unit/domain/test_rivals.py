from citadel_k8s.domain.rivals import RIVAL_GRACE, Rival, hear, still


def listen(*messages: tuple[float, str | None, bool]) -> Rival | None:
    rival = None
    for now, boot_id, goodbye in messages:
        rival = hear(rival, boot_id=boot_id, own="me", goodbye=goodbye, now=now)
    return rival


def test_ones_own_messages_make_no_rival():
    assert listen((0, "me", False), (30, "me", False)) is None


def test_one_foreign_message_is_no_proof():
    rival = listen((0, "other", False))
    assert rival is not None
    assert not rival.proven


def test_a_process_that_keeps_speaking_is_a_rival():
    rival = listen((0, "other", False), (30, "other", False))
    assert rival is not None
    assert rival.proven


def test_an_agent_that_finishes_beside_its_successor_is_none():
    rival = listen((0, "other", False), (RIVAL_GRACE - 1, "other", False))
    assert rival is not None
    assert not rival.proven
    assert listen((0, "other", False), (5, "other", True)) is None


def test_of_several_rivals_that_take_turns_one_is_proven():
    rival = listen(*[(30 * n, ("b", "c")[n % 2], False) for n in range(4)])
    assert rival is not None
    assert rival.proven


def test_the_goodbye_of_a_third_process_does_not_excuse_a_rival():
    rival = listen((0, "other", False), (30, "other", False), (31, "third", True))
    assert rival is not None
    assert rival.proven


def test_a_client_without_a_boot_id_is_another_process_too():
    rival = listen((0, None, False), (30, None, False))
    assert rival is not None
    assert rival.proven


def test_a_rival_that_falls_silent_is_forgotten():
    rival = listen((0, "other", False), (30, "other", False))
    assert still(rival, interval=30, now=120) == rival
    assert still(rival, interval=30, now=121) is None
    assert still(None, interval=30, now=0) is None
