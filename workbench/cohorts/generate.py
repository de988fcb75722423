"""Cohort definitions → rows: a batch at once, on any engine. Pure: no store, no audit, no policy."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp

from workbench.cohorts.attrition import AttritionRow, AttritionStep, attrition_rows
from workbench.cohorts.circe import Definition
from workbench.cohorts.compile import CohortScript, Script, compile_batch
from workbench.cohorts.left import Counts, ExactCounts
from workbench.cohorts.places import places_of
from workbench.cohorts.plan import Exclude, Plan
from workbench.cohorts.requirements import check_tables
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.engines.columns import Form, Numbers
from workbench.kernel.collecting import collecting_later
from workbench.kernel.errors import Stopped, UserError
from workbench.kernel.progress import Progress, part, silent

if TYPE_CHECKING:
    import pyarrow as pa

EXCLUDED = "excluded_persons"
COLUMNS = ("cohort", "subject_id", "cohort_start_date", "cohort_end_date")
_ROW = COLUMNS[1:]


@dataclass(frozen=True)
class Counted:
    """What a batch gave: how many persons and rows each cohort has (by name), the attrition of each where it was asked
    for, and the definitions that could not be run, with the reason."""

    counts: Mapping[str, tuple[int, int]]
    attrition: Mapping[str, list[AttritionStep]]
    failed: Mapping[str, UserError]

    def persons(self, name: str) -> int:
        """Return how many persons a cohort has. Raises KeyError for a definition that could not be run."""
        return self.counts[name][0]


@dataclass(frozen=True)
class Generated(Counted):
    """What a batch gave, with the rows of all cohorts: `cohort` (text), `subject_id` (64 bits), `cohort_start_date` and
    `cohort_end_date` (dates), sorted by all four."""

    rows: pa.Table

    def of(self, name: str) -> pa.Table:
        """Return the rows of one cohort."""
        import pyarrow.compute as pc  # noqa: PLC0415 - a fifth of a second that a batch does not need

        return self.rows.filter(pc.field("cohort") == name)


def generate(
    engine: Engine,
    definitions: Mapping[str, Definition],
    progress: Progress = silent,
    *,
    exclude: pa.Table | None = None,
    explain: bool = False,
    key: bytes | None = None,
) -> Generated:
    """Run definitions as one batch and return their rows.

    `exclude` is a table with `person_id` of persons to leave out of every cohort (oppositions). `explain` asks for the
    attrition too, read from the same work tables; with a `key`, together with the populations behind its numbers.
    A definition that cannot be run is named in `failed`; the others still run. Raises Stopped where `progress` or the
    engine was told to stop, Unavailable where the engine fails on what all definitions share.
    """
    found: list[pa.Table] = []
    counts = _way(engine, key) if explain else None
    made = _batch(engine, definitions, progress, exclude, counts, lambda rows: found.append(engine.fetch(rows)))
    return Generated(made.counts, made.attrition, made.failed, _typed(found[0]))


def generate_to(
    engine: Engine, definitions: Mapping[str, Definition], path: Path, form: Form, progress: Progress = silent
) -> Counted:
    """Run definitions as one batch and have the engine write their rows to a file, as `generate` returns them.

    Raises as `generate` and the engine's `write` do.
    """
    return _batch(engine, definitions, progress, None, None, lambda rows: engine.write(rows, path, form))


def count(engine: Engine, definitions: Mapping[str, Definition]) -> Counted:
    """Run definitions as one batch for their numbers alone. Raises as `generate` does."""
    return _batch(engine, definitions, silent, None, None, lambda _: None)


def _way(engine: Engine, key: bytes | None) -> Counts:
    if key is None:
        return ExactCounts(engine)
    from workbench.cohorts.left_people import PopulationCounts  # noqa: PLC0415 - one's own data need no NumPy

    return PopulationCounts.over(engine, key)


def _batch(
    engine: Engine,
    definitions: Mapping[str, Definition],
    progress: Progress,
    exclude: pa.Table | None,
    explain: Counts | None,
    take: Callable[[exp.Query], None],
) -> Counted:
    """Run a batch and hand the query of all its rows to `take` while its work tables stand."""
    with collecting_later():
        plans, failed = plans_of(engine, definitions, exclude)
        script = compile_batch(plans)
        kept: dict[str, str] = {}
        steps: dict[str, list[AttritionStep]] = {}
        try:
            prepare(engine, script, part(progress, 0.0, 0.6), exclude)
            for at, (name, cohort) in enumerate(script.cohorts.items()):
                progress(0.6 + 0.4 * at / len(script.cohorts), name)
                try:
                    with running(engine, cohort, keep=cohort.cohort):
                        if explain is not None:
                            steps[name] = attrition_rows(explain, plans[name], cohort)
                    kept[name] = cohort.cohort
                except Stopped:
                    raise
                except UserError as error:
                    failed[name] = error
            counts = _counts(engine, kept)
            take(_all_rows(kept, ordered=True))
        finally:
            clean(engine, script)
        progress(1.0, "")
    return Counted(counts, steps, failed)


@contextmanager
def running(engine: Engine, cohort: CohortScript, keep: str = "") -> Generator[None]:
    """Run one definition's own steps; its work tables are there meanwhile, and gone afterwards but for `keep`."""
    try:
        for step in cohort.steps:
            engine.materialise(step)
        yield
    finally:
        for step in cohort.steps:
            if step.name != keep:
                engine.drop(step.name)


def _all_rows(kept: Mapping[str, str], *, ordered: bool = False) -> exp.Select:
    """Return the query of the rows of some cohorts (their tables by name).

    They are ordered by the places of their names, not by the names, which each server would sort in its own way.
    """
    parts = [
        sql.select(
            {"place": sql.number(at), "cohort": sql.cast(sql.text(name), "TEXT"), **sql.columns("c", *_ROW)},
            sql.work_table(kept[name], "c"),
        )
        for at, name in enumerate(sorted(kept))
    ]
    keys = ("place", *_ROW) if ordered else ()
    source = sql.sub(sql.union_all(parts or [_no_rows()]), "u")
    return sql.select(sql.columns("u", *COLUMNS), source, by=[sql.col("u", key) for key in keys])


def _no_rows() -> exp.Select:
    kinds = {"place": "INT", "cohort": "TEXT", "subject_id": "BIGINT", **dict.fromkeys(COLUMNS[2:], "DATE")}
    nothing = {name: sql.null(kind) for name, kind in kinds.items()}
    one = sql.sub(sql.bare_select({"one": sql.number(1)}), "one")
    return sql.select(nothing, one, where=[sql.compare(sql.number(1), "=", sql.number(0))])


def _counts(engine: Engine, kept: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Return the persons and rows of each cohort."""
    numbers = {"persons": sql.count_distinct(sql.col("r", "subject_id")), "events": sql.count_all()}
    chosen = {"cohort": sql.col("r", "cohort"), **numbers}
    found = engine.tuples(sql.select(chosen, sql.sub(_all_rows(kept), "r"), group=[sql.col("r", "cohort")]))
    counted = {str(name): (int(persons), int(events)) for name, persons, events in found}
    return {name: counted.get(name, (0, 0)) for name in kept}


def _typed(found: pa.Table) -> pa.Table:
    """Return rows in the types that are promised, whatever an engine's own are."""
    import pyarrow as pa  # noqa: PLC0415 - a quarter of a second that a batch written to a file does not need

    types = (pa.string(), pa.int64(), pa.date32(), pa.date32())
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    return found if found.schema.equals(schema) else found.cast(schema)


def attrition(engine: Engine, definition: Definition, *, exclude: pa.Table | None = None) -> list[AttritionRow]:
    """Return the attrition of a definition: codes, attributes, observation, criteria, rules in order, limits, cohort.

    Raises InvalidInput where the definition cannot be run, Unavailable or Stopped as engines do.
    """
    plans, failed = plans_of(engine, {definition.name: definition}, exclude)
    for error in failed.values():
        raise error
    script = compile_batch(plans)
    cohort = script.cohorts[definition.name]
    try:
        prepare(engine, script, silent, exclude)
        with running(engine, cohort):
            return [step.row for step in attrition_rows(ExactCounts(engine), plans[definition.name], cohort)]
    finally:
        clean(engine, script)


def plans_of(
    engine: Engine, definitions: Mapping[str, Definition], exclude: pa.Table | None
) -> tuple[dict[str, Plan], dict[str, UserError]]:
    """Return the plans that can run on this engine, and the reason for each definition that cannot."""
    plans: dict[str, Plan] = {}
    failed: dict[str, UserError] = {}
    places = places_of(engine)
    for name, definition in definitions.items():
        try:
            plan = replace(definition.plan, places=places)
            check_tables(plan, engine)
            plans[name] = replace(plan, exclude=Exclude(EXCLUDED)) if exclude is not None else plan
        except UserError as error:
            failed[name] = error
    return plans, failed


def prepare(engine: Engine, script: Script, progress: Progress, exclude: pa.Table | None = None) -> None:
    """Load a batch's tables and run the steps that its definitions share."""
    for name, table in script.loads.items():
        engine.load(name, table)
    if exclude is not None:
        engine.load(EXCLUDED, persons_of(exclude))
    for at, step in enumerate(script.shared):
        progress(at / len(script.shared), step.name)
        engine.materialise(step)


def persons_of(exclude: pa.Table) -> Numbers:
    """Return the persons of a table (`person_id`), each once."""
    return {"person_id": exclude["person_id"].unique().to_pylist()}


def clean(engine: Engine, script: Script) -> None:
    """Drop what a batch shared, and the rows that are still there."""
    rows = (cohort.cohort for cohort in script.cohorts.values())
    for name in (*script.loads, *(step.name for step in script.shared), *rows, EXCLUDED):
        engine.drop(name)
