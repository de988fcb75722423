"""Why, asked of one person's rows alone, says what the run over everybody says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.generate import attrition, generate
from workbench.cohorts.shipped import shipped
from workbench.cohorts.why import why
from workbench.cohorts.why_words import Explanation
from workbench.engines.duckdb import DuckDBEngine

LONG = pytest.mark.long
PEOPLE, DEFINITIONS = 6, 1


@contextmanager
def small(tables: dict[str, Path], people: set[int], folder: Path) -> Iterator[DuckDBEngine]:
    """A database of a few persons: every other row that belongs to somebody is gone."""
    folder.mkdir()
    found = dict(tables)
    for name, path in tables.items():
        if "person_id" in pq.read_schema(path).names:
            found[name] = folder / f"{name}.parquet"
            rows = pq.read_table(path)
            theirs = pc.is_in(rows["person_id"], pa.array(people, rows["person_id"].type))
            pq.write_table(rows.filter(theirs), found[name])
    with DuckDBEngine.over_parquet(found, threads=2) as engine:
        yield engine


def chosen(engine: DuckDBEngine, definitions: dict[str, Definition]) -> dict[str, Definition]:
    """The definitions with the most rules among those that have rows."""
    rows = generate(engine, definitions).rows
    some = set(rows["cohort"].to_pylist())
    by_rules = sorted(some, key=lambda name: (-len(definitions[name].plan.rules), name))
    return {name: definitions[name] for name in by_rules[:DEFINITIONS]}


def corpus(shared: Path, name: str) -> tuple[dict[str, Path], dict[str, Definition]]:
    folder = shared / "data/circe" / name
    cases = json.loads((folder / "cases.json").read_text())
    library, names = folder.parent / "phenotype_library", cases.get("definitions", [])[:8]
    if not names:
        library, names = folder / "definitions", cases["with_expected_rows"][:8]
    tables = {path.stem: path for path in (folder / "database").glob("*.parquet")}
    return tables, {each: read_definition(library / f"{each}.json") for each in names}


def sums(found: list[Explanation]) -> list[tuple[int, int]]:
    """Persons and events of the attrition's rows, added up from what is said of each person."""

    def counted(numbers: list[int]) -> tuple[int, int]:
        return sum(1 for number in numbers if number), sum(numbers)

    steps = [
        counted([each.events_with_codes or 0 for each in found]),
        counted([each.events_with_attributes or 0 for each in found]),
        counted([len(each.entries) for each in found]),
    ]
    if any(entry.additional for each in found for entry in each.entries):
        steps.append(counted([sum(e.additional.holds for e in each.entries if e.additional) for each in found]))
    for at in range(max((len(entry.rules) for each in found for entry in each.entries), default=0)):
        held = [sum(bool(e.rules) and all(r.holds for r in e.rules[: at + 1]) for e in each.entries) for each in found]
        steps.append(counted(held))
    return steps


def agrees(tables: dict[str, Path], definitions: dict[str, Definition], folder: Path) -> None:
    with DuckDBEngine.over_parquet(tables, threads=2) as engine:
        everybody = pq.read_table(tables["person"], columns=["person_id"])["person_id"].to_pylist()
        for name, asked in chosen(engine, definitions).items():
            rows = generate(engine, {"c": asked}).rows
            inside = sorted(set(rows["subject_id"].to_pylist()))
            people = {*inside[: PEOPLE // 2], *sorted(everybody)[: PEOPLE - len(inside[: PEOPLE // 2])]}
            found = {person: why(engine, asked, person) for person in people}
            for person, each in found.items():
                mine = rows.filter(pc.equal(rows["subject_id"], person)).to_pylist()
                periods = [(row["cohort_start_date"], row["cohort_end_date"]) for row in mine]
                assert each.in_cohort == bool(mine), name
                start = each.anchor or date.min
                assert [tuple(start + timedelta(day) for day in p) for p in each.periods] == periods, name
            assert any(each.in_cohort for each in found.values())
            with small(tables, people, folder / name) as few:
                steps = [row for row in attrition(few, asked)[:-1] if not row.label_en.startswith("Events kept")]
                assert sums(list(found.values())) == [(row.persons, row.events) for row in steps], name


@pytest.mark.parametrize(
    "name",
    ["phenotypes_03", "fuzz_00", pytest.param("phenotypes_01", marks=LONG), pytest.param("fuzz_01", marks=LONG)],
)
def test_random_databases(shared: Path, tmp_path: Path, name: str) -> None:
    agrees(*corpus(shared, name), tmp_path)


def test_simulated_patients(patients: dict[str, Path], tmp_path: Path) -> None:
    agrees(patients, {name: read_definition(path) for name, path in shipped().items()}, tmp_path)
