"""Judged rows → the release: those that can be used, and beside them those that are set aside, whole, with the reason.

Rows set aside hold what patients' rows hold. They lie inside the release's folder, under the same rights, and nothing
of them but numbers is printed or logged.

An id that repeats: exact copies of a row are set aside, one stays. Different rows of one id are all set aside in tables
that others refer to (`person`, `visit_occurrence`, `concept`, …), since nothing says which one is meant. Elsewhere they
stay, as nothing refers to them: the facts are sound, the key is not, and the quality check of unique keys counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.engines.content import content_digest
from workbench.intake import tables
from workbench.intake.nodes import (
    Node,
    both,
    call,
    cast,
    column,
    count_if,
    either,
    equal,
    is_null,
    named,
    negate,
    not_null,
    number,
    over,
    render,
    scan,
    select,
    text,
    union,
)
from workbench.intake.sources import answering
from workbench.intake.tables import BLANK, FILE, HEADER, LINE, ROW, WHOSE, WHY, Judged
from workbench.kernel.errors import Unavailable
from workbench.repository.cdm import REFERRED

_KEYS, _REPEATS = "repeated_keys", "repeated_rows"
COLUMNS = ("file", "line", "reason", "person_id", "row")
"""The columns of a file of rows set aside; `row` is the source's row as JSON, or the text of a record that is none."""


@dataclass(frozen=True)
class Reading:
    """What a source's table gives: `rows` enter the release; rows of column names and blank lines are dropped; the
    others are set aside for the reasons counted in `reasons` (column, reason, rows). `source` is the digest of what was
    read, `files` are its parts' names."""

    name: str
    rows: int
    source: str
    files: tuple[str, ...] = ()
    header_rows: int = 0
    blank_rows: int = 0
    set_aside: int = 0
    reasons: tuple[tuple[str, str, int], ...] = ()
    missing_columns: tuple[str, ...] = ()
    unknown_columns: tuple[str, ...] = ()
    set_aside_digest: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the reading as the manifest keeps it."""
        return {
            "name": self.name,
            "rows": self.rows,
            "source": self.source,
            "files": list(self.files),
            "header_rows": self.header_rows,
            "blank_rows": self.blank_rows,
            "set_aside": self.set_aside,
            "set_aside_digest": self.set_aside_digest,
            "reasons": [{"column": name, "reason": why, "rows": rows} for name, why, rows in self.reasons],
            "missing_columns": list(self.missing_columns),
            "unknown_columns": list(self.unknown_columns),
        }


def place_of(folder: Path, table: str) -> Path:
    """Return the file of a table's rows set aside, in a release's folder."""
    return folder / "set_aside" / f"{table}.parquet"


def write(connection: Any, judged: Judged, folder: Path) -> Reading:
    """Write a table's rows into a release's folder; return what was read.

    Raises `Unavailable` (`release.source_changed`) where the source no longer holds the rows that were counted,
    `InvalidInput` (`release.unreadable`) where it cannot be read to its end.
    """
    plan = judged.plan
    try:
        with answering(plan.model.name):
            return _write(connection, judged, folder)
    finally:
        for table in (_KEYS, _REPEATS):
            connection.execute(f"DROP TABLE IF EXISTS {table}").fetchall()


def _write(connection: Any, judged: Judged, folder: Path) -> Reading:
    plan = judged.plan
    good, headers, blanks, broken = _counts(connection, judged)
    repeated, surplus = _repeats(connection, judged) if good else (False, 0)
    rows = _write_good(connection, judged, folder, repeated=repeated, expected=good - surplus)
    reading = Reading(
        plan.model.name,
        rows,
        plan.source.digest,
        plan.source.files,
        header_rows=headers,
        blank_rows=blanks,
        missing_columns=plan.missing,
        unknown_columns=plan.unknown,
    )
    left = broken + surplus + judged.ragged_rows or judged.kept_aside is not None
    return _write_aside(connection, judged, reading, folder, repeated=repeated) if left else reading


def _counts(connection: Any, judged: Judged) -> tuple[int, int, int, int]:
    why = column(WHY)
    none = [count_if(call("coalesce", equal(why, text(what)), exp.Boolean(this=False))) for what in (HEADER, BLANK)]
    query = select(call("count"), count_if(is_null(why)), *none, source=judged.rows)
    total, good, headers, blanks = (int(each or 0) for each in connection.execute(render(query)).fetchone())
    return good, headers, blanks, total - good - headers - blanks


def _repeats(connection: Any, judged: Judged) -> tuple[bool, int]:
    """Find rows that share an id; return whether there are any, and how many of them are set aside."""
    model = judged.plan.model
    if model.key is None:
        return False, 0
    key = column(model.key)
    keys = select(key, source=judged.good, group=key).having(
        exp.GT(this=call("count"), expression=number(1)), copy=False
    )
    made = connection.execute(f"CREATE TEMP TABLE {_KEYS} AS {render(keys)}").fetchone()
    if not made or not made[0]:
        return False, 0
    fields = [column(name) for name in model.names]
    copy_number = over(call("row_number"), fields, [column(FILE), column(LINE)])
    theirs = both(is_null(column(WHY)), _has_repeated_key(key))
    rows = select(*fields, column(FILE), column(LINE), named(copy_number, "copy"), source=judged.rows, where=theirs)
    variants = over(count_if(equal(column("copy"), number(1))), [key])
    query = select(exp.Star(), named(variants, "variants"), source=rows)
    connection.execute(f"CREATE TEMP TABLE {_REPEATS} AS {render(query)}").fetchall()
    surplus = select(call("count"), source=exp.to_table(_REPEATS), where=negate(_stays(model.name)))
    return True, int(connection.execute(render(surplus)).fetchone()[0])


def _has_repeated_key(key: Node) -> Node:
    return exp.In(this=key, query=exp.Subquery(this=select(column(key.name), source=exp.to_table(_KEYS))))


def _stays(table: str) -> Node:
    """Return the condition of a row of a repeated id that stays."""
    first = equal(column("copy"), number(1))
    return both(first, equal(column("variants"), number(1))) if table in REFERRED else first


def _write_good(connection: Any, judged: Judged, folder: Path, *, repeated: bool, expected: int) -> int:
    model = judged.plan.model
    fields = [column(name) for name in model.names]
    parts: list[exp.Query] = [judged.kept] if judged.kept is not None else []
    if expected and repeated:
        alone = both(is_null(column(WHY)), negate(_has_repeated_key(column(str(model.key)))))
        parts.append(select(*fields, source=judged.rows, where=alone))
        parts.append(select(*fields, source=exp.to_table(_REPEATS), where=_stays(model.name)))
    elif expected:
        parts.append(judged.good)
    several = repeated or judged.kept is not None
    query = tables.ordered(select(exp.Star(), source=union(parts)), model, repeated=several) if parts else None
    rows = tables.copy(connection, query or tables.empty(model), folder / "tables" / f"{model.name}.parquet")
    if judged.kept is None and rows != expected:
        raise Unavailable("release.source_changed", table=model.name)
    return rows


def _write_aside(connection: Any, judged: Judged, reading: Reading, folder: Path, *, repeated: bool) -> Reading:
    why = column(WHY)
    broken = both(not_null(why), negate(either(equal(why, text(HEADER)), equal(why, text(BLANK)))))
    parts: list[exp.Query] = [_aside(FILE, LINE, why, column(WHOSE), column(ROW), judged.rows, broken)]
    if judged.kept_aside is not None:
        parts.append(judged.kept_aside)
    if judged.ragged is not None:
        nobody, ragged = cast(exp.Null(), "VARCHAR"), scan("read_parquet", judged.ragged)
        parts.append(_aside("file", "line", text("*: ragged"), nobody, column("text"), ragged, None))
    if repeated:
        parts.append(_repeated_aside(judged))
    query = select(exp.Star(), source=union(parts))
    by = [exp.Ordered(this=column(name)) for name in ("file", "line", "reason", "row")]
    query.set("order", exp.Order(expressions=by))
    path = place_of(folder, reading.name)
    rows = tables.copy(connection, query, path)
    if not rows:
        path.unlink()
        return reading
    digest = content_digest(path, connection)
    return replace(reading, set_aside=rows, reasons=reasons(connection, path), set_aside_digest=digest)


def _aside(file: str, line: str, why: Node, whose: Node, row: Node, source: Any, where: Node | None) -> exp.Select:
    values = (column(file), column(line), why, whose, row)
    return select(*(named(v, name) for v, name in zip(values, COLUMNS, strict=True)), source=source, where=where)


def _repeated_aside(judged: Judged) -> exp.Select:
    model = judged.plan.model
    copied = exp.GT(this=column("copy"), expression=number(1))
    why = exp.Case(
        ifs=[exp.If(this=copied, true=text(f"{model.key}: copy"))], default=text(f"{model.key}: id_repeated")
    )
    whose = cast(column("person_id") if model.has_person else exp.Null(), "VARCHAR")
    present = [each.field.name for each in judged.plan.casts if each.raw is not None]
    row = tables.as_json([(name, column(name)) for name in present])
    return _aside(FILE, LINE, why, whose, row, exp.to_table(_REPEATS), negate(_stays(model.name)))


def reasons(connection: Any, path: Path) -> tuple[tuple[str, str, int], ...]:
    """Count the reasons of a file of rows set aside: (column, reason, rows)."""
    each = named(call("unnest", call("string_split", column("reason"), text("; "))), "each")
    parts = [call("split_part", column("each"), text(": "), number(place)) for place in (1, 2)]
    listed = select(each, source=scan("read_parquet", path))
    query = select(*parts, call("count"), source=listed).group_by(*parts, copy=False)
    found = connection.execute(render(query)).fetchall()
    return tuple(sorted((str(name), str(why), int(rows)) for name, why, rows in found))
