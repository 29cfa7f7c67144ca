"""How old an entry is whose id was given by a clock that jumped."""

from tests.unit.operator.test_reader import Setting


async def test_a_clock_of_redis_that_jumps_ahead_makes_no_new_entry_old():
    setting = Setting()
    setting.speak("gpu-1")
    await setting.pass_time(5)
    setting.speak("gpu-1")
    setting.world.clock.jump(3600)
    await setting.reader.step()
    age = setting.world.registry.nodes["gpu-1"].live.age(setting.world.clock.monotonic())
    assert age is not None
    assert age < 3
