"""Copies of a home that was made once, each test's own to change."""

from __future__ import annotations

import shutil
from pathlib import Path

_PASSING = shutil.ignore_patterns("*-wal", "*-shm")
"""What SQLite keeps beside a store while somebody reads it: nothing of its content, and gone at any moment."""


def copy_home(made: Path, into: Path, name: str = "home", *, mlruns: bool = True) -> Path:
    """Copy a home with its keys, and its MLflow folder unless told not to; return the copy's place, `into / name`."""
    for suffix in ("", "-keys"):
        shutil.copytree(made.with_name(made.name + suffix), into / f"{name}{suffix}", ignore=_PASSING)
    if mlruns:
        shutil.copytree(made.parent / "mlruns", into / "mlruns", ignore=_PASSING)
    return into / name
