"""What a column holds, by the name that each engine gives its type."""

from __future__ import annotations

import pytest

from workbench.engines.base import Engine
from workbench.engines.kinds import kind_of

HELD = {
    "leap": "date", "midnight": "date", "birth_date": "date",
    "person_id": "number", "none": "number", "big": "number", "half": "number", "price": "number",
    "name": "text", "no_text": "text",
}  # fmt: skip


@pytest.mark.xdist_group("portable")
def test_what_columns_hold_on_each_engine(any_engine: Engine) -> None:
    assert {column: kind_of(any_engine.type_of("person", column)) for column in HELD} == HELD
    assert any_engine.type_of("person", "nowhere") == any_engine.type_of("nowhere", "leap") == ""


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("date", ["DATE", "date32[day]", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS", "timestamp[us, tz=UTC]"]),
        ("number", ["HUGEINT", "UTINYINT", "smallint", "uint32", "DECIMAL(18,3)", "decimal128(38, 0)", "double"]),
        ("number", ["double precision", "halffloat", "FLOAT", "real", "numeric"]),
        ("text", ["VARCHAR", "character varying", "character", "large_string", "ENUM('a', 'b')", "USER-DEFINED"]),
        ("text", ["dictionary<values=string, indices=int32, ordered=0>"]),
        ("nothing", ["null", '"NULL"']),
        (
            None,
            ["BOOLEAN", "bool", "INTERVAL", "interval", "INTEGER[]", "VARCHAR[]", "time64[us]", "list<item: int8>"],
        ),
        (None, ["STRUCT(a INTEGER)", "BLOB", "uuid", "dictionary<values=int64, indices=int32, ordered=0>", ""]),
    ],
)
def test_names_of_types(kind: str | None, names: list[str]) -> None:
    assert {name: kind_of(name) for name in names} == dict.fromkeys(names, kind)
