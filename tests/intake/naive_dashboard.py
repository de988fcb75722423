"""The dashboard's checks once more, the slow way: one plain query a check, written from their documentation, and random
tables to run both on."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from workbench.intake.quality.checks import Check, all_checks
from workbench.repository.cdm import TABLES, Field

EVERY = "SELECT count(*) FROM {t} t"
FILLED = EVERY + " WHERE {c} IS NOT NULL"
OF_PERSONS = EVERY + " JOIN person p ON p.person_id = t.person_id WHERE"
OF_CONCEPTS = EVERY + " JOIN concept c ON c.concept_id = {c} WHERE c.concept_id <> 0 AND"
OF_THE_DEAD = EVERY + " JOIN death d ON d.person_id = t.person_id WHERE"
OF_VISITS = EVERY + " JOIN visit_occurrence v ON v.visit_occurrence_id = t.visit_occurrence_id"
PERIODS = "SELECT count(DISTINCT t.person_id) FROM observation_period t"
TOUCH = """ JOIN observation_period o ON t.person_id = o.person_id AND t.rowid <> o.rowid
    AND t.observation_period_start_date <= o.observation_period_end_date + 1
    AND o.observation_period_start_date <= t.observation_period_end_date + 1"""
CONDITIONS = "SELECT count(DISTINCT person_id) FROM condition_occurrence WHERE condition_concept_id <> 0"
FIRST = "try(make_date(p.year_of_birth, coalesce(p.month_of_birth, 1), coalesce(p.day_of_birth, 1)))"
BORN = "coalesce(CAST(p.birth_datetime AS DATE), {day})"
UNITS = EVERY + " WHERE {c} = {concepts} AND (t.unit_concept_id IS NULL OR t.unit_concept_id <> 0)"
BOTH = EVERY + " WHERE {c} IS NOT NULL AND t.{other} IS NOT NULL"
VALUES = "SELECT DISTINCT {c} FROM {t} t"
DAY = "CAST({c} AS DATE)"
LATE = f" {DAY} > d.death_date + 60"

QUERIES: dict[str, tuple[str, str]] = {
    "measurePersonCompleteness": (
        "SELECT count(*) FROM person p WHERE NOT EXISTS (SELECT 1 FROM {t} t WHERE t.person_id = p.person_id)",
        "SELECT count(*) FROM person",
    ),
    "measureConditionEraCompleteness": (
        f"{CONDITIONS} AND person_id NOT IN (SELECT person_id FROM condition_era WHERE person_id IS NOT NULL)",
        CONDITIONS,
    ),
    "measureObservationPeriodOverlap": (PERIODS + TOUCH, PERIODS),
    "isRequired": (EVERY + " WHERE {c} IS NULL", EVERY),
    "measureValueCompleteness": (EVERY + " WHERE {c} IS NULL", EVERY),
    "cdmDatatype": (FILLED + " AND TRY_CAST({c} AS BIGINT) IS NULL", EVERY),
    "isPrimaryKey": (EVERY + " WHERE {c} IN (SELECT {name} FROM {t} GROUP BY ALL HAVING count(*) > 1)", EVERY),
    "isForeignKey": (FILLED + " AND NOT EXISTS (SELECT 1 FROM {target} k WHERE k.{key} = {c})", EVERY),
    "fkDomain": (OF_CONCEPTS + " c.domain_id <> '{other}'", EVERY),
    "fkClass": (OF_CONCEPTS + " c.concept_class_id <> '{other}'", EVERY),
    "isStandardValidConcept": (
        OF_CONCEPTS + " (coalesce(c.standard_concept, '') <> 'S' OR c.invalid_reason IS NOT NULL)",
        FILLED,
    ),
    "recordCompleteness, required": (EVERY + " WHERE {c} = 0", FILLED),
    "recordCompleteness": (
        EVERY + " WHERE {c} = 0 OR ({c} IS NULL AND t.{source} IS NOT NULL)",
        FILLED + " OR t.{source} IS NOT NULL",
    ),
    "sourceValueCompleteness": (
        f"SELECT count(*) FROM ({VALUES} WHERE t.{{other}} = 0)",
        f"SELECT count(*) FROM ({VALUES})",
    ),
    "plausibleValueLow": (EVERY + " WHERE {c} < {bound}", FILLED),
    "plausibleValueHigh": (EVERY + " WHERE {c} > {bound}", FILLED),
    "plausibleTemporalAfter, birth": (
        f"{OF_PERSONS} {BORN.format(day='make_date(p.year_of_birth, 6, 1)')} > {DAY}",
        EVERY,
    ),
    "plausibleTemporalAfter": (f"{EVERY} WHERE CAST(t.{{other}} AS DATE) > {DAY}", EVERY),
    "plausibleStartBeforeEnd": (f"{BOTH} AND {DAY} > CAST(t.{{other}} AS DATE)", BOTH),
    "plausibleAfterBirth": (f"{OF_PERSONS} {DAY} < {BORN.format(day=FIRST)}", FILLED),
    "plausibleBeforeDeath": (OF_THE_DEAD + LATE, OF_THE_DEAD + " {c} IS NOT NULL"),
    "plausibleDuringLife": (OF_THE_DEAD + LATE, EVERY + " WHERE t.person_id IN (SELECT person_id FROM death)"),
    "withinVisitDates": (
        OF_VISITS + " WHERE {c} < v.visit_start_date - 7 OR {c} > v.visit_end_date + 7",
        OF_VISITS,
    ),
    "plausibleGender": (
        OF_PERSONS + " {c} IN ({concepts}) AND p.gender_concept_id <> {sex}",
        EVERY + " WHERE {c} IN ({concepts})",
    ),
    "plausibleUnitConceptIds": (UNITS + " AND t.unit_concept_id NOT IN ({units})", UNITS),
}
"""Check → the query of rows that fail, and of rows that are looked at."""


def naive(connection: Any, check: Check, today: date) -> tuple[int, int]:
    """Return rows that fail a check, and rows that it looks at. The tables are those of the connection."""
    facts = _facts(check, today)
    numbers = [connection.execute(query.format(**facts)).fetchall()[0][0] for query in QUERIES[_kind(check)]]
    return int(numbers[0] or 0), int(numbers[1] or 0)


def naive_verdict(connection: Any, check: Check, today: date) -> tuple[str, int, int]:
    """Return a check's status as the dashboard defines it, with its numbers: failing rows and rows looked at, both 0
    where it does not apply. A table that is there has all its columns."""
    there = _count(connection, f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{check.table}'") == 1
    if check.name == "cdmTable":
        return ("passed", 0, 1) if there else ("failed", 1, 1)
    if check.name == "cdmField":
        return ("passed", 0, 1) if there else ("not_applicable", 0, 0)
    failed, looked_at = naive(connection, check, today) if there and _applies(connection, check) else (0, 0)
    if not there or not _applies(connection, check) or (check.concepts and not looked_at):
        return "not_applicable", 0, 0
    share = 100 * failed / looked_at if looked_at else 0
    over = share > check.threshold if check.threshold else failed > 0
    return "failed" if over else "passed", failed, looked_at


def _applies(connection: Any, check: Check) -> bool:
    if check.name == "measurePersonCompleteness":
        return True
    if check.name == "measureConditionEraCompleteness":
        return _count(connection, "SELECT count(*) FROM condition_occurrence") > 0
    counted = "count(*)" if check.name == "measureValueCompleteness" or not check.column else f'count("{check.column}")'
    return _count(connection, f"SELECT {counted} FROM {check.table}") > 0


def _count(connection: Any, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])


def _kind(check: Check) -> str:
    if check.name.endswith("ConceptRecordCompleteness"):
        required = TABLES[check.table].by_name[str(check.column)].required
        needs_none = required or _source(check) not in TABLES[check.table].by_name
        return "recordCompleteness, required" if needs_none else "recordCompleteness"
    if check.name == "plausibleTemporalAfter" and check.other == "birth":
        return "plausibleTemporalAfter, birth"
    return "plausibleGender" if check.name.startswith("plausibleGender") else check.name


def _facts(check: Check, today: date) -> dict[str, Any]:
    target, _, key = str(check.other).partition(".")
    listed = ", ".join(map(str, check.concepts))
    if check.name == "plausibleGenderUseDescendants":
        listed = f"SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id IN ({listed})"
    return {
        "t": check.table, "name": f'"{check.column}"', "c": f't."{check.column}"', "other": check.other,
        "target": target, "key": key, "concepts": listed, "source": _source(check), "bound": _bound(check, today),
        "sex": 8507 if check.other == "male" else 8532, "units": ", ".join(map(str, check.units)),
    }  # fmt: skip


def _source(check: Check) -> str:
    return str(check.column).removesuffix("_concept_id").removesuffix("_source") + "_source_value"


def _bound(check: Check, today: date) -> str:
    if not check.name.startswith("plausibleValue"):
        return ""
    kind = TABLES[check.table].by_name[str(check.column)].type
    if check.other == "next year":
        return str(today.year + 1)
    day = (today + timedelta(days=1)).isoformat() if check.other == "tomorrow" else check.other
    return f"{'DATE' if kind == 'date' else 'TIMESTAMP'} '{day}'" if kind in {"date", "datetime"} else str(day)


KINDS = {"integer": pl.Int64, "number": pl.Float64, "text": pl.String, "date": pl.Date, "datetime": pl.Datetime("us")}
OWN = {"person": "person_id", "death": "person_id", "visit_occurrence": "visit_occurrence_id"}
LIMITS = {"year_of_birth": (1840, 2030), "month_of_birth": (0, 14), "day_of_birth": (-1, 33)}
WORDS = {
    "domain_id": ["Condition", "Drug", "Unit", "Gender", "Visit", "Type Concept"],
    "standard_concept": ["S", "C"],
    "concept_class_id": ["Ingredient", "x"],
    "invalid_reason": ["D"],
}


def random_tables(folder: Path, seed: int, rows: int = 60) -> Path:
    """Write every table of the model with random rows: values that lack, references to nobody, ids that repeat, dates
    in any order. Persons, visits and deaths have ids of their own."""
    draw = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    pools = _pools(draw)
    for name, table in TABLES.items():
        count = rows if name not in {"concept_ancestor", "concept"} else 4 * rows
        lines = [{each.name: _value(draw, name, each, place, pools) for each in table.fields} for place in range(count)]
        frame = pl.DataFrame(lines, schema={each.name: KINDS[each.type] for each in table.fields})
        frame.write_parquet(folder / f"{name}.parquet", row_group_size=17)
    return folder


def _pools(draw: random.Random) -> dict[str, list[int]]:
    """Return the concepts that each column draws from: some that checks ask for, some unknown, 0."""
    pools: dict[str, list[int]] = {"": [0, 0, 8507, 8532, *range(1, 40), 999]}
    for check in all_checks():
        if check.concepts:
            pools.setdefault(check.place, []).extend(check.concepts)
            pools.setdefault("measurement.unit_concept_id", []).extend(unit for unit in check.units if unit > 0)
    chosen = {place: [*draw.sample(pool, min(8, len(pool))), 0, 7] for place, pool in pools.items() if place}
    chosen["condition_occurrence.condition_concept_id"] += [4090861, 4095793]
    return {**chosen, "": pools[""] + [concept for pool in chosen.values() for concept in pool]}


def _value(draw: random.Random, table: str, field: Field, place: int, pools: dict[str, list[int]]) -> Any:
    if OWN.get(table) == field.name:
        return place + 1
    if table == "concept" and field.name == "concept_id":
        return [0, *dict.fromkeys(pools[""]), *range(2000, 3000)][place]
    if draw.random() < (0.05 if field.required else 0.3):
        return None
    if field.references == "concept" or field.name.endswith("_concept_id"):
        return draw.choice(pools.get(f"{table}.{field.name}", pools[""]))
    return _plain(draw, field)


def _plain(draw: random.Random, field: Field) -> Any:
    day = date(1940, 1, 1) + timedelta(days=draw.choice([0, draw.randint(0, 36_000), 20_000 + draw.randint(0, 90)]))
    hour = time(draw.randint(0, 23))
    values: dict[str, Any] = {
        "integer": draw.randint(*LIMITS.get(field.name, (-2, 70))),
        "number": draw.choice([0.0, 0.5, -1.0, 400.0]),
        "text": draw.choice(WORDS.get(field.name, list("abcdef"))),
        "date": day,
        "datetime": datetime.combine(day, hour),
    }
    return values[field.type]
