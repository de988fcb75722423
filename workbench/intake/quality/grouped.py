"""Checks that look at rows together: keys that repeat, persons without rows, source values, the sex and the units that
a concept occurs with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from workbench.intake.nodes import (
    Node,
    both,
    call,
    column,
    count_if,
    either,
    equal,
    named,
    negate,
    not_null,
    number,
    select,
)
from workbench.intake.quality.checks import FEMALE, MALE, Check
from workbench.intake.quality.data import Data, alias
from workbench.intake.quality.dense import Known, is_whole, known, once, rises, whole
from workbench.intake.quality.rowwise import WHO, Numbers

_LOOKED_UP = ("person", "visit_occurrence")
"""Tables whose ids others look up, and that are kept for them."""

SEX = {"male": MALE, "female": FEMALE}


def keys(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count the rows whose key another row has too."""
    mine = [check for check in checks if check.name == "isPrimaryKey" and data.has(check.table, str(check.column))]
    return {check: (repeated(data, check.table, str(check.column)), data.rows[check.table]) for check in mine}


def repeated(data: Data, table: str, key: str) -> int:
    """Return how many rows have an id that another row has too."""
    kept = data.kept.get((table, key))
    if kept is None and is_whole(data, table, key) and rises(data, table, key):
        return 0
    if once(data, table, key):
        if table not in _LOOKED_UP:
            del data.kept[table, key]
        return 0
    there = data.there(table, key)
    counted = select(named(call("count"), "n"), source=data.scan(table), where=there, group=column(key))
    again = exp.GT(this=column("n"), expression=number(1))
    return data.numbers(select(call("sum", column("n")), source=counted, where=again))[0]


def completeness(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count persons without any row of a table, and persons with conditions but without a condition era."""
    result: Numbers = {}
    if not data.rows.get("person"):
        return result
    everybody = _Persons.of(data, "person")
    for check in checks:
        if check.name == "measurePersonCompleteness" and check.table in data.files:
            result[check] = (everybody.without(check.table), data.rows["person"])
        if check.name == "measureConditionEraCompleteness" and data.has("condition_occurrence", "person_id"):
            mapped = negate(equal(column("condition_concept_id"), number(0)))
            with_some = _Persons.of(data, "condition_occurrence", mapped)
            result[check] = (with_some.without(check.table), with_some.count())
    return result


@dataclass(frozen=True)
class _Persons:
    """The persons of some rows of a table."""

    data: Data
    rows: exp.Select
    ids: Known | None

    @classmethod
    def of(cls, data: Data, table: str, where: Node | None = None) -> _Persons:
        tests = [each for each in (data.there(table, "person_id"), where) if each is not None]
        rows = select(whole("person_id"), source=data.scan(table), where=both(*tests) if tests else None)
        kept = data.kept.get((table, "person_id")) if where is None else None
        return cls(data, rows, kept or known(data, table, "person_id", rows))

    def count(self) -> int:
        if self.ids is not None:
            return len(self.ids)
        return self.data.numbers(select(_distinct(column("person_id")), source=self.rows))[0]

    def without(self, table: str) -> int:
        """Return how many of them have no row of a table."""
        if table not in self.data.files:
            return self.count()
        if self.ids is not None and is_whole(self.data, table, "person_id"):
            return self.ids.without(self.data.ids(table, "person_id"))
        there = self.data.there(table, "person_id")
        theirs = select(column("person_id"), source=self.data.scan(table), where=there)
        missing = select(_distinct(column("person_id", "a"))).from_(self.rows.subquery("a", copy=False), copy=False)
        same = equal(column("person_id", "a"), column("person_id", "b"))
        return self.data.numbers(missing.join(theirs.subquery("b", copy=False), on=same, join_type="anti", copy=False))[
            0
        ]


def _distinct(value: Node) -> exp.Count:
    return exp.Count(this=exp.Distinct(expressions=[value]))


_FALSE = exp.Boolean(this=False)


def source_values(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count the distinct source values that stand beside concept 0 in some row."""
    result: Numbers = {}
    for check in checks:
        if check.name == "sourceValueCompleteness" and data.has(check.table, str(check.column), str(check.other)):
            zero = call("coalesce", equal(column(str(check.other)), number(0)), _FALSE)
            value = column(str(check.column))
            each = select(named(call("bool_or", zero), "zero"), source=data.scan(check.table), group=value)
            failed, looked = data.numbers(select(count_if(column("zero")), call("count"), source=each))
            result[check] = (failed, looked)
        elif check.name == "sourceValueCompleteness" and data.has(check.table, str(check.column)):
            distinct = _distinct(column(str(check.column)))
            result[check] = (0, data.numbers(select(distinct, source=data.scan(check.table)))[0])
    return result


def sexes(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count the records of a concept (or of its descendants) in persons of another sex."""
    result: Numbers = {}
    names = ("plausibleGender", "plausibleGenderUseDescendants")
    places = dict.fromkeys((c.table, str(c.column)) for c in checks if c.name in names)
    for place in places:
        mine = [check for check in checks if check.name in names and (check.table, check.column) == place]
        if data.has(*place):
            result.update(_sexes(data, place, mine))
    return result


def _sexes(data: Data, place: tuple[str, str], checks: Sequence[Check]) -> Numbers:
    lines = [
        (number_of, concept, SEX[str(check.other)], check.name == "plausibleGenderUseDescendants")
        for number_of, check in enumerate(checks)
        for concept in check.concepts
    ]
    kinds = {"check_number": "BIGINT", "concept_id": "BIGINT", "sex": "BIGINT", "descendants": "BOOLEAN"}
    columns = zip(kinds.values(), zip(*lines, strict=True), strict=True)
    asked = data.list_up("asked_sexes", dict(zip(kinds, columns, strict=True)))
    members = [column(name) for name in ("check_number", "concept_id", "sex")]
    alone = select(*members, source=asked, where=negate(column("descendants")))
    if "concept_ancestor" in data.files:
        below_them = select(
            column("check_number", "a"), named(column("descendant_concept_id", "c"), "concept_id"), column("sex", "a"),
            source=alias(asked, "a"), where=column("descendants", "a"),
        ).join(data.scan("concept_ancestor", "c"),
               on=equal(column("ancestor_concept_id", "c"), column("concept_id", "a")), copy=False)  # fmt: skip
        alone = exp.Union(this=alone, expression=below_them, distinct=True)
    data.make("concepts_of_sexes", alone)
    member = exp.Table(this=exp.to_identifier("concepts_of_sexes"), alias=exp.TableAlias(this=exp.to_identifier("m")))
    other = exp.NEQ(this=column("sex", WHO), expression=column("sex", "m"))
    group = column("check_number", "m")
    query = select(group, count_if(other), call("count"), source=data.scan(place[0], "t"), group=group)
    query = query.join(member, on=equal(column("concept_id", "m"), column(place[1], "t")), copy=False)
    same = equal(column("person_id", WHO), column("person_id", "t"))
    query = query.join(exp.to_table(WHO), on=same, join_type="left", copy=False)
    found = {int(row[0]): (int(row[1] or 0), int(row[2])) for row in data.lines(query)}
    return {check: found.get(number_of, (0, 0)) for number_of, check in enumerate(checks)}


def units(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count the measurements of a concept in units that it does not have. Rows of unit 0 are not looked at: they are
    counted as rows whose concept lacks. Where no unit at all is right, any is wrong."""
    mine = {check.concepts[0]: check for check in checks if check.name == "plausibleUnitConceptIds"}
    if not mine or not data.has("measurement", "measurement_concept_id"):
        return {}
    asked = data.list_up("asked_units", {"concept_id": ("BIGINT", list(mine))})
    concept, unit = column("measurement_concept_id", "t"), column("unit_concept_id", "t")
    query = select(concept, unit, call("count"), source=data.scan("measurement", "t"))
    query = query.join(alias(asked, "a"), on=equal(column("concept_id", "a"), concept), copy=False)
    result: Numbers = dict.fromkeys(mine.values(), (0, 0))
    known = not_null(unit)
    other = either(negate(known), negate(equal(unit, number(0))))
    for about, measured_in, rows in data.lines(query.where(other, copy=False).group_by(concept, unit, copy=False)):
        check = mine[about]
        failed, looked = result[check]
        right = measured_in is None or measured_in in check.units
        result[check] = (failed + (0 if right else rows), looked + rows)
    return result
