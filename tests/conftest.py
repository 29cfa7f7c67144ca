"""What all tests share."""

import asyncio
from collections.abc import Iterator

import hypothesis
import pytest

# A busy machine is no defect: no deadline per example. The same examples in each run, so that a
# failure seen once is seen again.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def main_loop() -> Iterator[None]:
    """Have a current loop that is closed at the end: looptime asks for it before each test, and
    asyncio would make one that nobody closes."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
