"""The notebook's door: `import workbench.notebook as wbn` and the same services, the same policy, the same log."""

from __future__ import annotations

from pathlib import Path

from workbench.governance.actors import Actor
from workbench.kernel.settings import load_settings
from workbench.services import people
from workbench.services.context import Workbench, open_workbench


def open_home(home: str | Path | None = None, *, acting_as: str | None = None) -> tuple[Workbench, Actor]:
    """Open a home (as `--home` does) and return it with the actor; `acting_as` is for demonstration homes only."""
    wb = open_workbench(load_settings(Path(home) if home is not None else None))
    return wb, people.acting_as(wb, acting_as)
