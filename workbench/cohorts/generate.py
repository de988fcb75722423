"""Cohort definitions → rows: a batch at once, on any engine. Pure: no store, no audit, no policy."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa

from workbench.cohorts.attrition import AttritionRow, AttritionStep, attrition_rows
from workbench.cohorts.circe import Definition
from workbench.cohorts.compile import CohortScript, Script, compile_batch
from workbench.cohorts.left import Counts, ExactCounts, PopulationCounts
from workbench.cohorts.places import places_of
from workbench.cohorts.plan import Exclude, Plan
from workbench.cohorts.requirements import check_tables
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.kernel.collecting import collecting_later
from workbench.kernel.errors import Stopped, UserError
from workbench.kernel.progress import Progress, part, silent

ROWS = pa.schema(
    [
        ("cohort", pa.string()),
        ("subject_id", pa.int64()),
        ("cohort_start_date", pa.date32()),
        ("cohort_end_date", pa.date32()),
    ]
)
EXCLUDED = "excluded_persons"


@dataclass(frozen=True)
class Generated:
    """The rows of all cohorts, sorted by all four columns, how many persons and rows each cohort has (by name), the
    attrition of each where it was asked for, and the definitions that could not be run, with the reason."""

    rows: pa.Table
    counts: Mapping[str, tuple[int, int]]
    attrition: Mapping[str, list[AttritionStep]]
    failed: Mapping[str, UserError]

    def persons(self, name: str) -> int:
        """Return how many persons a cohort has. Raises KeyError for a definition that could not be run."""
        return self.counts[name][0]

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
    """Run definitions as one batch and return their rows (`cohort, subject_id, cohort_start_date, cohort_end_date`).

    `exclude` is a table with `person_id` of persons to leave out of every cohort (oppositions). `explain` asks for the
    attrition too, read from the same work tables; with a `key`, together with the populations behind its numbers.
    A definition that cannot be run is named in `failed`; the others still run. Raises Stopped where `progress` or the
    engine was told to stop, Unavailable where the engine fails on what all definitions share.
    """
    counts: Counts | None = None
    if explain:
        counts = ExactCounts(engine) if key is None else PopulationCounts.over(engine, key)
    with collecting_later():
        return _generated(engine, definitions, progress, exclude, counts)


def _generated(
    engine: Engine, definitions: Mapping[str, Definition], progress: Progress, exclude: pa.Table | None,
    counts: Counts | None,
) -> Generated:  # fmt: skip
    plans, failed = plans_of(engine, definitions, exclude)
    script = compile_batch(plans)
    tables: dict[str, pa.Table] = {}
    persons: dict[str, int] = {}
    steps: dict[str, list[AttritionStep]] = {}
    try:
        prepare(engine, script, part(progress, 0.0, 0.6), exclude)
        for at, (name, cohort) in enumerate(script.cohorts.items()):
            progress(0.6 + 0.4 * at / len(script.cohorts), name)
            try:
                with running(engine, cohort):
                    found, counted = _rows(engine, name, cohort)
                    if counts is not None:
                        steps[name] = attrition_rows(counts, plans[name], cohort)
                tables[name], persons[name] = found, counted
            except Stopped:
                raise
            except UserError as error:
                failed[name] = error
    finally:
        clean(engine, script)
    progress(1.0, "")
    rows = pa.concat_tables([tables[name] for name in sorted(tables)] or [ROWS.empty_table()])
    return Generated(rows, {name: (persons[name], tables[name].num_rows) for name in tables}, steps, failed)


@contextmanager
def running(engine: Engine, cohort: CohortScript) -> Generator[None]:
    """Run one definition's own steps; its work tables are there meanwhile, and gone afterwards."""
    try:
        for step in cohort.steps:
            engine.materialise(step)
        yield
    finally:
        for step in cohort.steps:
            engine.drop(step.name)


def _rows(engine: Engine, name: str, cohort: CohortScript) -> tuple[pa.Table, int]:
    """Return a definition's rows and persons."""
    columns = sql.columns("c", "subject_id", "cohort_start_date", "cohort_end_date")
    by = [column.copy() for column in columns.values()]
    chosen = {"cohort": sql.cast(sql.text(name), "TEXT"), **columns}
    found = engine.fetch(sql.select(chosen, sql.work_table(cohort.cohort, "c"), by=by))
    persons = sql.count_distinct(sql.col("c", "subject_id"))
    counted = engine.fetch(sql.select({"persons": persons}, sql.work_table(cohort.cohort, "c")))
    return found if found.schema.equals(ROWS) else found.cast(ROWS), int(counted["persons"][0].as_py())


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
        engine.load(EXCLUDED, exclude.select(["person_id"]).group_by("person_id").aggregate([]))
    for at, step in enumerate(script.shared):
        progress(at / len(script.shared), step.name)
        engine.materialise(step)


def clean(engine: Engine, script: Script) -> None:
    """Drop what a batch shared."""
    for name in (*script.loads, *(step.name for step in script.shared), EXCLUDED):
        engine.drop(name)
