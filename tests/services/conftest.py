"""The demonstration home, copied and opened, and its people."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.governance.actors import Actor
from workbench.kernel.settings import Settings, load_settings
from workbench.services import people
from workbench.services.context import Workbench, open_workbench


@pytest.fixture
def settings(demo_copy: Path) -> Settings:
    """The settings of a copy that the test may change."""
    return load_settings(demo_copy, {"WORKBENCH_MLRUNS": str(demo_copy.parent / "mlruns")})


@pytest.fixture
def wb(settings: Settings) -> Workbench:
    """That copy, opened."""
    return open_workbench(settings)


@pytest.fixture
def researcher(wb: Workbench) -> Actor:
    """Who asks."""
    return people.actor_named(wb, "researcher")


@pytest.fixture
def scientist(wb: Workbench) -> Actor:
    """Who learns."""
    return people.actor_named(wb, "datascientist")


@pytest.fixture
def officer(wb: Workbench) -> Actor:
    """Who decides."""
    return people.actor_named(wb, "ethics")


@pytest.fixture
def steward(wb: Workbench) -> Actor:
    """Who keeps the data: the system's user who made the home."""
    return people.acting_as(wb, None)
