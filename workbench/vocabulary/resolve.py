"""Which concepts some sets hold, on one release."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.vocabulary.concept_sets import SETS, ConceptSet, needs, steps, uploads


def resolve(engine: Engine, wanted: Iterable[ConceptSet]) -> dict[ConceptSet, frozenset[int]]:
    """Return the concept ids of each set; empty for sets whose vocabulary tables the database lacks.

    All sets are resolved in one pass, by the very steps that cohorts use. Raises Unavailable or Stopped as engines do.
    """
    sets = {each: at for at, each in enumerate(dict.fromkeys(wanted), 1)}
    if not sets or not all(engine.columns(table) for table in needs(sets)):
        return {each: frozenset() for each in sets}
    loads, made = uploads(sets), steps(sets)
    try:
        for name, rows in loads.items():
            engine.load(name, rows)
        for step in made:
            engine.materialise(step)
        found = engine.fetch(sql.select(sql.columns("s", "set_id", "concept_id"), sql.work_table(SETS, "s")))
    finally:
        for name in (*loads, *(step.name for step in made)):
            engine.drop(name)
    return {each: _members(found, number) for each, number in sets.items()}


def _members(found: pa.Table, number: int) -> frozenset[int]:
    return frozenset(found.filter(pc.equal(found["set_id"], number))["concept_id"].to_pylist())
