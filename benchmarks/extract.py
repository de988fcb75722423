"""What an extract costs beside copying the same columns of the same rows to Parquet.

    python -m benchmarks.extract FOLDER [--rows N] [--hospital N]

`FOLDER` holds the tables of a release as Parquet: of a synthetic hospital of N patients where `--hospital` is said and
the folder is new (`python -m benchmarks.quality DATABASE --keep FOLDER` makes one of any database). The
cohort is as many persons as have N rows of measurements. The extract is made whole: selected, pseudonymized, its risk
measured, sealed, and read again by the independent inspection. The copy is DuckDB's own: the same persons, columns and
period, compressed alike. Then the extract is made into its MEDS form. Each is a process of its own.
"""

from __future__ import annotations

import json
import platform
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from benchmarks.measure import Cost, cost, middle
from workbench.extracts.build import build_extract
from workbench.extracts.meds import meds_tables
from workbench.extracts.meds_files import write_meds
from workbench.extracts.read import read_tables
from workbench.governance.keys import StudySecrets, demonstration_entropy
from workbench.hospital.make import make
from workbench.kernel.digest import digest_document
from workbench.repository.cdm import TABLES
from workbench.services.meds import splits_of

ROWS = 10_000_000
CUT_OFF = date(2030, 12, 31)
COLUMNS = ("measurement_concept_id", "measurement_date", "value_as_number", "unit_concept_id", "visit_occurrence_id")
WANTED = {"person": ["age_at_index", "gender_concept_id"], "measurement": list(COLUMNS)}
DIGEST = "a" * 64
PERIOD = {"from_day": None, "to_day": None}


def hospital(folder: Path, patients: int) -> None:
    """Make the synthetic hospital and write its tables sorted as a release has them."""
    with TemporaryDirectory(dir=folder.parent) as place:
        made = make(Path(place) / "hospital", patients=patients)
        folder.mkdir(parents=True)
        with duckdb.connect() as connection:
            for path in sorted(made.omop.glob("*.parquet")):
                order = ", ".join(TABLES[path.stem].order) if TABLES[path.stem].key else "ALL"
                into = folder / path.name
                connection.execute(f"COPY (FROM '{path}' ORDER BY {order}) TO '{into}' (COMPRESSION zstd)").fetchall()


def cohort_of(folder: Path, rows: int) -> None:
    """Write the cohort: the first persons that together have so many measurements, in on their first observed day."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT p.person_id AS subject_id, p.observation_period_start_date + 400 AS cohort_start_date,
                       p.observation_period_end_date AS cohort_end_date
                FROM (SELECT person_id, sum(count(*)) OVER (ORDER BY person_id) AS sofar
                      FROM '{folder}/measurement.parquet' GROUP BY person_id) AS m
                JOIN '{folder}/observation_period.parquet' AS p ON p.person_id = m.person_id
                WHERE m.sofar <= {rows} AND p.observation_period_start_date + 400 < p.observation_period_end_date)
               TO '{folder}/.cohort.parquet'"""
        ).fetchall()


def copied(folder: Path, into: Path) -> None:
    """Copy the cohort's rows and columns to compressed Parquet."""
    with duckdb.connect() as connection:
        for table, columns in {"person": ("gender_concept_id", "year_of_birth"), "measurement": COLUMNS}.items():
            chosen = ", ".join(f"t.{column}" for column in ("person_id", *columns))
            connection.execute(
                f"""COPY (SELECT {chosen} FROM '{folder}/{table}.parquet' AS t
                    JOIN '{folder}/.cohort.parquet' AS c ON c.subject_id = t.person_id)
                    TO '{into}/{table}.parquet' (COMPRESSION zstd)"""
            ).fetchall()


def extracted(folder: Path, into: Path) -> None:
    """Make the extract."""
    with duckdb.connect() as connection:
        cohort = connection.execute(f"FROM '{folder}/.cohort.parquet'").to_arrow_table()
    secrets = (demonstration_entropy(f"benchmark/{which}", 32) for which in ("pseudonym", "data"))
    build_extract(
        release_tables={path.stem: path for path in folder.glob("[a-z]*.parquet")},
        release_digest=DIGEST,
        cut_off=CUT_OFF,
        cohort=cohort,
        cohort_digest=DIGEST,
        outcomes={},
        secrets=StudySecrets("benchmark", *secrets),
        synthetic=True,
        into=into,
        **papers(),
    )


def papers() -> dict[str, Any]:
    """Return a protocol, a request and an approval that belong together."""
    fields = ("purpose", "sponsor", "care_team", "register_entry", "dpia_reference", "patients_information")
    protocol = {
        "format": "workbench/protocol/1", "study": "benchmark", "title": "b", "purpose": "b", "sponsor": "b",
        "investigator": "a", "legal_basis": {"code": "internal_study", "fields": dict.fromkeys(fields, "b")},
        "members": [{"user": "a", "role": "researcher"}], "release": DIGEST, "cohorts": ["c"], "tables": WANTED,
        "period": PERIOD, "outcome_period": PERIOD, "dates": "days_from_index", "sensitive_classes": [],
        "duration_days": 1, "retention_days": 1, "destinations": [],
    }  # fmt: skip
    request = {
        "format": "workbench/request/1", "study": "benchmark", "protocol": digest_document(protocol),
        "cohort": DIGEST, "outcomes": [], "tables": WANTED, "period": PERIOD, "outcome_period": PERIOD,
        "why_not_aggregate": "b", "requester": "a",
    }  # fmt: skip
    approval = {
        "format": "workbench/approval/1", "request": digest_document(request), "protocol": digest_document(protocol),
        "reviewer": "c", "decision": "approved", "reason": "b", "conditions": [],
    }  # fmt: skip
    return {"protocol": protocol, "request": request, "approval": approval}


def as_meds(extract: Path, into: Path) -> None:
    """Make the MEDS form of an extract: opened, one long table, sealed."""
    key = demonstration_entropy("benchmark/data", 32)
    tables = read_tables(extract, key)
    manifest = json.loads((extract / "manifest.json").read_text(encoding="utf-8"))
    write_meds(meds_tables(tables), splits_of(tables["cohort"].get_column("person_id").sort()), manifest, into, key)


STEPS = {"copy": copied, "extract": extracted, "meds": as_meds}


def rows_of(kind: str, into: Path) -> int:
    """Return how many measurements a step wrote."""
    if kind != "copy":
        entries = json.loads((into / "manifest.json").read_text(encoding="utf-8"))["tables"]
        return next(entry["rows"] for entry in entries if entry["name"] in {"measurement", "data"})
    with duckdb.connect() as connection:
        counted = connection.execute(f"SELECT count(*) FROM '{into}/measurement.parquet'").fetchall()
    return int(counted[0][0])


def compare(folder: Path, rows: int) -> None:
    """Measure both by turns, three times, and print what was measured."""
    cohort_of(folder, rows)
    costs: dict[str, list[Cost]] = {name: [] for name in STEPS}
    wrote: dict[str, int] = {}
    for _ in range(3):
        with TemporaryDirectory(dir=folder) as place:
            for name in STEPS:
                into = Path(place, name)
                into.mkdir()
                of = Path(place, "extract") if name == "meds" else folder
                command = [sys.executable, "-m", "benchmarks.extract", "--step", name, str(of), str(into)]
                costs[name].append(cost(command))
                wrote[name] = rows_of(name, into)
    copy, extract, meds = (middle(costs[name]) for name in STEPS)
    print(f"rows: {wrote}, DuckDB {duckdb.__version__}, Python {platform.python_version()}")
    print(f"extract {extract.cpu:.1f} CPU-s, copy {copy.cpu:.1f}: {extract.cpu / copy.cpu:.1f} times")
    print(f"its MEDS form {meds.cpu:.1f} CPU-s: {meds.cpu / copy.cpu:.1f} times the copy")
    print(f"peak memory: extract {extract.memory:.0f} MB, MEDS {meds.memory:.0f} MB, copy {copy.memory:.0f} MB")


def main(arguments: list[str]) -> None:
    """Run the comparison, or one step of it in this process."""
    if arguments[:1] == ["--step"]:
        STEPS[arguments[1]](Path(arguments[2]), Path(arguments[3]))
        return
    said = {name: int(arguments[arguments.index(name) + 1]) for name in ("--rows", "--hospital") if name in arguments}
    if "--hospital" in said and not Path(arguments[0]).exists():
        hospital(Path(arguments[0]), said["--hospital"])
    compare(Path(arguments[0]), said.get("--rows", ROWS))


if __name__ == "__main__":
    main(sys.argv[1:])
