"""Copies of a home that was made once, each test's own to change."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

_STORES = ("*.sqlite", "*.db")
_KEPT_ASIDE = shutil.ignore_patterns(*_STORES, "*-wal", "*-shm")


def copy_home(made: Path, into: Path, name: str = "home", *, mlruns: bool = True) -> Path:
    """Copy a home with its keys, and its MLflow folder unless told not to; return the copy's place, `into / name`.

    Nobody may be writing in the home: its log and its anchor files are copied one after the other.
    """
    for suffix in ("", "-keys"):
        _copy(made.with_name(made.name + suffix), into / f"{name}{suffix}")
    if mlruns:
        _copy(made.parent / "mlruns", into / "mlruns")
    return into / name


def _copy(made: Path, into: Path) -> None:
    """Copy a folder; its stores are read through SQLite, which knows what still lies in their write-ahead logs."""
    shutil.copytree(made, into, ignore=_KEPT_ASIDE)
    for store in (path for pattern in _STORES for path in made.rglob(pattern)):
        copy = into / store.relative_to(made)
        with closing(sqlite3.connect(store)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
        copy.chmod(store.stat().st_mode)
