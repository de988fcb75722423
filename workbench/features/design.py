"""The study design of a prediction model: who, what, when, seen through which windows, split how, learned by what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.features.gate import check_design
from workbench.kernel.schemas import validate

FORMAT = "workbench/design/1"
DEFAULT_DOMAINS = (
    "condition_occurrence",
    "drug_exposure",
    "procedure_occurrence",
    "measurement",
    "observation",
    "visit_occurrence",
)
DEFAULTS: Mapping[str, Any] = {
    "format": FORMAT,
    "time_at_risk": {"start_day": 1, "end_day": 365},
    "minimum_days_at_risk": 0,
    "washout": True,
    "windows": [
        {"name": "long", "from_day": -365, "to_day": 0},
        {"name": "short", "from_day": -30, "to_day": 0},
    ],
    "domains": list(DEFAULT_DOMAINS),
    "demographics": ["age", "age_group", "gender"],
    "counts": True,
    "values": [],
    "exclude_concepts": [],
    "minimum_persons": 11,
    "split": {"seed": 20, "test_fraction": 0.25},
    "models": ["l1_logistic", "gradient_boosting"],
}


def default_design(target: str, outcome: str, domains: Sequence[str] = DEFAULT_DOMAINS) -> dict[str, Any]:
    """Return the demonstration's design: one year of the outcome, seen through the year and the month before.

    `target` and `outcome` are cohort names; `domains` are the event tables that the extract delivers.
    """
    return read_design({"format": FORMAT, "target": target, "outcome": outcome, "domains": list(domains)})


def read_design(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a complete, checked design: what the document leaves open is filled with `DEFAULTS`.

    The complete form is what is stored and digested, so that later defaults cannot change an old design's meaning.
    Raises `InvalidInput` (`kernel.document_invalid`, `model.unknown_domain`) or `Refused` (`model.leakage`).
    """
    design = {**DEFAULTS, **document}
    if "format" not in document:
        del design["format"]
    validate(design, "design")
    check_design(design)
    return design
