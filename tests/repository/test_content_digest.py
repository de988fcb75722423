"""The content digest: blind to how a table is written, sharp to what it says."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engines.content import content_digest

TEXT = st.none() | st.text(alphabet="a:-1é\x00 ", max_size=4)
ROW = st.tuples(
    TEXT,
    TEXT,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(width=64),
    st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31)),
    st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 OMOP knows no zones
    st.none() | st.booleans(),
)
SCHEMA = pa.schema(
    {
        "b": pa.string(),
        "a": pa.string(),
        "i": pa.int64(),
        "x": pa.float64(),
        "d": pa.date32(),
        "t": pa.timestamp("us"),
        "f": pa.bool_(),
    }
)
ROWS = st.lists(ROW, max_size=6)
KINDS = {"b": "text", "a": "text", "i": "integer", "x": "double", "d": "date", "t": "timestamp", "f": "boolean"}


def table(rows: list[tuple]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


def said(value: object) -> str:
    """Write a value as the module's docstring says, in plain Python."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = "nan" if math.isnan(value) else ("%.16e" % (value + 0.0) if math.isfinite(value) else str(value))
    elif isinstance(value, datetime):
        since = value - datetime(1970, 1, 1)  # noqa: DTZ001
        text = str((since.days * 86400 + since.seconds) * 10**6 + since.microseconds)
    else:
        text = str(value)
    return f"{len(text.encode())}:{text}"


def reference(rows: list[tuple]) -> str:
    order = sorted(range(len(SCHEMA.names)), key=lambda place: SCHEMA.names[place])
    names = [[SCHEMA.names[place], KINDS[SCHEMA.names[place]]] for place in order]
    header = json.dumps({"columns": names}, separators=(",", ":")).encode() + b"\n"
    digests = sorted(hashlib.sha256("".join(said(row[place]) for place in order).encode()).digest() for row in rows)
    return hashlib.sha256(header + b"".join(digests)).hexdigest()


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_the_digest_is_the_one_that_the_canonical_form_defines(rows: list[tuple]) -> None:
    assert content_digest(table(rows)) == reference(rows)


@settings(max_examples=10, deadline=None)
@given(ROWS, st.randoms())
def test_order_columns_splits_row_groups_and_writers_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple], draw: object
) -> None:
    expected = content_digest(table(rows))
    shuffled, names = list(rows), list(SCHEMA.names)
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    draw.shuffle(names)  # type: ignore[attr-defined]
    folder = tmp_path_factory.mktemp("digest")
    other = table(shuffled).select(names)
    pq.write_table(other, folder / "groups.parquet", row_group_size=2, compression="zstd", use_dictionary=False)
    pq.write_table(other.slice(0, 2), folder / "part1.parquet")
    pq.write_table(other.slice(2).select(SCHEMA.names), folder / "part2.parquet")
    frame = pl.DataFrame(other)
    frame.write_parquet(folder / "polars.parquet")
    assert content_digest(folder / "groups.parquet") == expected
    assert content_digest([folder / "part1.parquet", folder / "part2.parquet"]) == expected
    assert content_digest(folder / "polars.parquet") == expected
    assert content_digest(frame) == expected
    assert content_digest(other.to_reader(1)) == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=4), st.data())
def test_any_changed_cell_changes_the_digest(rows: list[tuple], data: st.DataObject) -> None:
    place, cell = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(SCHEMA) - 1))
    new = data.draw(ROW)[cell]
    changed = [*rows]
    changed[place] = (*rows[place][:cell], new, *rows[place][cell + 1 :])
    same = said(new) == said(rows[place][cell])
    assert (content_digest(table(changed)) == content_digest(table(rows))) == same


def test_what_could_be_confused_is_not() -> None:
    def digest(**columns: list) -> str:
        return content_digest(pa.table(columns))

    assert digest(a=[""]) != digest(a=pa.array([None], pa.string()))
    assert digest(a=["-"]) != digest(a=pa.array([None], pa.string()))
    assert digest(a=["1:x"], b=[""]) != digest(a=["1"], b=["x"])
    assert digest(a=["1"]) != digest(a=[1])
    assert digest(a=[1.0]) != digest(a=[1])
    assert digest(a=[0.1 + 0.2]) != digest(a=[0.3])
    assert digest(a=["x"]) != digest(b=["x"])
    assert digest(a=["x", "x"]) != digest(a=["x"])
    assert digest(a=[0.0, math.nan]) == digest(a=[-0.0, -math.nan])
    assert digest(a=pa.array([1], pa.int16())) == digest(a=pa.array([1], pa.int64()))
    assert digest(a=pa.array(["x"]).dictionary_encode()) == digest(a=["x"])


def test_a_type_without_canonical_form_is_named() -> None:
    with pytest.raises(TypeError, match="lists"):
        content_digest(pa.table({"lists": [[1]]}))


def test_an_empty_table_has_a_digest_of_its_columns(tmp_path: Path) -> None:
    pq.write_table(table([]), tmp_path / "empty.parquet")
    assert content_digest(tmp_path / "empty.parquet") == reference([])
