"""The content digest: blind to how a table is written, sharp to what it says."""

from __future__ import annotations

import hashlib
import json
import math
import struct
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
PLAIN = ["b", "a", "i", "x", "d"]
ROWS = st.lists(ROW, max_size=6)
KINDS = {"b": "text", "a": "text", "i": "integer", "x": "double", "d": "date", "t": "timestamp", "f": "boolean"}


def table(rows: list[tuple]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


def said(value: object) -> bytes:
    """Write a value as the module's docstring says, in plain Python."""
    if isinstance(value, bool):
        return struct.pack("<B", value)
    if isinstance(value, int):
        return struct.pack("<q", value)
    if isinstance(value, float):
        return bytes.fromhex("000000000000f87f") if math.isnan(value) else struct.pack("<d", value + 0.0)
    if isinstance(value, datetime):
        since = value - datetime(1970, 1, 1)  # noqa: DTZ001
        return struct.pack("<q", (since.days * 86400 + since.seconds) * 10**6 + since.microseconds)
    if isinstance(value, date):
        return struct.pack("<i", (value - date(1970, 1, 1)).days)
    return str(value).encode()


def stood(value: object) -> tuple:
    """Return what orders a value: none first, texts by their bytes, NaN last."""
    if isinstance(value, float) and math.isnan(value):
        return (2, 0)
    return (0, 0) if value is None else (1, value.encode() if isinstance(value, str) else value)


def reference(rows: list[tuple], order: tuple[str, ...] = ()) -> str:
    names = sorted(SCHEMA.names)
    places = [SCHEMA.names.index(name) for name in (*order, *(name for name in names if name not in order))]
    rows = sorted(rows, key=lambda row: [stood(row[place]) for place in places])
    columns = [[name, KINDS[name]] for name in names]
    content = json.dumps({"columns": columns, "form": 2, "order": order}, separators=(",", ":")).encode() + b"\n"
    for name, kind in columns:
        values = [row[SCHEMA.names.index(name)] for row in rows]
        written = [said(value) for value in values if value is not None]
        parts = [bytes(value is not None for value in values), b"".join(written)]
        parts += [b"".join(struct.pack("<q", len(each)) for each in written)] if kind == "text" else []
        content += b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(content).hexdigest()


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_the_digest_is_the_one_that_the_canonical_form_defines(rows: list[tuple]) -> None:
    assert content_digest(table(rows)) == reference(rows)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.permutations(SCHEMA.names), st.integers(0, 7))
def test_the_order_is_part_of_the_digest_and_rows_that_stand_in_it_give_the_same(
    rows: list[tuple], names: list[str], many: int
) -> None:
    order = tuple(names[:many])
    expected = reference(rows, order)
    assert content_digest(table(rows), order=order) == expected
    places = [SCHEMA.names.index(name) for name in (*order, *(name for name in sorted(names) if name not in order))]
    standing = table(sorted(rows, key=lambda row: [stood(row[place]) for place in places]))
    assert content_digest(standing, order=order) == expected
    parts = pa.Table.from_batches(standing.to_batches(max_chunksize=1), SCHEMA)
    assert content_digest(parts, order=order) == expected


@settings(max_examples=40, deadline=None)
@given(ROWS, st.permutations(PLAIN), st.integers(0, 5), st.integers(1, 6))
def test_arrow_alone_gives_what_the_engine_gives(rows: list[tuple], names: list[str], many: int, chunk: int) -> None:
    keys = [*names[:many], *(name for name in sorted(names) if name not in names[:many])]
    places = [SCHEMA.names.index(name) for name in keys]
    standing = table(sorted(rows, key=lambda row: [stood(row[place]) for place in places])).select(names)
    expected = content_digest(pl.DataFrame(standing), order=keys[:many])
    for kind in (pa.large_string(), pa.string()):
        plain = standing.cast(
            pa.schema([(each.name, kind if each.name in "ba" else each.type) for each in standing.schema])
        )
        plain = pa.Table.from_batches(plain.to_batches(max_chunksize=chunk), plain.schema)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("workbench.engines.content.connect", None)
            assert content_digest(plain, order=keys[:many]) == expected


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()])
def test_narrow_numbers_are_digested_as_wide_ones(kind: pa.DataType) -> None:
    wide = pa.table({"i": pa.array([None, 1, 7, 7, 100], pa.int64())})
    assert content_digest(wide.cast(pa.schema([("i", kind)]))) == content_digest(wide)


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
    same = (new is None) == (rows[place][cell] is None) and said(new) == said(rows[place][cell])
    assert (content_digest(table(changed)) == content_digest(table(rows))) == same


@pytest.mark.parametrize("place", [1, 131_071, 131_072, 200_000, 299_999])
def test_one_row_out_of_its_place_is_found_wherever_it_stands(place: int) -> None:
    ids = list(range(300_000))
    texts = [f"{each // 7:06}" for each in ids]
    expected = content_digest(pa.table({"id": ids, "text": texts}))
    by_text = content_digest(pa.table({"id": ids, "text": texts}), order=("text",))
    assert by_text != expected
    ids[place - 1], ids[place] = ids[place], ids[place - 1]
    texts[place - 1], texts[place] = texts[place], texts[place - 1]
    moved = pa.table({"id": ids, "text": texts})
    assert content_digest(moved) == expected
    assert content_digest(moved, order=("text",)) == by_text


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
