"""Legal bases of studies as dated data (`legal_bases.toml`): each lists the fields that must be filled."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from workbench.kernel.errors import InvalidInput
from workbench.kernel.text import Lang


@dataclass(frozen=True)
class LegalBasis:
    """One basis: `requires` are field codes, `rows` says whether an extract of rows can be made under it.

    `valid_from` and `source` date the text it was read from; `status` stays "to be confirmed by the DPO" until then.
    """

    code: str
    name: Mapping[Lang, str]
    requires: tuple[str, ...]
    rows: bool
    valid_from: date
    source: str
    status: str


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(files("workbench.governance").joinpath("legal_bases.toml").read_text(encoding="utf-8"))


@cache
def legal_bases() -> Mapping[str, LegalBasis]:
    """Return code → legal basis, in the order of the data file."""
    return {
        entry["code"]: LegalBasis(
            code=entry["code"],
            name=entry["name"],
            requires=tuple(entry["requires"]),
            rows=entry["rows"],
            valid_from=date.fromisoformat(entry["valid_from"]),
            source=entry["source"],
            status=entry["status"],
        )
        for entry in _data()["basis"]
    }


def legal_basis(code: str) -> LegalBasis:
    """Return one legal basis; `InvalidInput` (`governance.unknown_legal_basis`) where the code is not in the data."""
    bases = legal_bases()
    if code not in bases:
        raise InvalidInput("governance.unknown_legal_basis", basis=code, known=", ".join(bases))
    return bases[code]


def field_label(field: str, lang: Lang) -> str:
    """Return what people read for a required field; one that no legal basis requires is called as its protocol does."""
    return str(_data()["field"].get(field, {}).get(lang, field))


def missing_fields(code: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return the codes of required fields that are absent or blank, in the order of the data."""
    return tuple(name for name in legal_basis(code).requires if not str(fields.get(name, "")).strip())
