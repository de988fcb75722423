"""The definitions that come with the project: Circe JSON, from a clone or from the wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
HOSPITAL = "hospital"
"""The folder of the definitions that are about the synthetic hospital."""


def shipped(*folders: str) -> dict[str, Path]:
    """Return the shipped definitions by name: the `cohorts` folder of a clone, else the wheel's own copy.

    Those about GiBleed; with `folders`, those of these folders below instead.
    """
    for place in (_PACKAGE / "shipped_cohorts", _PACKAGE.parent / "cohorts"):
        if place.is_dir():
            found = [path for folder in folders or ("",) for path in (place / folder).glob("*.json")]
            return {path.stem: path for path in sorted(found)}
    return {}
