"""What each helper and node gives, on every engine: the helper, what goes in, what must come out.

The expected values are written by hand from the helpers' own words, never taken from an engine. Values come from a
table, so that no engine computes them ahead; the first words of a case name what it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlglot import exp

from tests.engines.conftest import BIG
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.engines.sql import Expr

pytestmark = pytest.mark.xdist_group("portable")
Case = tuple[str, Callable[[], Expr], Any]


def c(name: str) -> Expr:
    return sql.col("e", name)


def n(value: int | float | Decimal) -> Expr:
    return sql.number(value)


def true() -> Expr:
    return sql.compare(n(1), "=", n(1))


def unknown() -> Expr:
    return sql.compare(c("none"), "=", n(1))


def false() -> Expr:
    return sql.compare(n(1), "=", n(2))


DAYS: list[Case] = [
    ("add_days: to a leap day", lambda: sql.add_days(c("leap"), 1), date(2024, 2, 29)),
    ("add_days: over a leap day", lambda: sql.add_days(c("leap"), 2), date(2024, 3, 1)),
    ("add_days: back over a leap day", lambda: sql.add_days(c("march"), -1), date(2024, 2, 29)),
    ("add_days: back over a month's end", lambda: sql.add_days(c("eve"), -31), date(2023, 11, 30)),
    ("add_days: over a year's end", lambda: sql.add_days(c("eve"), 1), date(2024, 1, 1)),
    ("add_days: none", lambda: sql.add_days(c("leap"), 0), date(2024, 2, 28)),
    ("add_days: a hundred years", lambda: sql.add_days(c("leap"), -36524), date(1924, 2, 29)),
    ("add_days: of a column", lambda: sql.add_days(c("leap"), c("three")), date(2024, 3, 2)),
    ("add_days: of a negative column", lambda: sql.add_days(c("leap"), c("minus")), date(2023, 12, 31)),
    ("add_days: unknown days", lambda: sql.add_days(c("leap"), c("none")), None),
    ("add_days: to an unknown day", lambda: sql.add_days(c("no_day"), 3), None),
    ("day_diff: over a leap day", lambda: sql.day_diff(c("march"), c("leap")), 2),
    ("day_diff: back", lambda: sql.day_diff(c("leap"), c("march")), -2),
    ("day_diff: the same day", lambda: sql.day_diff(c("leap"), c("leap")), 0),
    ("day_diff: of an unknown day", lambda: sql.day_diff(c("no_day"), c("leap")), None),
    ("day_diff: midnight is the next day", lambda: sql.day_diff(c("midnight"), c("evening")), 1),
    ("day_diff: a time of day does not count", lambda: sql.day_diff(c("evening"), c("leap")), 0),
    ("cast: midnight to its day", lambda: sql.cast(c("midnight"), "DATE"), date(2024, 2, 29)),
    ("cast: an evening to its day", lambda: sql.cast(c("evening"), "DATE"), date(2024, 2, 28)),
    ("columns: a date that came as a time, in lower case", lambda: c("birth_date"), date(2024, 2, 29)),
    ("day: a value", lambda: sql.day(date(1899, 12, 31)), date(1899, 12, 31)),
    ("day: far away", lambda: sql.day(date(2099, 12, 31)), date(2099, 12, 31)),
    ("year_of: the last day", lambda: sql.year_of(c("eve")), 2023),
    ("month_of: the last day", lambda: sql.month_of(c("eve")), 12),
    ("month_of: unknown", lambda: sql.month_of(c("no_day")), None),
    ("year_of: unknown", lambda: sql.year_of(c("no_day")), None),
    ("age_at: calendar years, not birthdays", lambda: sql.age_at(c("leap"), n(1990)), 34),
    ("age_at: born later", lambda: sql.age_at(c("eve"), n(2024)), -1),
    ("age_at: unknown birth", lambda: sql.age_at(c("leap"), c("none")), None),
]
NUMBERS: list[Case] = [
    ("number: negative", lambda: n(-3), -3),
    ("number: a decimal without exponent", lambda: sql.cast(n(Decimal("1E+2")), "INT"), 100),
    ("number: a decimal's small digits", lambda: sql.compare(c("price"), "=", n(Decimal("7.5"))), True),
    ("number: a double like its decimal", lambda: sql.compare(sql.cast(n(0.1), "DOUBLE"), "=", n(0.1)), True),
    ("number: the largest", lambda: sql.compare(c("big"), "=", n(BIG)), True),
    ("number: below the smallest", lambda: sql.compare(c("big"), ">", n(-BIG - 1)), True),
    ("cast: a whole number to text", lambda: sql.cast(c("minus"), "TEXT"), "-59"),
    ("cast: a day to text", lambda: sql.cast(c("leap"), "TEXT"), "2024-02-28"),
    ("cast: a large whole number to text", lambda: sql.cast(c("big"), "TEXT"), "9223372036854775807"),
    ("cast: a decimal to a double", lambda: sql.cast(c("price"), "DOUBLE"), 7.5),
    ("trunc_int: a half", lambda: sql.trunc_int(c("half")), 2),
    ("trunc_int: a negative half", lambda: sql.trunc_int(c("minus_half")), -2),
    ("trunc_int: an odd half of a decimal", lambda: sql.trunc_int(c("price")), 7),
    ("trunc_int: whole already", lambda: sql.trunc_int(c("minus")), -59),
    ("trunc_int: large", lambda: sql.trunc_int(n(2**53 - 1)), 2**53 - 1),
    ("trunc_int: unknown", lambda: sql.trunc_int(c("none")), None),
    ("Add: of whole numbers", lambda: exp.Add(this=c("three"), expression=n(4)), 7),
    ("Sub: below zero", lambda: exp.Sub(this=c("three"), expression=n(4)), -1),
    ("Mul: of a negative column", lambda: exp.Mul(this=c("minus"), expression=c("three")), -177),
    ("Mul: of unknown", lambda: exp.Mul(this=c("none"), expression=n(2)), None),
    ("Neg: of a column", lambda: exp.Neg(this=c("minus")), 59),
    ("Paren: first", lambda: exp.Neg(this=exp.Paren(this=exp.Sub(this=c("three"), expression=n(4)))), 1),
    ("ratio: of whole numbers", lambda: sql.ratio(n(1), n(4)), 0.25),
    ("ratio: negative", lambda: sql.ratio(c("minus_half"), n(2)), -1.25),
    ("ratio: by zero", lambda: sql.ratio(c("half"), n(0)), None),
    (
        "ratio: by zero as a decimal",
        lambda: sql.ratio(c("price"), exp.Sub(this=c("price"), expression=c("price"))),
        None,
    ),
    ("ratio: unknown", lambda: sql.ratio(c("none"), n(2)), None),
    ("Nullif: zero", lambda: exp.Nullif(this=n(0), expression=n(0)), None),
    ("Nullif: another number", lambda: exp.Nullif(this=c("three"), expression=n(0)), 3),
    ("BitwiseAnd: a bit that is on", lambda: exp.BitwiseAnd(this=n(6), expression=n(4)), 4),
    ("BitwiseAnd: the highest bit of a word", lambda: exp.BitwiseAnd(this=c("word"), expression=n(1 << 61)), 1 << 61),
    ("BitwiseAnd: a bit that is off", lambda: exp.BitwiseAnd(this=c("word"), expression=n(2)), 0),
    ("BitwiseAnd: unknown", lambda: exp.BitwiseAnd(this=c("none"), expression=n(2)), None),
]
LOGIC: list[Case] = [
    ("compare: equal", lambda: sql.compare(c("three"), "=", n(3)), True),
    ("compare: unequal", lambda: sql.compare(c("three"), "<>", n(3)), False),
    ("compare: unknown is neither", lambda: sql.compare(c("none"), "<>", n(3)), None),
    ("compare: less or equal, days", lambda: sql.compare(c("leap"), "<=", c("march")), True),
    ("compare: greater, a day with itself", lambda: sql.compare(c("leap"), ">", c("leap")), False),
    ("compare: less, negative", lambda: sql.compare(c("minus"), "<", n(-58)), True),
    ("compare: greater or equal, a half", lambda: sql.compare(c("half"), ">=", n(Decimal("2.5"))), True),
    ("compare: midnight with its day", lambda: sql.compare(c("midnight"), "=", sql.day(date(2024, 2, 29))), True),
    ("both: false beats unknown", lambda: sql.both([unknown(), false()]), False),
    ("both: unknown with true", lambda: sql.both([unknown(), true()]), None),
    ("both: one alone", lambda: sql.both([true()]), True),
    ("either: true beats unknown", lambda: sql.either([unknown(), true()]), True),
    ("either: unknown with false", lambda: sql.either([unknown(), false()]), None),
    ("either in both: each in its parentheses", lambda: sql.both([sql.either([true(), true()]), false()]), False),
    ("negate: unknown", lambda: sql.negate(unknown()), None),
    ("negate: false", lambda: sql.negate(false()), True),
    ("is_null: unknown", lambda: sql.is_null(c("none")), True),
    ("is_null: an empty text is known", lambda: sql.is_null(c("empty")), False),
    ("null: of a type", lambda: sql.null("DATE"), None),
    ("when: otherwise", lambda: sql.when(unknown(), n(1), n(2)), 2),
    ("when: nothing otherwise", lambda: sql.when(false(), n(1)), None),
    (
        "cases: the first that holds",
        lambda: sql.cases([(false(), n(1)), (unknown(), n(2)), (true(), n(3)), (true(), n(4))], n(5)),
        3,
    ),
    ("cases: none", lambda: sql.cases([(false(), n(1)), (unknown(), n(2))], n(5)), 5),
    ("flag: holds", lambda: sql.flag(true()), 1),
    ("flag: unknown", lambda: sql.flag(unknown()), 0),
    ("coalesce: the first known", lambda: sql.coalesce(c("none"), c("three"), n(9)), 3),
    ("coalesce: one alone", lambda: sql.coalesce(c("no_text")), None),
    ("coalesce: days", lambda: sql.coalesce(c("no_day"), c("leap")), date(2024, 2, 28)),
    ("Boolean: true", lambda: exp.Boolean(this=True), True),
]
TEXTS: list[Case] = [
    ("text: a quote and a backslash", lambda: sql.text("Hôpital d'Évreux \\ 100 %"), "Hôpital d'Évreux \\ 100 %"),
    ("text: as in the table", lambda: sql.compare(c("name"), "=", sql.text("Hôpital d'Évreux \\ 100 %")), True),
    ("text: not a statement", lambda: sql.text("'; DROP TABLE person; --"), "'; DROP TABLE person; --"),
    ("text: a line and a tab", lambda: sql.text("a\n\tb"), "a\n\tb"),
    ("text: empty is not unknown", lambda: sql.compare(c("empty"), "=", sql.text("")), True),
    ("text: beyond the first plane", lambda: sql.text("𝛼 🧬"), "𝛼 🧬"),
    ("text: accents are not folded", lambda: sql.compare(sql.text("é"), "=", sql.text("e")), False),
    ("text: composed and decomposed differ", lambda: sql.compare(sql.text("é"), "=", sql.text("e\u0301")), False),
    ("text: spaces at the end count", lambda: sql.compare(sql.text("a "), "=", sql.text("a")), False),
    ("like: starts", lambda: sql.like(c("name"), "Hôp%"), True),
    ("like: case counts", lambda: sql.like(c("name"), "hôp%"), False),
    ("like: one character is one, accents too", lambda: sql.like(c("name"), "H_pital%"), True),
    ("like: a backslash is a character", lambda: sql.like(c("name"), "%\\ 100%"), True),
    ("like: a backslash escapes nothing", lambda: sql.like(c("name"), "%\\%"), True),
    ("like: a backslash that is not there", lambda: sql.like(sql.text("100 %"), "100 \\%"), False),
    ("like: all of an empty text", lambda: sql.like(c("empty"), "%"), True),
    ("like: over lines", lambda: sql.like(sql.text("a\nb"), "a%b"), True),
    ("like: unknown", lambda: sql.like(c("no_text"), "%"), None),
    ("Not like: unknown stays unknown", lambda: exp.Not(this=sql.like(c("no_text"), "%")), None),
]
CASES = [*DAYS, *NUMBERS, *LOGIC, *TEXTS]


@pytest.mark.parametrize(("name", "make", "expected"), CASES, ids=[name for name, _, _ in CASES])
def test_a_value_is_the_same_on_every_engine(
    any_engine: Engine, name: str, make: Callable[[], Expr], expected: Any
) -> None:
    found = any_engine.fetch(sql.select({"value": make()}, sql.cdm_table("person", "e")))["value"].to_pylist()[0]
    assert found == expected
    assert isinstance(found, bool) == isinstance(expected, bool)
