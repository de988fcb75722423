"""The definitions that come with the project: Circe JSON, from a clone or from the wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped() -> dict[str, Path]:
    """Return the shipped definitions by name: the `cohorts` folder of a clone, else the wheel's own copy."""
    for folder in (_PACKAGE / "shipped_cohorts", _PACKAGE.parent / "cohorts"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.json"))}
    return {}
