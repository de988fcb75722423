"""The hospital's own data files (TOML and CSV in `data/`), read once."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

AGES = (0, 1, 6, 16, 40, 60, 75, 85)
"""Where the age bands of the data files begin, in years."""


@cache
def rows(name: str) -> tuple[Mapping[str, str], ...]:
    """Return the rows of `data/NAME.csv` by column name."""
    text = files("workbench.hospital").joinpath("data", f"{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines(), delimiter=";"))


@cache
def _document(name: str) -> Mapping[str, Any]:
    return tomllib.loads(files("workbench.hospital").joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))


def reasons() -> Mapping[str, Any]:
    """Return why people come: `motifs.toml`."""
    return _document("motifs")


def diseases() -> Mapping[str, Mapping[str, Any]]:
    """Return the chronic diseases, in the order in which they are drawn: `maladies.toml`."""
    return _document("maladies")


def cancers() -> Mapping[str, Mapping[str, Any]]:
    """Return how each cancer is treated: `cancers.toml`."""
    return _document("cancers")


def planted() -> Mapping[str, Any]:
    """Return the coefficients of what is planted: `verites.toml`."""
    return _document("verites")
