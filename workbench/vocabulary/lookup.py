"""What some concepts are called, on one release."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workbench.engines import sql
from workbench.engines.base import Engine

_ASKED = "asked_concepts"
_COLUMNS = ("concept_id", "concept_name", "concept_code", "vocabulary_id", "domain_id", "standard_concept",
            "invalid_reason")  # fmt: skip


@dataclass(frozen=True)
class Concept:
    """One concept of the vocabulary; `standard` is S, C (a class) or empty."""

    id: int
    name: str
    code: str
    vocabulary: str
    domain: str
    standard: str
    invalid: bool


def look_up(engine: Engine, ids: Iterable[int]) -> dict[int, Concept]:
    """Return the concepts of these ids that the release has, by id; raises as engines do."""
    wanted = sorted(set(ids))
    present = engine.columns("concept")
    if not wanted or not present:
        return {}
    engine.load(_ASKED, {"concept_id": wanted})
    try:
        joins = [sql.join(sql.work_table(_ASKED, "a"), sql.same("a", "c", "concept_id"))]
        columns = {name: sql.col("c", name) if name in present else sql.null("TEXT") for name in _COLUMNS}
        rows = engine.fetch(sql.select(columns, sql.cdm_table("concept", "c"), joins=joins)).to_pylist()
    finally:
        engine.drop(_ASKED)
    return {
        row["concept_id"]: Concept(
            row["concept_id"],
            row["concept_name"] or "",
            row["concept_code"] or "",
            row["vocabulary_id"] or "",
            row["domain_id"] or "",
            row["standard_concept"] or "",
            bool(row["invalid_reason"]),
        )
        for row in rows
    }
