"""What a new operator concludes from a hole in the stream that it did not see come about."""

from tests.unit.operator.test_reader import Setting


async def restarted(setting: Setting, *, hole: float, since: float) -> Setting:
    """Two nodes speak, the stream is away, one of them speaks again, the operator is a new one."""
    for node in ("gpu-1", "gpu-2"):
        setting.world.restore(node)
        setting.speak(node)
    setting.world.clock.advance(hole)
    setting.speak("gpu-1")
    setting.world.clock.advance(since / 2)
    setting.speak("gpu-1")
    setting.world.clock.advance(since / 2)
    await setting.pass_time(2)
    return setting


async def test_who_has_not_spoken_since_the_stream_is_back_is_given_time():
    setting = await restarted(Setting(), hole=30, since=3)
    assert setting.world.state("gpu-2") == "Online"
    await setting.pass_time(12, speaking=("gpu-1",))
    assert setting.world.state("gpu-2") == "Offline"


async def test_that_time_runs_from_when_the_stream_was_back_and_not_from_the_restart():
    setting = await restarted(Setting(), hole=30, since=16)
    assert (setting.world.state("gpu-1"), setting.world.state("gpu-2")) == ("Online", "Offline")


async def test_after_a_hole_longer_than_the_timeout_silence_counts_from_its_end():
    """The clock of Redis may have been set forward: how old words from before are, nobody knows."""
    setting = await restarted(Setting(), hole=60, since=16)
    assert setting.world.state("gpu-2") == "Online"
    await setting.pass_time(20, speaking=("gpu-1",))
    assert setting.world.state("gpu-2") == "Offline"
