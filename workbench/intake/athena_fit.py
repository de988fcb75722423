"""Whether a vocabulary fits itself and the data that it is loaded for: what does not is named, with counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlglot import exp

from workbench.intake.nodes import (
    Node,
    both,
    call,
    cast,
    column,
    equal,
    is_null,
    named,
    negate,
    not_null,
    number,
    render,
    scan,
    select,
    text,
)
from workbench.intake.tables import Test

ENDS: Mapping[str, tuple[str, ...]] = {
    "concept_ancestor": ("ancestor_concept_id", "descendant_concept_id"),
    "concept_relationship": ("concept_id_1", "concept_id_2"),
    "concept_synonym": ("concept_id",),
    "drug_strength": ("drug_concept_id", "ingredient_concept_id"),
    "source_to_concept_map": ("target_concept_id",),
}
"""Tables that name concepts, and the columns that must find them."""

_USE = "concepts_in_use"


@dataclass(frozen=True)
class Unfound:
    """Rows of a table whose column names concepts that the vocabulary lacks."""

    table: str
    column: str
    concepts: int
    rows: int

    def document(self) -> dict[str, Any]:
        """Return it as the manifest keeps it."""
        return {"table": self.table, "column": self.column, "concepts": self.concepts, "rows": self.rows}


@dataclass(frozen=True)
class Fit:
    """What does not fit. `repeated`: concept ids that stand more than once; `inside`: rows of the vocabulary, `used`:
    rows of the data that name absent concepts."""

    repeated: int
    inside: tuple[Unfound, ...] = field(default_factory=tuple)
    used: tuple[Unfound, ...] = field(default_factory=tuple)

    @property
    def ancestors(self) -> tuple[Unfound, ...]:
        """The ancestors among `inside`: descendants of a concept set would be lost without a word."""
        return tuple(each for each in self.inside if each.table == "concept_ancestor")

    def document(self) -> dict[str, Any]:
        """Return what is absent as the manifest keeps it."""
        return {
            "inside": [each.document() for each in self.inside],
            "used": [each.document() for each in self.used],
        }


def fit(connection: Any, files: Mapping[str, Path], use: pa.Table) -> Fit:
    """Compare a vocabulary (`files`: table → Parquet file) with itself and with the concepts in use (`use`: see
    `workbench.vocabulary.use`). Concept 0, "no matching concept", is never missed."""
    ids = scan("read_parquet", files["concept"])
    counted = select(named(call("count"), "n"), source=ids, group=column("concept_id"))
    many = exp.GT(this=column("n"), expression=number(1))
    repeated = _numbers(connection, select(call("count"), source=counted, where=many))[0]
    inside = [
        found
        for name, columns in ENDS.items()
        if name in files
        for found in (_unfound(connection, name, each, files) for each in columns)
        if found.rows
    ]
    return Fit(repeated, tuple(inside), tuple(unfound_in_use(connection, files["concept"], use)))


def _unfound(connection: Any, name: str, key: str, files: Mapping[str, Path]) -> Unfound:
    here = column(key, "t")
    absent = _absent(here, _scan(files[name], "t"), files["concept"])
    concepts = exp.Count(this=exp.Distinct(expressions=[here]))
    absent.set("expressions", [concepts, call("count")])
    return Unfound(name, key, *_numbers(connection, absent))


def unfound_in_use(connection: Any, concepts: Path, use: pa.Table, former: Path | None = None) -> list[Unfound]:
    """Return the concepts in use that a vocabulary lacks; with `former`, only those that a former one had."""
    connection.register(_USE, use)
    try:
        source = exp.to_table(_USE)
        source.set("alias", exp.TableAlias(this=exp.to_identifier("t")))
        absent = _absent(column("concept_id", "t"), source, concepts)
        place = [column("table_name", "t"), column("column_name", "t")]
        if former is not None:
            known = select(column("concept_id"), source=scan("read_parquet", former))
            absent = absent.where(exp.In(this=column("concept_id", "t"), query=exp.Subquery(this=known)), copy=False)
        records = cast(call("sum", column("records", "t")), "BIGINT")
        absent.set("expressions", [*place, call("count"), records])
        rows = connection.execute(render(absent.group_by(*place, copy=False).order_by(*place, copy=False))).fetchall()
    finally:
        connection.unregister(_USE)
    return [Unfound(str(table), str(name), int(count), int(total)) for table, name, count, total in rows]


def _absent(value: Node, source: exp.Table, concepts: Path) -> exp.Select:
    """Return a query (its columns still to be set) of the rows whose value is there, is not 0 and is no concept."""
    real = both(not_null(value), negate(equal(value, number(0))))
    query = exp.Select(expressions=[]).from_(source, copy=False).where(real, copy=False)
    same = equal(column("concept_id", "c"), value)
    return query.join(_scan(concepts, "c"), on=same, join_type="anti", copy=False)


def faults_of_map(target: Node, concepts: Path) -> tuple[Test, ...]:
    """Return the tests that set a row of a source-to-concept map aside, by its target.

    0 says that somebody looked and found nothing: it is right.
    """
    standard, valid = equal(column("standard_concept"), text("S")), is_null(column("invalid_reason"))
    known, meant = _known(target, concepts), negate(equal(target, number(0)))
    tests = {
        "target_unknown": both(meant, negate(known)),
        "target_not_standard": both(meant, known, negate(_known(target, concepts, standard))),
        "target_not_valid": both(meant, known, negate(_known(target, concepts, valid))),
    }
    return tuple(
        Test(both(not_null(target), test), text(f"target_concept_id: {reason}")) for reason, test in tests.items()
    )


def _known(target: Node, concepts: Path, where: Node | None = None) -> Node:
    ids = select(column("concept_id"), source=scan("read_parquet", concepts), where=where)
    return exp.In(this=target, query=exp.Subquery(this=ids))


def _scan(path: Path, alias: str) -> exp.Table:
    source = scan("read_parquet", path)
    source.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    return source


def _numbers(connection: Any, query: exp.Query) -> tuple[int, ...]:
    return tuple(int(value or 0) for value in connection.execute(render(query)).fetchall()[0])
