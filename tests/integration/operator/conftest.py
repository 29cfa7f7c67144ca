"""Four lives of operators for the tests of this folder; see `lives`.

The lives that the chosen tests ask for begin together, at the first of these tests.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from citadel_k8s.local.binaries import Binaries
from tests.integration.operator.faults import FAULTS
from tests.integration.operator.lives import Life, Stage
from tests.integration.operator.outages import OUTAGES
from tests.integration.operator.rough import ROUGH
from tests.integration.operator.steady import STEADY

LIVES = {life.name: life for life in (STEADY, OUTAGES, ROUGH, FAULTS)}


@pytest.fixture(scope="session")
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, binaries: Binaries
) -> Iterator[Path]:
    asked = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    folder = tmp_path_factory.mktemp("operators")
    with Stage([life for name, life in LIVES.items() if name in asked], folder, binaries):
        yield folder


@pytest.fixture(scope="session")
def steady(stage: Path) -> Life:
    return STEADY


@pytest.fixture(scope="session")
def outages(stage: Path) -> Life:
    return OUTAGES


@pytest.fixture(scope="session")
def rough(stage: Path) -> Life:
    return ROUGH


@pytest.fixture(scope="session")
def faults(stage: Path) -> Life:
    return FAULTS
