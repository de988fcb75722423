"""The model as data: consistent in itself, and equal to the public field list where that is at hand."""

from __future__ import annotations

import csv
from pathlib import Path

from workbench.repository.cdm import RECORDS, RENAMED, SQL_TYPES, TABLES


def test_the_model_is_consistent() -> None:
    for table in TABLES.values():
        for field in table.fields:
            assert field.type in SQL_TYPES
            assert field.references is None or TABLES[field.references].key is not None
            assert field.after is None or field.after in table.by_name
            assert not (field.type == "datetime" and field.name.endswith("_date"))
    for name, renamed in RENAMED.items():
        assert not set(renamed) & set(TABLES[name].names)
        assert set(renamed.values()) <= set(TABLES[name].names)


def test_records_have_a_start_and_a_person() -> None:
    assert {name: TABLES[name].start_date for name in ("drug_exposure", "measurement", "death")} == {
        "drug_exposure": "drug_exposure_start_date",
        "measurement": "measurement_date",
        "death": "death_date",
    }
    assert TABLES["visit_occurrence"].end_date == "visit_end_date"
    for name in RECORDS:
        assert TABLES[name].has_person
        assert TABLES[name].start_date
        assert TABLES[name].order[0] == "person_id"


def test_the_model_equals_the_public_field_list(shared: Path) -> None:
    path = shared / "data/omop_quality/OMOP_CDMv5.4_Field_Level.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8-sig")))
    public = {(row["cdmTableName"].lower(), row["cdmFieldName"].lower()): row for row in rows}
    ours = {(table.name, field.name): field for table in TABLES.values() for field in table.fields}
    assert set(ours) == set(public)
    for where, row in public.items():
        assert ours[where].required == (row["isRequired"] == "Yes"), where
        assert ours[where].key == (row["isPrimaryKey"] == "Yes"), where
        refers = row["fkTableName"].lower() if row["isForeignKey"] == "Yes" else ""
        assert (ours[where].references or "") == refers or where[0].startswith("cohort"), where
