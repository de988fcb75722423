"""The portable helpers, executed with edge values, and the white list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlglot import exp

from workbench.engines import sql
from workbench.engines.base import Step
from workbench.engines.duckdb import DuckDBEngine, connect
from workbench.engines.sql import Expr


def leap() -> Expr:
    return sql.day(date(2024, 2, 28))


def count(value: int | None) -> Expr:
    return sql.null("BIGINT") if value is None else sql.cast(sql.number(value), "BIGINT")


TABLE: list[tuple[str, Callable[[], Expr], Any]] = [
    ("a leap day", lambda: sql.add_days(leap(), 1), date(2024, 2, 29)),
    ("over a leap day", lambda: sql.add_days(leap(), 2), date(2024, 3, 1)),
    ("back over a year's end", lambda: sql.add_days(sql.day(date(2024, 1, 1)), -1), date(2023, 12, 31)),
    ("no days", lambda: sql.add_days(leap(), 0), date(2024, 2, 28)),
    ("days of a column", lambda: sql.add_days(leap(), count(-59)), date(2023, 12, 31)),
    ("unknown days", lambda: sql.add_days(leap(), count(None)), None),
    ("days between", lambda: sql.day_diff(sql.day(date(2024, 3, 1)), leap()), 2),
    ("days back", lambda: sql.day_diff(leap(), sql.day(date(2024, 3, 1))), -2),
    ("days to an unknown date", lambda: sql.day_diff(sql.null("DATE"), leap()), None),
    ("age in calendar years", lambda: sql.age_at(sql.day(date(2024, 1, 1)), sql.number(1990)), 34),
    ("a flag of an unknown condition", lambda: sql.flag(sql.compare(count(None), ">", sql.number(1))), 0),
    ("a bit that is on", lambda: exp.BitwiseAnd(this=sql.number(6), expression=sql.number(4)), 4),
    ("the highest bit of a word", lambda: exp.BitwiseAnd(this=count(1 << 61), expression=count(1 << 61)), 1 << 61),
    ("a negative number", lambda: sql.number(-3), -3),
    ("a decimal without exponent", lambda: sql.cast(sql.number(Decimal("1E+2")), "INT"), 100),
    ("a quote in a text", lambda: sql.text("l'hôpital; --"), "l'hôpital; --"),
    ("nothing divided by zero", lambda: exp.Nullif(this=sql.number(0), expression=sql.number(0)), None),
    ("first known value", lambda: sql.coalesce(count(None), sql.number(2)), 2),
]


@pytest.mark.parametrize(("name", "make", "expected"), TABLE, ids=[name for name, _, _ in TABLE])
def test_helpers_on_duckdb(name: str, make: Callable[[], Expr], expected: Any) -> None:
    with DuckDBEngine(connect(threads=1)) as engine:
        assert engine.fetch(sql.bare_select({"value": make()}))["value"].to_pylist() == [expected]


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "spark"])
def test_every_helper_is_written_for_every_dialect(dialect: str) -> None:
    for _, make, _ in TABLE:
        assert make().sql(dialect=dialect)


def test_a_node_off_the_list_is_refused_when_a_step_is_made() -> None:
    months = exp.Select(expressions=[exp.Alias(this=exp.CurrentDate(), alias=sql.name("today"))])
    with pytest.raises(TypeError):
        Step("t", months)
