"""What whole queries give, on every engine: joins, groups, windows, unions, sub-queries, over two small tables.

The expected rows are written by hand. Rows are compared as a multiset: no query of ours asks for an order.
"""

from __future__ import annotations

import ast
import csv
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from tests.engines import test_conformance_values as values
from workbench.engines import sql
from workbench.engines.base import Engine, Step
from workbench.engines.columns import tuples
from workbench.engines.dialects import render
from workbench.engines.sql import Expr

pytestmark = pytest.mark.xdist_group("portable")
A = pa.table(
    {
        "id": pa.array([1, 1, 2, 3, None], pa.int64()),
        "day": pa.array([date(2024, 2, 29), date(2024, 1, 31), date(2023, 12, 31), None, date(2024, 2, 29)]),
        "size": pa.array([10, -10, 5, None, 7], pa.int64()),
        "word": pa.array(["é", "", "É", None, "é"]),
    }
)
B = pa.table({"id": pa.array([1, 2, 2, 4], pa.int64()), "mark": pa.array([1, 2, 3, 4], pa.int32())})
Rows = list[tuple[Any, ...]]
Query = Callable[[], exp.Query]


def a(name: str) -> Expr:
    return sql.col("a", name)


def b(name: str) -> Expr:
    return sql.col("b", name)


def ta() -> Expr:
    return sql.work_table("t_a", "a")


def tb() -> Expr:
    return sql.work_table("t_b", "b")


def _aggregate(kind: type[exp.AggFunc], column: str) -> Query:
    return lambda: sql.select({"v": sql.aggregate(kind, a(column))}, ta())


def _nothing() -> Expr:
    return sql.compare(sql.number(1), "=", sql.number(0))


def _always() -> Expr:
    return sql.compare(sql.number(1), "=", sql.number(1))


def _numbered(descending: bool) -> exp.Query:
    keys = [(a("day"), descending), (a("size"), False)]
    ordinal = sql.over(exp.RowNumber(), [a("id")], keys)
    return sql.select({"size": a("size"), "v": ordinal}, ta(), where=[sql.compare(a("id"), "=", sql.number(1))])


def _running(frame: Any, kind: type[exp.AggFunc]) -> exp.Query:
    window = sql.over(sql.aggregate(kind, b("mark")), [], [(b("mark"), False)], frame)
    return sql.select({"mark": b("mark"), "v": window}, tb())


def _members() -> exp.Select:
    return sql.select({"id": b("id")}, tb())


def _nulls() -> exp.Query:
    """The number of the row whose size is unknown, in both orders: the last of five."""
    parts: list[exp.Query] = []
    for descending in (False, True):
        numbered = sql.select({"size": a("size"), "v": sql.over(exp.RowNumber(), [], [(a("size"), descending)])}, ta())
        unknown = sql.is_null(sql.col("n", "size"))
        parts.append(sql.select(sql.columns("n", "size", "v"), sql.sub(numbered, "n"), where=[unknown]))
    return sql.union_all(parts)


QUERIES: list[tuple[str, Query, Rows]] = [
    (
        "select: all columns named",
        lambda: sql.select(sql.columns("b", "id", "mark"), tb()),
        [(1, 1), (2, 2), (2, 3), (4, 4)],
    ),
    (
        "select: distinct, NULL once",
        lambda: sql.select({"v": a("word")}, ta(), distinct=True),
        [("é",), ("",), ("É",), (None,)],
    ),
    ("bare_select: a value", lambda: sql.bare_select({"v": sql.number(1)}), [(1,)]),
    (
        "where: unknown rows go",
        lambda: sql.select({"v": a("size")}, ta(), where=[sql.compare(a("size"), "<", sql.number(8))]),
        [(-10,), (5,), (7,)],
    ),
    (
        "join: NULL meets nothing",
        lambda: sql.select({"x": a("size"), "y": b("mark")}, ta(), joins=[sql.join(tb(), sql.same("a", "b", "id"))]),
        [(10, 1), (-10, 1), (5, 2), (5, 3)],
    ),
    (
        "join: LEFT keeps what has no match",
        lambda: sql.select(
            {"x": a("size"), "y": b("mark")}, ta(), joins=[sql.join(tb(), sql.same("a", "b", "id"), "LEFT")]
        ),
        [(10, 1), (-10, 1), (5, 2), (5, 3), (None, None), (7, None)],
    ),
    (
        "join: LEFT on two conditions",
        lambda: sql.select(
            {"x": a("id"), "y": b("mark")},
            ta(),
            joins=[
                sql.join(tb(), sql.both([sql.same("a", "b", "id"), sql.compare(b("mark"), ">", sql.number(2))]), "LEFT")
            ],
        ),
        [(1, None), (1, None), (2, 3), (3, None), (None, None)],
    ),
    (
        "group: NULL is a group",
        lambda: sql.select({"id": a("id"), "v": sql.count_all()}, ta(), group=[a("id")]),
        [(1, 2), (2, 1), (3, 1), (None, 1)],
    ),
    (
        "group: having",
        lambda: sql.select(
            {"id": a("id")}, ta(), group=[a("id")], having=sql.compare(sql.count_all(), ">", sql.number(1))
        ),
        [(1,)],
    ),
    ("count_all: of no rows", lambda: sql.select({"v": sql.count_all()}, ta(), where=[_nothing()]), [(0,)]),
    ("count_distinct: NULL is not counted", lambda: sql.select({"v": sql.count_distinct(a("word"))}, ta()), [(3,)]),
    (
        "count_if: unknown does not count",
        lambda: sql.select({"v": sql.count_if(sql.compare(a("size"), ">", sql.number(0)))}, ta()),
        [(3,)],
    ),
    (
        "count_if: distinct",
        lambda: sql.select({"v": sql.count_if(sql.compare(a("size"), ">", sql.number(0)), a("word"))}, ta()),
        [(2,)],
    ),
    (
        "bits_if: the bits of the rows that meet a condition",
        lambda: sql.select({"v": sql.bits_if(sql.compare(a("size"), ">", sql.number(5)), a("size"))}, ta()),
        [(15,)],
    ),
    (
        "bits_if: the highest bit of a word",
        lambda: sql.select({"v": sql.bits_if(_always(), sql.cast(sql.number(1 << 61), "BIGINT"))}, ta()),
        [(1 << 61,)],
    ),
    ("bits_if: of nothing is unknown", lambda: sql.select({"v": sql.bits_if(_nothing(), a("size"))}, ta()), [(None,)]),
    ("bits_of: a mask of two bits", lambda: sql.select({"v": sql.bits_of(sql.number(13), 6)}, tb()), [(4,)] * 4),
    ("Sum: over NULL", lambda: sql.select({"v": sql.cast(sql.aggregate(exp.Sum, a("size")), "BIGINT")}, ta()), [(12,)]),
    (
        "Sum: of nothing is unknown",
        lambda: sql.select({"v": sql.cast(sql.aggregate(exp.Sum, a("size")), "BIGINT")}, ta(), where=[_nothing()]),
        [(None,)],
    ),
    ("Min: of days", _aggregate(exp.Min, "day"), [(date(2023, 12, 31),)]),
    ("Max: of days", _aggregate(exp.Max, "day"), [(date(2024, 2, 29),)]),
    ("Max: of negative numbers and NULL", _aggregate(exp.Max, "size"), [(10,)]),
    ("over: row numbers, latest first", lambda: _numbered(True), [(10, 1), (-10, 2)]),
    ("over: row numbers, earliest first", lambda: _numbered(False), [(-10, 1), (10, 2)]),
    ("over: up to this row", lambda: _running("running", exp.Sum), [(1, 1), (2, 3), (3, 6), (4, 10)]),
    ("over: up to the row before", lambda: _running("before", exp.Max), [(1, None), (2, 1), (3, 2), (4, 3)]),
    ("over: NULL comes last, either way", _nulls, [(None, 5), (None, 5)]),
    ("union_all: keeps what is twice", lambda: sql.union_all([_members(), _members()]), [(1,), (2,), (2,), (4,)] * 2),
    ("union_all: of one", lambda: sql.union_all([_members()]), [(1,), (2,), (2,), (4,)]),
    (
        "union_all: two widths of whole numbers",
        lambda: sql.union_all([_members(), sql.select({"id": b("mark")}, tb())]),
        [(1,), (2,), (2,), (4,), (1,), (2,), (3,), (4,)],
    ),
    (
        "sub: a table of its own",
        lambda: sql.select({"v": sql.col("s", "id")}, sql.sub(_members(), "s")),
        [(1,), (2,), (2,), (4,)],
    ),
    (
        "is_in: a sub-query",
        lambda: sql.select({"v": a("size")}, ta(), where=[sql.is_in(a("id"), _members())]),
        [(10,), (-10,), (5,)],
    ),
    (
        "is_in: not, unknown goes",
        lambda: sql.select({"v": a("id")}, ta(), where=[sql.is_in(a("id"), _members(), True)]),
        [(3,)],
    ),
    (
        "is_in: not, a NULL in the list leaves nothing",
        lambda: sql.select({"v": b("id")}, tb(), where=[sql.is_in(b("id"), sql.select({"id": a("id")}, ta()), True)]),
        [],
    ),
    (
        "is_in: either a list or a number",
        lambda: sql.select(
            {"v": a("size")},
            ta(),
            where=[sql.either([sql.is_in(a("id"), _members()), sql.compare(a("size"), "=", sql.number(7))])],
        ),
        [(10,), (-10,), (5,), (7,)],
    ),
    (
        "Exists: a matching row",
        lambda: sql.select(
            {"v": a("size")},
            ta(),
            where=[exp.Exists(this=sql.select({"one": sql.number(1)}, tb(), where=[sql.same("a", "b", "id")]))],
        ),
        [(10,), (-10,), (5,)],
    ),
]


@pytest.fixture(scope="module")
def tables(any_engine: Engine) -> Iterator[Engine]:
    any_engine.load("t_a", A)
    any_engine.load("t_b", B)
    yield any_engine
    any_engine.drop("t_a")
    any_engine.drop("t_b")


def _rows(table: pa.Table) -> Counter[tuple[Any, ...]]:
    return Counter(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize(("name", "make", "expected"), QUERIES, ids=[name for name, _, _ in QUERIES])
def test_a_query_is_the_same_on_every_engine(tables: Engine, name: str, make: Query, expected: Rows) -> None:
    assert _rows(tables.fetch(make())) == Counter(expected)


def test_a_step_keeps_rows_of_every_type_and_none(tables: Engine) -> None:
    """A work table gives what the query gave; made again it is replaced; of no rows it keeps its columns."""
    chosen = sql.columns("a", "id", "day", "size", "word")
    tables.materialise(Step("kept", sql.select(chosen, ta())))
    tables.materialise(Step("kept", sql.select(chosen, ta(), where=[sql.compare(a("id"), "=", sql.number(2))])))
    tables.materialise(Step("none", sql.select(chosen, ta(), where=[_nothing()])))
    again = sql.select(sql.columns("k", "id", "day", "size", "word"), sql.work_table("kept", "k"))
    assert _rows(tables.fetch(again)) == Counter([(2, date(2023, 12, 31), 5, "É")])
    empty = tables.fetch(sql.select(sql.columns("k", "id", "day"), sql.work_table("none", "k")))
    assert (empty.num_rows, empty.column_names) == (0, ["id", "day"])
    tables.drop("kept")
    tables.drop("none")
    tables.drop("none")


def test_a_table_of_no_rows_can_be_loaded(tables: Engine) -> None:
    tables.load("t_none", A.slice(0, 0))
    assert tables.fetch(sql.select({"v": sql.count_all()}, sql.work_table("t_none", "t")))["v"].to_pylist() == [0]
    tables.drop("t_none")


def test_whole_numbers_are_loaded_as_they_are(tables: Engine) -> None:
    """Small tables of Python numbers come and go without Arrow: the widest ones, and none."""
    wide: Rows = [(1, 2**63 - 1), (2, -(2**63)), (3, 0)]
    tables.load("t_numbers", {"at": [at for at, _ in wide], "value": [value for _, value in wide]})
    chosen = sql.select(sql.columns("t", "at", "value"), sql.work_table("t_numbers", "t"), by=[sql.col("t", "at")])
    assert tables.tuples(chosen) == wide
    tables.load("t_numbers", {"at": [], "value": []})
    assert tables.tuples(chosen) == []
    tables.drop("t_numbers")


def test_rows_are_written_to_a_file_in_their_order(tables: Engine, results: Path) -> None:
    chosen = {**sql.columns("a", "day", "size", "word")}
    known = [sql.negate(sql.is_null(a("day"))), sql.negate(sql.is_null(a("word")))]
    tree = sql.select(chosen, ta(), where=known, by=[a("day"), a("size")])
    rows: Rows = [(date(2023, 12, 31), 5, "É"), (date(2024, 1, 31), -10, ""), (date(2024, 2, 29), 7, "é")]
    rows.append((date(2024, 2, 29), 10, "é"))
    tables.write(tree, results / "rows.parquet", "parquet")
    assert tuples(pq.read_table(results / "rows.parquet")) == rows
    tables.write(tree, results / "rows.csv", "csv")
    with (results / "rows.csv").open(encoding="utf-8", newline="") as stream:
        head, *lines = csv.reader(stream)
    assert head == ["day", "size", "word"]
    assert lines == [[str(value) for value in row] for row in rows]


def test_the_tables_hold_every_node_of_the_white_list() -> None:
    trees = [sql.bare_select({"v": make()}) for _, make, _ in values.CASES] + [make() for _, make, _ in QUERIES]
    seen = {type(node) for tree in trees for node in tree.walk()}
    assert sql.ALLOWED - seen == set()
    assert seen - sql.ALLOWED == set()


def test_the_tables_use_every_helper() -> None:
    """Each public function of `engines/sql.py`, by its name in the sources of the tables."""
    helpers = {name for name, _ in inspect.getmembers(sql, inspect.isfunction) if not name.startswith("_")}
    sources = [ast.parse(Path(str(module.__file__)).read_text()) for module in (values,)]
    sources.append(ast.parse(Path(__file__).read_text()))
    used = {node.attr for tree in sources for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    # What a step calls on every tree, and what the others call for their names and orders.
    assert helpers - used == {"check_nodes", "name", "order"}


@pytest.mark.parametrize(
    "node",
    [exp.CurrentDate(), exp.DateTrunc(this=exp.Null()), exp.Anonymous(this="pg_sleep"), exp.Concat(), exp.Rand()],
    ids=lambda node: type(node).__name__,
)
def test_what_is_not_on_the_list_is_refused_when_the_step_is_made(node: exp.Expr) -> None:
    with pytest.raises(TypeError, match="not portable"):
        Step("t", sql.select({"v": node}, ta()))


def test_a_pattern_that_is_not_a_text_is_refused() -> None:
    """A backslash in a pattern from a column would be an escape on two engines of three."""
    step = Step("t", sql.select({"v": exp.Like(this=a("word"), expression=a("word"))}, ta()))
    with pytest.raises(TypeError, match="not portable"):
        render(step.tree, "postgres")
