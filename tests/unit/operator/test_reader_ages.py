"""How old an entry is whose id was given by a clock that jumped."""

import pytest

from citadel_k8s.operator.remembered import line_of, memory_of
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
    heard_ms = setting.world.registry.nodes["gpu-1"].heard_ms
    assert setting.world.clock.now() - heard_ms / 1000 < 3


async def test_an_age_told_by_a_clock_that_was_set_to_and_fro_is_right_for_the_next_operator():
    setting = Setting()
    setting.speak("gpu-1")
    for jump in (-3600, 7200, -3600, 3600):
        await setting.pass_time(5)
        setting.world.clock.jump(jump)
    await setting.pass_time(2)
    record = setting.world.registry.nodes["gpu-1"]
    memory = memory_of(line_of(record), int(setting.world.clock.now() * 1000))
    assert memory.age == pytest.approx(record.live.age(setting.world.clock.monotonic()), abs=1)
    assert memory.position == record.last_id
