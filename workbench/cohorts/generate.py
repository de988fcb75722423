"""Cohort definitions → rows: a batch at once, on any engine. Pure: no store, no audit, no policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from workbench.cohorts.circe import Definition
from workbench.cohorts.compile import CohortScript, Script, compile_batch
from workbench.cohorts.plan import Exclude, Plan
from workbench.cohorts.requirements import check_tables
from workbench.engines import sql
from workbench.engines.base import Engine
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
    """The rows of all cohorts, sorted by all four columns, how many persons and rows each cohort has (by name), and the
    definitions that could not be run, with the reason."""

    rows: pa.Table
    counts: Mapping[str, tuple[int, int]]
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
) -> Generated:
    """Run definitions as one batch and return their rows (`cohort, subject_id, cohort_start_date, cohort_end_date`).

    `exclude` is a table with `person_id` of persons to leave out of every cohort (oppositions). A definition that
    cannot be run is named in `failed`; the others still run. Raises Stopped where `progress` or the engine was told
    to stop, Unavailable where the engine fails on what all definitions share.
    """
    plans, failed = plans_of(engine, definitions, exclude)
    script = compile_batch(plans)
    tables: dict[str, pa.Table] = {}
    persons: dict[str, int] = {}
    try:
        prepare(engine, script, part(progress, 0.0, 0.6), exclude)
        for at, (name, cohort) in enumerate(script.cohorts.items()):
            progress(0.6 + 0.4 * at / len(script.cohorts), name)
            try:
                tables[name], persons[name] = _rows(engine, name, cohort)
            except Stopped:
                raise
            except UserError as error:
                failed[name] = error
    finally:
        clean(engine, script)
    progress(1.0, "")
    rows = pa.concat_tables([tables[name] for name in sorted(tables)] or [ROWS.empty_table()])
    return Generated(rows, {name: (persons[name], tables[name].num_rows) for name in tables}, failed)


def _rows(engine: Engine, name: str, cohort: CohortScript) -> tuple[pa.Table, int]:
    """Run one definition's own steps and return its rows and persons; its work tables are gone afterwards."""
    try:
        for step in cohort.steps:
            engine.materialise(step)
        columns = sql.columns("c", "subject_id", "cohort_start_date", "cohort_end_date")
        by = [column.copy() for column in columns.values()]
        chosen = {"cohort": sql.cast(sql.text(name), "TEXT"), **columns}
        found = engine.fetch(sql.select(chosen, sql.work_table(cohort.cohort, "c"), by=by))
        persons = sql.count_distinct(sql.col("c", "subject_id"))
        counted = engine.fetch(sql.select({"persons": persons}, sql.work_table(cohort.cohort, "c")))
    finally:
        for step in cohort.steps:
            engine.drop(step.name)
    return found if found.schema.equals(ROWS) else found.cast(ROWS), int(counted["persons"][0].as_py())


def plans_of(
    engine: Engine, definitions: Mapping[str, Definition], exclude: pa.Table | None
) -> tuple[dict[str, Plan], dict[str, UserError]]:
    """Return the plans that can run on this engine, and the reason for each definition that cannot."""
    plans: dict[str, Plan] = {}
    failed: dict[str, UserError] = {}
    for name, definition in definitions.items():
        try:
            plan = definition.plan
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
