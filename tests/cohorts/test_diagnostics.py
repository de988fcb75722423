"""Diagnostics of a phenotype: every number on a database small enough to count by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cohorts.check_cases import match, rule
from tests.cohorts.conftest import BLEED, concept, definition
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.diagnose_events import Count
from workbench.cohorts.diagnostics import Diagnostics, diagnose
from workbench.cohorts.generate import attrition
from workbench.cohorts.orphans import words_of
from workbench.cohorts.shipped import shipped
from workbench.engines.duckdb import DuckDBEngine

FRACTURE, HIP, LEG, PARENT, OTHER, WITHDRAWN = 1, 2, 3, 4, 5, 6
SOURCE, CCAM, LATIN = 11, 12, 13
CONCEPTS = {
    FRACTURE: ("Fracture of bone", "S"), HIP: ("Fracture of hip", "S"), LEG: ("Pathological fracture of bone", "S"),
    PARENT: ("Injury", "S"), OTHER: ("Headache", "S"), WITHDRAWN: ("Broken leg", None),
    SOURCE: ("S72 fracture", None), CCAM: ("Fracture of bone, local code", None), LATIN: ("Cephalgia", None),
}  # fmt: skip


def day(text: str) -> date:
    return date.fromisoformat(text)


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.table({name: [row[name] for row in rows] for name in rows[0]})


def condition(at: int, person: int, on: str, code: int, source: int = 0, visit: int | None = None) -> dict[str, Any]:
    return {
        "condition_occurrence_id": at, "person_id": person, "condition_concept_id": code,
        "condition_start_date": day(on), "condition_end_date": day(on), "condition_source_concept_id": source,
        "visit_occurrence_id": visit, "condition_source_value": f"secret {person}",
    }  # fmt: skip


def visit(at: int, person: int, site: int | None) -> dict[str, Any]:
    start = day("2020-01-01")
    return {"visit_occurrence_id": at, "person_id": person, "visit_concept_id": 9201, "visit_start_date": start,
            "visit_end_date": start, "care_site_id": site}  # fmt: skip


TABLES = {
    "person": table(
        {"person_id": 1, "gender_concept_id": 8507, "year_of_birth": 1980},
        {"person_id": 2, "gender_concept_id": 8532, "year_of_birth": 1920},
        {"person_id": 3, "gender_concept_id": 8532, "year_of_birth": 1981},
        {"person_id": 4, "gender_concept_id": 0, "year_of_birth": 1981},
    ),
    "observation_period": table(
        *(
            {"observation_period_id": person, "person_id": person, "period_type_concept_id": 0,
             "observation_period_start_date": day("2000-01-01"), "observation_period_end_date": day("2030-01-01")}
            for person in (1, 2, 3, 4)
        )
    ),
    "condition_occurrence": table(
        condition(1, 1, "2020-01-31", FRACTURE, SOURCE, 1),
        condition(2, 1, "2021-02-01", FRACTURE, 0, 2),
        condition(3, 2, "2020-01-05", HIP, SOURCE, 3),
        condition(4, 3, "2020-12-31", FRACTURE, SOURCE),
        condition(5, 4, "2019-06-01", OTHER),
        condition(6, 4, "2019-06-01", LEG),
        condition(7, 4, "2019-06-02", LEG),
        condition(8, 1, "2018-06-02", PARENT),
        condition(9, 2, "2018-06-02", WITHDRAWN),
        condition(10, 3, "2018-06-02", 0, CCAM),
        condition(11, 3, "2018-06-02", 0, LATIN),
        condition(12, 3, "2018-06-02", 0, 0),
    ),
    "visit_occurrence": table(visit(1, 1, 7), visit(2, 1, 8), visit(3, 2, 7)),
    "care_site": table({"care_site_id": 7, "care_site_name": "Surgery"}, {"care_site_id": 8, "care_site_name": None}),
    "concept": table(
        *(
            {"concept_id": at, "concept_name": name, "concept_code": f"c{at}", "vocabulary_id": "V",
             "domain_id": "Condition", "standard_concept": standard, "invalid_reason": None}
            for at, (name, standard) in CONCEPTS.items()
        )
    ),
    "concept_ancestor": table(
        *(
            {"ancestor_concept_id": above, "descendant_concept_id": below, "min_levels_of_separation": levels}
            for above, below, levels in [
                (PARENT, FRACTURE, 1), (PARENT, HIP, 2), (FRACTURE, FRACTURE, 0), (FRACTURE, HIP, 1),
                (PARENT, PARENT, 0),
            ]
        )
    ),
    "concept_relationship": table(
        {"concept_id_1": WITHDRAWN, "concept_id_2": FRACTURE, "relationship_id": "Maps to", "invalid_reason": None},
        {"concept_id_1": LATIN, "concept_id_2": OTHER, "relationship_id": "Maps to", "invalid_reason": None},
    ),
}  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    for name, rows in TABLES.items():
        pq.write_table(rows, tmp_path / f"{name}.parquet")
    with DuckDBEngine.over_parquet({name: tmp_path / f"{name}.parquet" for name in TABLES}) as opened:
        yield opened


def item(key: int, *, excluded: bool = False, descendants: bool = False) -> dict[str, Any]:
    flags = {"isExcluded": excluded, "includeDescendants": descendants, "includeMapped": False}
    return {"concept": concept(key), **flags}


def asked(*items: dict[str, Any], **members: Any) -> Definition:
    sets = [{"id": 0, "name": "Fractures", "expression": {"items": list(items)}}]
    return read_definition(definition(BLEED, sets=sets, **{"ExpressionLimit": {"Type": "All"}, **members}))


def found(engine: DuckDBEngine, **members: Any) -> Diagnostics:
    return diagnose(engine, asked(item(FRACTURE, descendants=True), **members))


def test_when(engine: DuckDBEngine) -> None:
    told = found(engine)
    assert told.total == Count(3, 4)
    assert [(each.year, each.month, each.count) for each in told.years] == [
        (2020, None, Count(3, 3)), (2021, None, Count(1, 1)),
    ]  # fmt: skip
    assert [(each.year, each.month, each.count.persons) for each in told.months] == [
        (2020, 1, 2), (2020, 12, 1), (2021, 2, 1),
    ]  # fmt: skip


def test_where(engine: DuckDBEngine) -> None:
    assert [(site.id, site.name, site.count) for site in found(engine).sites] == [
        (7, "Surgery", Count(2, 2)), (None, "", Count(1, 1)), (8, "", Count(1, 1)),
    ]  # fmt: skip


def test_in_whom_at_first_entry(engine: DuckDBEngine) -> None:
    told = [(each.low, each.sex, each.persons) for each in found(engine).people]
    assert told == [(30, 8532, 1), (40, 8507, 1), (90, 8532, 1)]


def test_by_which_codes_and_never_by_source_values(engine: DuckDBEngine) -> None:
    told = found(engine)
    codes = [(each.concept and each.concept.id, each.source and each.source.id, each.count) for each in told.codes]
    assert codes == [
        (FRACTURE, SOURCE, Count(2, 2)), (FRACTURE, None, Count(1, 1)), (HIP, SOURCE, Count(1, 1)),
    ]  # fmt: skip
    assert "secret" not in repr(told)


def test_entry_events_that_were_not_kept_have_no_code(engine: DuckDBEngine) -> None:
    told = found(engine, ExpressionLimit={"Type": "First"})
    assert told.total == Count(3, 3)
    assert sum(each.count.events for each in told.codes) == 3


def test_why_not(engine: DuckDBEngine) -> None:
    adult = {"Age": {"Value": 40, "Op": "gte"}}
    surgery = rule(match({"VisitOccurrence": {}}, -9999, 9999), name="a visit")
    told = found(engine, InclusionRules=[rule(people=(adult,), name="adult"), surgery])
    assert told.rules == ("adult", "a visit")
    assert [(each.failed, each.count) for each in told.reasons] == [((), Count(2, 3)), ((0, 1), Count(1, 1))]


def orphans_of(engine: DuckDBEngine, *items: dict[str, Any]) -> list[tuple[int, str, Count]]:
    told = diagnose(engine, asked(*items)).orphans
    return sorted((each.concept.id, each.relation, each.count) for each in told.get("Fractures", ()))


def test_codes_that_are_close(engine: DuckDBEngine) -> None:
    assert orphans_of(engine, item(FRACTURE)) == [
        (HIP, "below", Count(1, 1)),
        (LEG, "words", Count(1, 2)),
        (PARENT, "above", Count(1, 1)),
        (WITHDRAWN, "mapped", Count(1, 1)),
        (CCAM, "unmapped", Count(1, 1)),
    ]


def test_what_a_set_has_is_no_orphan_and_what_it_excludes_is(engine: DuckDBEngine) -> None:
    whole = orphans_of(engine, item(FRACTURE, descendants=True), item(LEG), item(PARENT), item(WITHDRAWN))
    assert [each for each, _, _ in whole] == [CCAM]
    without = orphans_of(engine, item(FRACTURE, descendants=True), item(HIP, excluded=True))
    assert (HIP, "below", Count(1, 1)) in without


def test_words_are_those_of_the_search() -> None:
    assert words_of("Fracture du Fémur (col), autre") == {"fracture", "femur", "col"}
    assert words_of("12 of the 34") == frozenset()


def test_numbers_agree_with_the_attrition(patients: dict[str, Path]) -> None:
    names = ("celecoxib_without_prior_gi_bleed", "gi_bleed_within_30_days_of_nsaid")
    with DuckDBEngine.over_parquet(patients, threads=2) as engine:
        for name in names:
            one = read_definition(shipped()[name])
            told, persons = diagnose(engine, one), attrition(engine, one)[-1].persons
            assert told.total.persons == persons
            assert sum(each.persons for each in told.people) == persons
            assert sum(each.count.events for each in told.years) == sum(each.count.events for each in told.months)
            assert sum(each.count.persons for each in told.reasons if not each.failed) == persons
            assert sum(each.count.persons for each in told.codes) >= persons
