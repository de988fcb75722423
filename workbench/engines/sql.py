"""Portable SQL as sqlglot trees: a few typed helpers and the white list of nodes that every engine runs alike.

Trees are built, never parsed, and never copied. What is not on the list is refused when a step is made: sqlglot itself
raises nothing where engines silently differ. Dates are DATE columns; days are whole numbers.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

from sqlglot import exp

Expr = exp.Expr
CDM = "cdm"

ALLOWED: frozenset[type[exp.Expr]] = frozenset(
    {
        exp.Add, exp.Alias, exp.And, exp.BitwiseAnd, exp.BitwiseOrAgg, exp.Boolean, exp.Case, exp.Cast, exp.Ceil,
        exp.Coalesce,
        exp.Column, exp.Count, exp.DataType, exp.DateDiff, exp.Distinct, exp.Div, exp.EQ, exp.Exists,
        exp.Extract, exp.Filter, exp.Floor, exp.From, exp.GT, exp.GTE, exp.Group, exp.Having, exp.Identifier,
        exp.If, exp.In, exp.Is, exp.Join, exp.LT, exp.LTE, exp.Like, exp.Literal, exp.Max, exp.Min, exp.Mul, exp.NEQ,
        exp.Neg, exp.Not, exp.Null, exp.Nullif, exp.Or, exp.Order, exp.Ordered, exp.Paren, exp.RowNumber,
        exp.Select, exp.Star, exp.Sub, exp.Subquery, exp.Sum, exp.Table, exp.TableAlias, exp.Union, exp.Var,
        exp.Where, exp.Window, exp.WindowSpec,
    }
)  # fmt: skip


def check_nodes(tree: Expr) -> None:
    """Raise TypeError where a tree holds a node that is not on the white list: a bug of ours, found at compile time."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if type(node) not in ALLOWED:
            raise TypeError(f"not portable SQL: {type(node).__name__}")
        for value in node.args.values():
            if isinstance(value, Expr):
                waiting.append(value)
            elif isinstance(value, list):
                waiting += [each for each in typing.cast("list[object]", value) if isinstance(each, Expr)]


def name(text: str) -> exp.Identifier:
    """Return an identifier. Names come from our own tables, never from a definition."""
    return exp.Identifier(this=text, quoted=False)


def col(alias: str, column: str) -> exp.Column:
    """Return `alias.column`."""
    return exp.Column(this=name(column), table=name(alias))


def number(value: int | float | Decimal) -> Expr:
    """Return a number; negative ones as a negation, which every dialect writes alike."""
    literal = exp.Literal(this=f"{abs(value):f}" if isinstance(value, Decimal) else str(abs(value)), is_string=False)
    return exp.Neg(this=literal) if value < 0 else literal


def text(value: str) -> Expr:
    """Return a string value (each dialect escapes it)."""
    return exp.Literal(this=value, is_string=True)


def day(value: date) -> Expr:
    """Return a date value."""
    return cast(text(value.isoformat()), "DATE")


def cast(this: Expr, kind: str) -> exp.Cast:
    """Return `CAST(this AS kind)` for the kinds BIGINT, INT, DATE, DOUBLE, TEXT."""
    return exp.Cast(this=this, to=exp.DataType(this=exp.DataType.Type[kind]))


def trunc_int(this: Expr) -> Expr:
    """Return the whole part of a number (below 2**53), towards zero, as BIGINT: casts round halves in three ways."""
    towards_zero = when(compare(this, "<", number(0)), exp.Ceil(this=this.copy()), exp.Floor(this=this.copy()))
    return cast(towards_zero, "BIGINT")


def ratio(this: Expr, divisor: Expr) -> Expr:
    """Return the quotient as DOUBLE; NULL where the divisor is zero, which some engines make an error."""
    return exp.Div(this=cast(this, "DOUBLE"), expression=exp.Nullif(this=cast(divisor, "DOUBLE"), expression=number(0)))


def like(this: Expr, pattern: str) -> Expr:
    """Return `this LIKE pattern`: `%` and `_` are wildcards and nothing escapes them; case counts."""
    return exp.Like(this=this, expression=text(pattern))


def null(kind: str) -> Expr:
    """Return a typed NULL."""
    return cast(exp.Null(), kind)


def add_days(this: Expr, days: int | Expr) -> Expr:
    """Return the date some days later. A date plus an INT is a date on all engines; plus an interval it is not."""
    if isinstance(days, int):
        if days == 0:
            return this
        amount = exp.Literal(this=str(abs(days)), is_string=False)
        return exp.Add(this=this, expression=amount) if days > 0 else exp.Sub(this=this, expression=amount)
    return exp.Add(this=this, expression=cast(days, "INT"))


def day_diff(later: Expr, earlier: Expr) -> Expr:
    """Return whole days from `earlier` to `later` (negative where it is before)."""
    return exp.DateDiff(this=later, expression=earlier, unit=exp.Var(this="DAY"))


def year_of(this: Expr) -> Expr:
    """Return the calendar year of a date."""
    return exp.Extract(this=exp.Var(this="YEAR"), expression=this)


def month_of(this: Expr) -> Expr:
    """Return the calendar month of a date, 1 to 12."""
    return exp.Extract(this=exp.Var(this="MONTH"), expression=this)


def age_at(this: Expr, year_of_birth: Expr) -> Expr:
    """Return the age in calendar years: year of the date minus year of birth, as Circe counts it."""
    return exp.Sub(this=year_of(this), expression=year_of_birth)


_COMPARE: Mapping[str, type[exp.Binary]] = {
    "=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
}  # fmt: skip


def compare(left: Expr, operator: str, right: Expr) -> Expr:
    """Return `left operator right` for = <> < <= > >=."""
    return _COMPARE[operator](this=left, expression=right)


def _chain(kind: type[exp.And] | type[exp.Or], parts: Sequence[Expr]) -> Expr:
    result = parts[0]
    for part in parts[1:]:
        result = kind(this=result, expression=part)
    return result if len(parts) == 1 else exp.Paren(this=result)


def both(parts: Iterable[Expr]) -> Expr:
    """Return the conjunction of one or more conditions."""
    return _chain(exp.And, list(parts))


def either(parts: Iterable[Expr]) -> Expr:
    """Return the disjunction of one or more conditions."""
    return _chain(exp.Or, list(parts))


def negate(this: Expr) -> Expr:
    """Return NOT (this); NULL stays NULL."""
    return exp.Not(this=exp.Paren(this=this))


def is_null(this: Expr) -> Expr:
    """Return `this IS NULL`."""
    return exp.Is(this=this, expression=exp.Null())


def when(condition: Expr, then: Expr, otherwise: Expr | None = None) -> Expr:
    """Return `CASE WHEN condition THEN then ELSE otherwise END` (NULL without an otherwise)."""
    return exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise)


def cases(pairs: Sequence[tuple[Expr, Expr]], otherwise: Expr) -> Expr:
    """Return `CASE WHEN condition THEN value … ELSE otherwise END` of one or more pairs: the first that holds."""
    return exp.Case(ifs=[exp.If(this=condition, true=value) for condition, value in pairs], default=otherwise)


def flag(condition: Expr) -> Expr:
    """Return 1 where the condition holds, 0 where it is false or unknown."""
    return when(condition, number(1), number(0))


def coalesce(first: Expr, *others: Expr) -> Expr:
    """Return the first value that is not NULL."""
    return exp.Coalesce(this=first, expressions=list(others)) if others else first


def count_if(condition: Expr, distinct: Expr | None = None) -> Expr:
    """Return how many rows meet a condition, or how many distinct values they hold (NULL is not counted)."""
    counted = exp.Count(this=exp.Star() if distinct is None else exp.Distinct(expressions=[distinct]))
    return exp.Filter(this=counted, expression=exp.Where(this=condition))


def count_all() -> Expr:
    """Return COUNT(*)."""
    return exp.Count(this=exp.Star())


def count_distinct(this: Expr) -> Expr:
    """Return COUNT(DISTINCT this)."""
    return exp.Count(this=exp.Distinct(expressions=[this]))


def bits_if(condition: Expr, word: Expr) -> Expr:
    """Return the bits that are on in any row that meets a condition (NULL: no row, or no word)."""
    return exp.BitwiseOrAgg(this=when(condition, word))


def bits_of(word: Expr, mask: int) -> Expr:
    """Return the bits of a mask that are on in a word."""
    return exp.BitwiseAnd(this=word, expression=number(mask))


def aggregate(kind: type[exp.AggFunc], this: Expr) -> Expr:
    """Return SUM, MIN or MAX of a value."""
    return kind(this=this)


def order(keys: Sequence[tuple[Expr, bool]]) -> exp.Order:
    """Return ORDER BY (key, descending) pairs; keys are never NULL, so that the engines' defaults do not matter."""
    return exp.Order(
        expressions=[exp.Ordered(this=key, desc=descending, nulls_first=False) for key, descending in keys]
    )


def over(
    function: Expr,
    partition: Sequence[Expr],
    keys: Sequence[tuple[Expr, bool]],
    frame: Literal["running", "before"] | None = None,
) -> Expr:
    """Return a window function; its frame is all rows up to this one ("running") or up to the one before ("before")."""
    end, side = (exp.Literal(this="1", is_string=False), "PRECEDING") if frame == "before" else ("CURRENT ROW", None)
    spec = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end=end, end_side=side)
    return exp.Window(
        this=function, partition_by=list(partition), order=order(keys), spec=spec if frame is not None else None
    )


def cdm_table(table: str, alias: str) -> exp.Table:
    """Return a table of the data release under an alias."""
    return exp.Table(this=name(table), db=name(CDM), alias=exp.TableAlias(this=name(alias)))


def work_table(table: str, alias: str) -> exp.Table:
    """Return a table that an earlier step made, under an alias."""
    return exp.Table(this=name(table), alias=exp.TableAlias(this=name(alias)))


def sub(query: exp.Query, alias: str) -> exp.Subquery:
    """Return a query as a derived table; always with an alias, which PostgreSQL demands."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=name(alias)))


def join(source: Expr, on: Expr, side: str = "") -> exp.Join:
    """Return an inner join, or with side "LEFT" an outer one."""
    return exp.Join(this=source, on=on, side=side or None)


def same(left: str, right: str, *columns: str) -> Expr:
    """Return that two aliases agree in some columns."""
    return both([compare(col(left, column), "=", col(right, column)) for column in columns])


def select(
    columns: Mapping[str, Expr],
    source: Expr,
    *,
    joins: Sequence[exp.Join] = (),
    where: Sequence[Expr] = (),
    group: Sequence[Expr] = (),
    having: Expr | None = None,
    distinct: bool = False,
    by: Sequence[Expr] = (),
) -> exp.Select:
    """Return a SELECT whose every column is named; its rows in ascending order of `by`, whose values are not NULL."""
    query = exp.Select(
        expressions=[_named(key, value) for key, value in columns.items()],
        distinct=exp.Distinct() if distinct else None,
    )
    query.set("from_", exp.From(this=source))
    if joins:
        query.set("joins", list(joins))
    if where:
        query.set("where", exp.Where(this=both(where)))
    if group:
        query.set("group", exp.Group(expressions=list(group)))
    if having is not None:
        query.set("having", exp.Having(this=having))
    if by:
        query.set("order", order([(key, False) for key in by]))
    return query


def _named(column: str, value: Expr) -> Expr:
    """Return a value under a name; a column that has the name already needs no alias, which halves the text."""
    if isinstance(value, exp.Column) and value.name == column:
        return value
    return exp.Alias(this=value, alias=name(column))


def bare_select(columns: Mapping[str, Expr]) -> exp.Select:
    """Return a SELECT of values, without FROM."""
    return exp.Select(expressions=[_named(key, value) for key, value in columns.items()])


def columns(alias: str, *names: str) -> dict[str, Expr]:
    """Return columns of one alias under their own names."""
    return {each: col(alias, each) for each in names}


def union_all(queries: Sequence[exp.Query]) -> exp.Query:
    """Return UNION ALL of one or more queries."""
    result = queries[0]
    for query in queries[1:]:
        result = exp.Union(this=result, expression=query, distinct=False)
    return result


def is_in(this: Expr, query: exp.Query, negated: bool = False) -> Expr:
    """Return `this [NOT] IN (query)`."""
    test = exp.In(this=this, query=exp.Subquery(this=query))
    return exp.Not(this=test) if negated else test
