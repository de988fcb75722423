"""What who loads should know although it stops nothing: which version the source is, what it says twice and
differently, how its text was read. Each notice is a code with facts; its sentences are `release.notice_*`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.intake.nodes import (
    Node,
    below,
    both,
    call,
    cast,
    column,
    count_if,
    equal,
    named,
    negate,
    not_null,
    number,
    render,
    scan,
    select,
    text,
)
from workbench.intake.sources import Source
from workbench.repository.cdm import RECORDS, RENAMED, TABLES

_READ = re.compile(r"\D*(5\.[34])\b")
_NEW_TABLES = ("episode", "episode_event")


def source_version(connection: Any, opened: Source, files: Mapping[str, Path]) -> dict[str, str | None]:
    """Return the model's version as the source states it (`cdm_source`) and as its names tell (5.3, 5.4 or unknown)."""
    return {"stated": _stated(connection, files, "cdm_version"), "by_names": _by_names(opened)}


def _by_names(opened: Source) -> str | None:
    old, new = False, any(name in opened.tables for name in _NEW_TABLES)
    for name, renamed in RENAMED.items():
        columns = opened.tables[name].columns if name in opened.tables else {}
        old = old or any(each in columns for each in renamed)
        new = new or any(each in columns for each in renamed.values())
    return None if old == new else "5.3" if old else "5.4"


def vocabulary_version(connection: Any, files: Mapping[str, Path]) -> str | None:
    """Return the vocabulary's own version (its row 'None'), else the one that the source declares."""
    return _own_vocabulary(connection, files) or _stated(connection, files, "vocabulary_version")


def _own_vocabulary(connection: Any, files: Mapping[str, Path]) -> str | None:
    if "vocabulary" not in files:
        return None
    itself = equal(column("vocabulary_id"), text("None"))
    query = select(column("vocabulary_version"), source=scan("read_parquet", files["vocabulary"]), where=itself)
    return _text(connection, query)


def _stated(connection: Any, files: Mapping[str, Path], name: str) -> str | None:
    """Return what `cdm_source` states; of several rows, as merged sources have, the last by its text."""
    if "cdm_source" not in files:
        return None
    return _text(connection, select(call("max", column(name)), source=scan("read_parquet", files["cdm_source"])))


def _text(connection: Any, query: exp.Query) -> str | None:
    row = connection.execute(render(query)).fetchone()
    return str(row[0]) if row and row[0] else None


def notices(
    connection: Any, opened: Source, files: Mapping[str, Path], extracted_on: str | None
) -> list[dict[str, Any]]:
    """Return the notices of a load: code and facts."""
    found = [*_versions(connection, opened, files), *of_vocabulary(connection, files), *of_encodings(opened)]
    if extracted_on is None:
        found += after_release(connection, files)
    return found


def _versions(connection: Any, opened: Source, files: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    version = source_version(connection, opened, files)
    stated, by_names = version["stated"], version["by_names"]
    read = _READ.match(stated) if stated else None
    if stated and read is None:
        yield {"code": "cdm_version_other", "stated": stated}
    elif read and by_names and read[1] != by_names:
        yield {"code": "cdm_version_disagrees", "stated": str(stated), "by_names": by_names}


def of_vocabulary(connection: Any, files: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    """Yield where a vocabulary does not fit: another version than stated, or records of concepts that it lacks."""
    own, stated = _own_vocabulary(connection, files), _stated(connection, files, "vocabulary_version")
    if own and stated and own != stated:
        yield {"code": "vocabulary_version_disagrees", "own": own, "stated": stated}
    if "concept" not in files:
        yield {"code": "vocabulary_absent"}
        return
    for name in RECORDS:
        concept = TABLES[name].standard_concept
        if name in files and concept:
            rows, lost = _unknown(connection, files, name, concept)
            if lost * 10 > rows:
                yield {"code": "vocabulary_does_not_fit", "table": name, "column": concept, "rows": lost, "of": rows}


def _unknown(connection: Any, files: Mapping[str, Path], name: str, concept: str) -> tuple[int, int]:
    """Return how many records have a concept, and of how many the vocabulary lacks it."""
    value: Node = column(concept)
    used = select(
        named(value, "concept"),
        named(call("count"), "rows"),
        source=scan("read_parquet", files[name]),
        where=both(not_null(value), negate(equal(value, number(0)))),
        group=value,
    )
    known = exp.Subquery(this=select(column("concept_id"), source=scan("read_parquet", files["concept"])))
    is_known = exp.In(this=column("concept"), query=known)
    lost = exp.Case(ifs=[exp.If(this=negate(is_known), true=column("rows"))], default=number(0))
    query = select(call("sum", column("rows")), call("sum", lost), source=used)
    return _pair(connection, query)


def of_encodings(opened: Source) -> Iterator[dict[str, Any]]:
    """Yield the files of a source that are not UTF-8, and as what they were read."""
    for each in opened.origin:
        if each.get("encoding", "utf-8") != "utf-8":
            yield {"code": "encoding", "file": each["name"], "encoding": each["encoding"]}


def after_release(connection: Any, files: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    """Yield records that begin after the day on which the source says that it was released."""
    if "cdm_source" not in files:
        return
    day = call("max", column("source_release_date"))
    released = _text(connection, select(cast(day, "VARCHAR"), source=scan("read_parquet", files["cdm_source"])))
    for name in RECORDS if released else ():
        start = TABLES[name].start_date
        if name in files and start:
            late = count_if(below(cast(text(str(released)), "DATE"), column(start)))
            rows, later = _pair(connection, select(call("count"), late, source=scan("read_parquet", files[name])))
            if later:
                yield {"code": "after_release", "table": name, "rows": later, "of": rows, "released": str(released)}


def _pair(connection: Any, query: exp.Query) -> tuple[int, int]:
    first, second = connection.execute(render(query)).fetchone()
    return int(first or 0), int(second or 0)
