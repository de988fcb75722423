"""The checks of OHDSI's DataQualityDashboard 2.8 for the OMOP model 5.4 as values, from `checks.toml` and the model."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from workbench.repository.cdm import TABLES

Severity = Literal["fatal", "convention", "characterization"]
MALE, FEMALE = 8507, 8532
"""OMOP's concepts of the two sexes that the checks know."""


@dataclass(frozen=True)
class Check:
    """One check. It fails where more than `threshold` percent of what it looks at does.

    `other` is what the check compares with: the table and column that a reference leads to, a domain, a class, a bound,
    a column of the same row, `birth`, or the sex (a concept) that a concept's persons must have. `concepts` are those
    that it is about; `units` those that they may be measured in.
    """

    name: str
    table: str
    column: str | None
    threshold: float
    other: str | None = None
    concepts: tuple[int, ...] = ()
    units: tuple[int, ...] = ()

    @property
    def place(self) -> str:
        """The table, or the column as `table.column`."""
        return f"{self.table}.{self.column}" if self.column else self.table

    @property
    def id(self) -> str:
        """The check's name and what it is about, the same in every release."""
        return ":".join([self.name, self.place, *(",".join(map(str, self.concepts)),) * bool(self.concepts)])

    @property
    def severity(self) -> Severity:
        """What a failure says of the data."""
        return _of("severity")[self.name]

    @property
    def category(self) -> str:
        """Kahn's category: conformance, completeness or plausibility."""
        return _of("category")[self.name]


@cache
def facts() -> Mapping[str, Any]:
    """Return the facts of `checks.toml`."""
    return tomllib.loads(files("workbench.intake.quality").joinpath("checks.toml").read_text(encoding="utf-8"))


@cache
def all_checks() -> tuple[Check, ...]:
    """Return every check, by table."""
    found = [*_of_tables(), *_of_the_model(), *_of_concepts(), *_of_values(), *_of_days(), *_of_each_concept()]
    return tuple(sorted(found, key=lambda check: check.table))


@cache
def _of(what: str) -> dict[str, Any]:
    return {name: value for value, names in facts()[what].items() for name in names}


def _of_tables() -> Iterator[Check]:
    for table in TABLES:
        yield Check("cdmTable", table, None, 0)
    for table, percent in facts()["measurePersonCompleteness"].items():
        yield Check("measurePersonCompleteness", table, None, percent)
    yield Check("measureConditionEraCompleteness", "condition_era", None, 0)
    yield Check("measureObservationPeriodOverlap", "observation_period", None, 0)


def _of_the_model() -> Iterator[Check]:
    """Yield what the model says of its columns."""
    exceptions = facts()["exceptions"]
    for table, model in TABLES.items():
        for field in model.fields:
            place = f"{table}.{field.name}"
            yield Check("cdmField", table, field.name, 0)
            yield Check("measureValueCompleteness", table, field.name, 0 if field.required else 100)
            if field.required:
                yield Check("isRequired", table, field.name, 0)
            if field.type == "integer" and place not in exceptions["not_checked_as_integer"]:
                yield Check("cdmDatatype", table, field.name, 0)
            if field.key:
                yield Check("isPrimaryKey", table, field.name, 0)
            referred = TABLES[field.references].key if field.references else None
            target = f"{field.references}.{referred}" if referred else exceptions["references"].get(place)
            if target:
                yield Check("isForeignKey", table, field.name, 0, target)


def _of_concepts() -> Iterator[Check]:
    """Yield what columns of concepts must hold."""
    for name in ("fkDomain", "fkClass"):
        for wanted, places in facts()[name].items():
            yield from (Check(name, *_split(place), 0, wanted) for place in places)
    for place in facts()["isStandardValidConcept"]["columns"]:
        yield Check("isStandardValidConcept", *_split(place), 0)
    for name in ("standardConceptRecordCompleteness", "sourceConceptRecordCompleteness"):
        for percent, places in facts()[name].items():
            yield from (Check(name, *_split(place), float(percent)) for place in places)
    yield from _pairs("sourceValueCompleteness", facts()["sourceValueCompleteness"])


def _of_values() -> Iterator[Check]:
    for name in ("plausibleValueLow", "plausibleValueHigh"):
        for bound, places in facts()[name].items():
            yield from (Check(name, *_split(place), 1, bound) for place in places)


def _of_days() -> Iterator[Check]:
    after = facts()["plausibleTemporalAfter"]
    for percent, places in after["birth"].items():
        yield from (Check("plausibleTemporalAfter", *_split(place), float(percent), "birth") for place in places)
    yield from _pairs("plausibleTemporalAfter", after["column"])
    yield from _pairs("plausibleStartBeforeEnd", facts()["plausibleStartBeforeEnd"])
    for name in ("plausibleAfterBirth", "plausibleDuringLife", "plausibleBeforeDeath"):
        yield from (Check(name, *_split(place), 1) for place in facts()[name]["columns"])
    for percent, places in facts()["withinVisitDates"].items():
        yield from (Check("withinVisitDates", *_split(place), float(percent)) for place in places)


def _of_each_concept() -> Iterator[Check]:
    for group in facts()["plausibleGender"]:
        for concept in group["concepts"]:
            yield Check("plausibleGender", *_split(group["column"]), 5, group["sex"], (concept,))
    for group in facts()["plausibleGenderUseDescendants"]:
        concepts = tuple(group["concepts"])
        yield Check("plausibleGenderUseDescendants", *_split(group["column"]), 2, group["sex"], concepts)
    for units, concepts in facts()["plausibleUnitConceptIds"].items():
        allowed = tuple(int(unit) for unit in units.split(","))
        for concept in concepts:
            yield Check(
                "plausibleUnitConceptIds", "measurement", "measurement_concept_id", 5, None, (concept,), allowed
            )


def _pairs(name: str, by_percent: Mapping[str, Mapping[str, str]]) -> Iterator[Check]:
    for percent, columns in by_percent.items():
        for place, other in columns.items():
            yield Check(name, *_split(place), float(percent), other)


def _split(place: str) -> tuple[str, str]:
    table, _, column = place.partition(".")
    return table, column
