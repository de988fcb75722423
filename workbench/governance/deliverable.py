"""What an extract can deliver at all (`deliverable.toml`): an allow list, so that a column nobody thought of stays in.

Free text, `*_source_value`, notes, identifiers and dates of birth are not in the list and never will be.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

_NEVER: Final = (
    (re.compile(r"_source_value$|^value_as_string$|^sig$|^stop_reason$|^note|_text$|_name$|^lot_number$"), "free_text"),
    (re.compile(r"birth"), "birth"),
    (re.compile(r"_datetime$|_time$"), "time_of_day"),
    (re.compile(r"_concept_id$|_date$|_number$|_as_"), "unknown"),
    (re.compile(r"_id$"), "identifier"),
)


@cache
def deliverable() -> Mapping[str, Mapping[str, str]]:
    """Return table → column → kind (`person concept source_concept start end number age key.PURPOSE`)."""
    return tomllib.loads(files("workbench.governance").joinpath("deliverable.toml").read_text(encoding="utf-8"))


def why_never(table: str, column: str) -> str | None:
    """Return None where a column can be delivered, else why never: the code of `governance.withheld_CODE` in the words.

    Codes: `free_text`, `identifier`, `birth`, `time_of_day`, `note`, `unknown` (not in the allow list).
    """
    if column in deliverable().get(table, {}):
        return None
    if table in {"note", "note_nlp"}:
        return "note"
    return next((code for pattern, code in _NEVER if pattern.search(column)), "unknown")


def delivered_name(table: str, column: str) -> str:
    """Return the name under which a column is delivered: dates become `start_day` and `end_day` in every table."""
    kind = deliverable()[table][column]
    return f"{kind}_day" if kind in {"start", "end"} else column


def main_concept(table: str) -> str | None:
    """Return the column that says, as a standard concept, what a row of a table is; None where it has no such column.

    It is named after its table in the CDM: `drug_concept_id` in `drug_exposure` and in `drug_era`.
    """
    stem = table.removesuffix("_occurrence").removesuffix("_exposure").removesuffix("_era")
    column = f"{stem}_concept_id"
    return column if column in deliverable().get(table, {}) else None
