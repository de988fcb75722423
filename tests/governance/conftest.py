"""Papers of a study, valid as they are; a test changes what it is about."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.governance.legal_bases import legal_basis

TABLES = {"person": ["age_at_index", "gender_concept_id"], "condition_occurrence": ["condition_concept_id"]}


@pytest.fixture
def protocol() -> dict[str, Any]:
    return {
        "format": "workbench/protocol/1",
        "study": "nsaid",
        "title": "t",
        "purpose": "p",
        "sponsor": "s",
        "investigator": "alice",
        "legal_basis": {
            "code": "internal_study",
            "fields": dict.fromkeys(legal_basis("internal_study").requires, "filled"),
        },
        "members": [{"user": "alice", "role": "researcher"}, {"user": "bob", "role": "data_scientist"}],
        "release": "a" * 64,
        "cohorts": ["nsaid_new_users", "gi_bleed"],
        "tables": {table: list(columns) for table, columns in TABLES.items()},
        "period": {"from_day": -365, "to_day": 0},
        "outcome_period": {"from_day": 0, "to_day": 365},
        "dates": "days_from_index",
        "sensitive_classes": [],
        "duration_days": 365,
        "retention_days": 730,
        "destinations": [],
    }


@pytest.fixture
def request_() -> dict[str, Any]:
    return {
        "format": "workbench/request/1",
        "study": "nsaid",
        "protocol": "b" * 64,
        "cohort": "c" * 64,
        "outcomes": ["d" * 64],
        "tables": {table: list(columns) for table, columns in TABLES.items()},
        "period": {"from_day": -365, "to_day": 0},
        "outcome_period": {"from_day": 0, "to_day": 365},
        "why_not_aggregate": "a model needs rows",
        "requester": "alice",
    }
