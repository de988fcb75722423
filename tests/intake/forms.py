"""A small OMOP source in every form that a load takes."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl

SMALL: dict[str, pl.DataFrame] = {
    "person": pl.DataFrame(
        {
            "person_id": [1, 2, 3],
            "gender_concept_id": [8507, 8532, 8532],
            "year_of_birth": [1980, 1990, 2001],
            "person_source_value": ["a", None, "c;d,e"],
        }
    ),
    "visit_occurrence": pl.DataFrame(
        {
            "visit_occurrence_id": [10, 11],
            "person_id": [1, 2],
            "visit_concept_id": [9201, 9202],
            "visit_start_date": [date(2020, 1, 1), date(2020, 2, 1)],
            "visit_start_datetime": [datetime(2020, 1, 1, 8, 30), None],  # noqa: DTZ001 - OMOP's times have no zone
            "visit_end_date": [date(2020, 1, 3), date(2020, 2, 1)],
            "admitting_source_concept_id": [8870, None],
        },
        schema_overrides={"admitting_source_concept_id": pl.Int64},
    ),
    "measurement": pl.DataFrame(
        {
            "measurement_id": [2**53 + 1, 101, 102],
            "person_id": [1, 1, 3],
            "measurement_concept_id": [3000963, 3000963, 0],
            "measurement_date": [date(2020, 1, 2), date(2020, 1, 3), date(2021, 5, 5)],
            "value_as_number": [13.25, None, -0.5],
            "value_source_value": ['13,25 "g/dL"', "NA", "première\nligne"],
        }
    ),
}
"""Three persons, with a name of CDM 5.3, texts that hold every delimiter, an id that no double can hold."""


def as_folder(folder: Path, tables: Mapping[str, pl.DataFrame], form: str) -> Path:
    """Write tables as a folder of files: csv, csv.gz, tsv, semicolon, parquet or parts."""
    folder.mkdir()
    for name, frame in tables.items():
        if form == "parquet":
            frame.write_parquet(folder / f"{name}.parquet")
        elif form == "parts":
            (folder / name).mkdir()
            for number in range(frame.height):
                frame[number : number + 1].write_parquet(folder / name / f"part-{number}.parquet")
            (folder / name / "_SUCCESS").touch()
        else:
            _text(folder, name, frame, form)
    return folder


def _text(folder: Path, name: str, frame: pl.DataFrame, form: str) -> None:
    separator = {"tsv": "\t", "semicolon": ";"}.get(form, ",")
    # A tab-separated file has no quotes unless its header has: then all values are quoted.
    style = "always" if form == "tsv" else "necessary"
    shown = frame.rename({column: column.upper() for column in frame.columns}) if form == "semicolon" else frame
    text = shown.write_csv(separator=separator, quote_style=style, datetime_format="%Y-%m-%d %H:%M:%S").encode()
    if form == "csv.gz":
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text))
    else:
        label = name.upper() if form == "semicolon" else name
        (folder / f"{label}.{'tsv' if form == 'tsv' else 'csv'}").write_bytes(text)


def as_database(path: Path, tables: Mapping[str, pl.DataFrame]) -> Path:
    """Write tables as a DuckDB file."""
    with duckdb.connect(str(path)) as connection:
        for name, frame in tables.items():
            connection.register("frame", frame.to_arrow())
            connection.execute(f'CREATE TABLE "{name}" AS FROM frame')
            connection.unregister("frame")
    return path
