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
    ("number", "VARCHAR", "'1e-3'", "0.001"),
    ("number", "VARCHAR", "'1,5'", BAD),
    ("number", "INTEGER", "3", "3.0"),
    ("date", "VARCHAR", "'2020-02-29'", "2020-02-29"),
    ("date", "VARCHAR", "'2021-02-29'", BAD),
    ("date", "VARCHAR", "'20200229'", "2020-02-29"),
    ("date", "INTEGER", "20200229", "2020-02-29"),
    ("date", "VARCHAR", "'2020-02-29 23:59:00'", "2020-02-29"),
    ("date", "VARCHAR", "'29/02/2020'", BAD),
    ("date", "TIMESTAMP", "TIMESTAMP '2020-02-29 23:00:00'", "2020-02-29"),
    ("datetime", "VARCHAR", "'2020-02-29T10:00:00+02:00'", "2020-02-29 10:00:00"),
    ("datetime", "TIMESTAMPTZ", "'2020-02-29T10:00:00+02:00'", "2020-02-29 08:00:00"),
    ("datetime", "VARCHAR", "'2020-02-29'", "2020-02-29 00:00:00"),
    ("datetime", "VARCHAR", "'20200229'", "2020-02-29 00:00:00"),
    ("datetime", "DATE", "DATE '2020-02-29'", "2020-02-29 00:00:00"),
    ("datetime", "VARCHAR", "'noon'", BAD),
    ("text", "VARCHAR", "'00123'", "00123"),
    ("text", "VARCHAR", "'NA'", "NA"),
    ("text", "VARCHAR", "''", ""),
    ("text", "BIGINT", "7", "7"),
]


@pytest.mark.parametrize(("kind", "source_type", "literal", "expected"), CASES)
def test_a_value_is_read_by_its_type(kind: str, source_type: str, literal: str, expected: str | None) -> None:
    cast = read(Field("x", kind), "x", source_type)
    broken = render(cast.broken) if cast.broken is not None else "FALSE"
    query = (
        f"SELECT CAST({render(cast.value)} AS VARCHAR), {broken} FROM (SELECT CAST({literal} AS {source_type}) AS x)"
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        value, unfit = connection.execute(query).fetchall()[0]
    assert (BAD if unfit else value) == expected
