"""Names for the groups of a declared table: people read concepts by name, not by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

LONGEST: Final = 100
"""Letters of a label (`output_declaration`)."""


def with_labels(document: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return a declaration whose groups of concepts have the names that the extract gives them.

    Labels that are declared stay. Of concepts with one name each has its id beside it: one label would be one group.
    """
    columns = {name: _named(each, tables) for name, each in document.get("columns", {}).items()}
    return {**document, "columns": columns} if columns else dict(document)


def _named(column: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    of = column.get("of", "")
    groups_concepts = column.get("role") == "group" and str(of).endswith("_concept_id") and "labels" not in column
    concepts = tables.get("concept")
    if not groups_concepts or concepts is None:
        return dict(column)
    used = {concept for table in tables.values() if of in table.columns for concept in table[of].unique()}
    pairs = concepts.select("concept_id", "concept_name").iter_rows()
    names: dict[int, str] = {concept: name for concept, name in pairs if concept in used}
    often = Counter(names.values())
    labels = {str(concept): _label(name, concept if often[name] > 1 else None) for concept, name in names.items()}
    return {**column, "labels": dict(sorted(labels.items()))} if labels else dict(column)


def _label(name: str, concept: int | None) -> str:
    beside = "" if concept is None else f" ({concept})"
    room = LONGEST - len(beside)
    return (name if len(name) <= room else f"{name[: room - 1]}…") + beside
