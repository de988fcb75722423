"""One rule a type: what is read, what is no value, what does not fit."""

from __future__ import annotations

import duckdb
import pytest

from workbench.intake.casting import read
from workbench.intake.nodes import render
from workbench.repository.cdm import Field

BAD = "does not fit"

CASES = [
    ("integer", "VARCHAR", "'12'", "12"),
    ("integer", "VARCHAR", "' 12.0 '", "12"),
    ("integer", "VARCHAR", "'12.5'", BAD),
    ("integer", "VARCHAR", "'NA'", BAD),
    ("integer", "VARCHAR", "' '", None),
    ("integer", "DOUBLE", "2.0", "2"),
    ("integer", "DOUBLE", "2.5", BAD),
    ("integer", "DOUBLE", "1e30", BAD),
    ("integer", "VARCHAR", "'9007199254740993'", "9007199254740993"),
    ("integer", "VARCHAR", "'1_000'", BAD),
    ("integer", "VARCHAR", "'0x1F'", BAD),
    ("integer", "DOUBLE", "'nan'", None),
    ("integer", "BOOLEAN", "true", "1"),
    ("number", "VARCHAR", "'1e-3'", "0.001"),
    ("number", "VARCHAR", "'NaN'", BAD),
    ("number", "VARCHAR", "'inf'", BAD),
    ("number", "DOUBLE", "'nan'", None),
    ("number", "DOUBLE", "'inf'", BAD),
    ("number", "DECIMAL(10, 2)", "7.50", "7.5"),
    ("number", "VARCHAR", "'1,5'", BAD),
    ("number", "INTEGER", "3", "3.0"),
    ("date", "VARCHAR", "'2020-02-29'", "2020-02-29"),
    ("date", "VARCHAR", "'2021-02-29'", BAD),
    ("date", "VARCHAR", "'20200229'", "2020-02-29"),
    ("date", "INTEGER", "20200229", "2020-02-29"),
    ("date", "VARCHAR", "'2020-02-29 23:59:00'", "2020-02-29"),
    ("date", "VARCHAR", "'29/02/2020'", BAD),
    ("date", "VARCHAR", "'infinity'", BAD),
    ("date", "VARCHAR", "'epoch'", BAD),
    ("date", "VARCHAR", "'2020-01-05 (BC)'", BAD),
    ("date", "DATE", "DATE 'infinity'", BAD),
    ("date", "VARCHAR", "'9999-12-31'", "9999-12-31"),
    ("date", "TIMESTAMP", "TIMESTAMP '2020-02-29 23:00:00'", "2020-02-29"),
    ("datetime", "VARCHAR", "'2020-02-29T10:00:00+02:00'", "2020-02-29 10:00:00"),
    ("datetime", "TIMESTAMPTZ", "'2020-02-29T10:00:00+02:00'", "2020-02-29 08:00:00"),
    ("datetime", "VARCHAR", "'2020-02-29'", "2020-02-29 00:00:00"),
    ("datetime", "VARCHAR", "'20200229'", "2020-02-29 00:00:00"),
    ("datetime", "DATE", "DATE '2020-02-29'", "2020-02-29 00:00:00"),
    ("datetime", "VARCHAR", "'noon'", BAD),
    ("datetime", "TIMESTAMP", "TIMESTAMP '9999-12-31 23:59:59'", "9999-12-31 23:59:59"),
    ("datetime", "TIMESTAMP", "TIMESTAMP 'infinity'", BAD),
    ("text", "VARCHAR", "'00123'", "00123"),
    ("text", "VARCHAR", "'NA'", "NA"),
    ("text", "VARCHAR", "''", None),
    ("text", "VARCHAR", "' '", " "),
    ("text", "BIGINT", "7", "7"),
]


def answer(kind: str, source_type: str, literal: str, *, decimal_comma: bool = False) -> str | None:
    """What a literal of a SQL type becomes as a field of a type, by the two steps of a cast."""
    cast = read(Field("x", kind), "source", source_type, decimal_comma=decimal_comma)
    assert cast.raw is not None
    broken = render(cast.broken) if cast.broken is not None else "FALSE"
    given = f"SELECT CAST({literal} AS {source_type}) AS source"
    raw = f"SELECT {render(cast.raw)} AS __raw_x FROM ({given})"
    parsed = f"SELECT *, {render(cast.parsed)} AS __parsed_x FROM ({raw})"
    query = f"SELECT CAST(x AS VARCHAR), {broken} FROM (SELECT *, {render(cast.value)} AS x FROM ({parsed}))"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        value, unfit = connection.execute(query).fetchall()[0]
    return BAD if unfit else value


@pytest.mark.parametrize(("kind", "source_type", "literal", "expected"), CASES)
def test_a_value_is_read_by_its_type(kind: str, source_type: str, literal: str, expected: str | None) -> None:
    assert answer(kind, source_type, literal) == expected


@pytest.mark.parametrize(
    ("literal", "expected"),
    [("'1,5'", "1.5"), ("'1.5'", "1.5"), ("'-0,25'", "-0.25"), ("'1.234,5'", BAD), ("','", BAD)],
)
def test_a_decimal_comma_is_read_where_who_loads_says_so(literal: str, expected: str) -> None:
    assert answer("number", "VARCHAR", literal, decimal_comma=True) == expected
