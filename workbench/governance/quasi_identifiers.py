"""What somebody outside may know of a person (`quasi_identifiers.toml`): over these columns the risk is measured."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Kind = Literal["value", "set", "event"]


@dataclass(frozen=True)
class QuasiIdentifier:
    """A column that may be known: its delivered name in its table, and how its rows become one value a person."""

    name: str
    table: str
    column: str
    kind: Kind


@cache
def quasi_identifiers() -> tuple[QuasiIdentifier, ...]:
    """Return every column that may be known, in the order declared."""
    text = files("workbench.governance").joinpath("quasi_identifiers.toml").read_text(encoding="utf-8")
    declared: Mapping[str, Mapping[str, Any]] = tomllib.loads(text)
    return tuple(QuasiIdentifier(name, **entry) for name, entry in declared.items())
