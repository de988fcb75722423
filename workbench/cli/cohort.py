"""`workbench cohort`: one definition, seen several ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.batch import Batch
from workbench.cli.common import (
    As,
    Home,
    Json,
    complain,
    give,
    language,
    number,
    opened,
    progress_bar,
    table,
    tell,
    words,
)
from workbench.cli.release_text import counted_by
from workbench.cohorts.attrition import AttritionRow
from workbench.cohorts.circe import Definition
from workbench.kernel.errors import UserError
from workbench.kernel.progress import Progress, silent
from workbench.kernel.text import Lang
from workbench.services import own_data, reading

if TYPE_CHECKING:
    from workbench.services.cohorts import CohortView, Step, Versions

app = typer.Typer(no_args_is_help=True, help="Cohort definitions (Circe JSON): generate, count, explain.")
Files = Annotated[list[Path], typer.Argument(help="Circe JSON files or folders, or names of shipped cohorts.")]
Database = Annotated[
    str | None,
    typer.Option("--database", help="Your own OMOP data: a DuckDB file, a Parquet folder, a postgresql:// URL."),
]
Engine = Annotated[str, typer.Option("--engine", help="The engine of --database: duckdb, postgres or spark.")]


@app.command("generate")
def generate(
    files: Files,
    database: Database = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --database: where the rows go (.parquet, .csv).")
    ] = None,
    engine: Engine = "duckdb",
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> int:
    """Generate definitions, all in one batch: in the home, or (--database --out) on your own data."""
    if database is not None:
        return _generate_own(database, engine, out, *reading.read_batch(files), as_json)
    batch = Batch(files)
    with progress_bar(words("generating")) as progress:
        made, rule = _in_home(home, as_name, batch.definitions, progress)
    batch.add(made.failed)
    views = made.kept
    give(as_json, [{"id": v.id, "digest": v.digest, "state": "generated", **asdict(v)} for v in views])
    if not as_json:
        for view in views:
            show(view)
        tell(f"\n{rule}")
    return batch.close(as_json)


def _in_home(
    home: Path | None, as_name: str | None, definitions: dict[str, Definition], progress: Progress = silent
) -> tuple[Versions, str]:
    from workbench.services import cohorts  # noqa: PLC0415 - one's own data needs no store, which is slow to import

    with opened(home, as_name) as (wb, actor):
        return cohorts.generate_each(wb, actor, definitions, progress), counted_by(wb, actor)


def _counted_in_home(home: Path | None, as_name: str | None, batch: Batch) -> tuple[dict[str, tuple[Step, ...]], str]:
    from workbench.services.counting import LiveCounter  # noqa: PLC0415 - one's own data needs no store

    with opened(home, as_name) as (wb, actor):
        counter = LiveCounter(wb)
        try:
            steps = batch.each(lambda definition: counter.count(actor, definition))
        finally:
            counter.close()
        return steps, counted_by(wb, actor)


def _generate_own(
    database: str, engine: str, out: Path | None, definitions: Any, unreadable: dict[str, Any], as_json: bool
) -> int:
    if out is None:
        raise typer.BadParameter(words("out_needed"))
    with progress_bar(words("generating")) as progress:
        made = own_data.generate_own(database, engine, definitions, out, progress)
    failed = {**unreadable, **made.failed}
    state = "partial" if failed else "done"
    give(as_json, {"id": str(out), "state": state, "persons": made.persons, "failed": _report(failed)})
    if not as_json:
        table((words("cohort"), words("persons"), words("events")), _counts(made))
        for name, error in failed.items():
            complain(error, False, name)
    return 1 if failed else 0


def _report(failed: Mapping[str, UserError]) -> dict[str, dict[str, str]]:
    return {name: {"error": error.code, "text": str(error.text(language()))} for name, error in failed.items()}


def _counts(made: own_data.OwnRows) -> list[tuple[str, str, str]]:
    return [(name, number(made.persons[name]), number(made.events[name])) for name in made.persons]


@app.command("count")
def count(
    files: Files, database: Database = None, engine: Engine = "duckdb",
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> int:  # fmt: skip
    """Count the persons and events of definitions: governed in the home, exact on your own --database."""
    batch = Batch(files)
    if database is not None:
        return _count_own(database, engine, batch, as_json)
    steps, rule = _counted_in_home(home, as_name, batch)
    last = {name: rows[-1] for name, rows in steps.items()}
    counted = [
        {"id": name, "digest": batch.definitions[name].digest, "state": "counted", "persons": row.persons.value}
        for name, row in last.items()
    ]
    give(as_json, counted)
    if not as_json:
        rows = [(name, shown(row.persons), shown(row.events)) for name, row in last.items()]
        table((words("cohort"), words("persons"), words("events")), rows)
        tell(rule)
    return batch.close(as_json)


def _count_own(database: str, engine: str, batch: Batch, as_json: bool) -> int:
    opened_engine = own_data.own_engine(database, engine)
    try:
        made = own_data.count_own(opened_engine, batch.definitions)
    finally:
        opened_engine.close()
    batch.add(made.failed)
    give(as_json, {"persons": made.persons, "events": made.events, "failed": _report(batch.failed)})
    if as_json:
        return 1 if batch.failed else 0
    table((words("cohort"), words("persons"), words("events")), _counts(made))
    return batch.close(as_json)


@app.command("attrition")
def attrition(
    files: Files, database: Database = None, engine: Engine = "duckdb",
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> int:  # fmt: skip
    """Show who is lost at each step, in persons and events, and who would be in without each rule."""
    batch = Batch(files)
    if database is None:
        governed, rule = _counted_in_home(home, as_name, batch)
        give(as_json, {name: [asdict(step) for step in rows] for name, rows in governed.items()})
        if not as_json:
            for name, rows in governed.items():
                tell(f"\n{name}")
                _governed(rows)
            tell(f"\n{rule}")
        return batch.close(as_json)
    opened_engine = own_data.own_engine(database, engine)
    try:
        steps = batch.each(lambda definition: own_data.attrition_own(opened_engine, definition))
    finally:
        opened_engine.close()
    give(as_json, {name: [asdict(step) for step in rows] for name, rows in steps.items()})
    if not as_json:
        for name, rows in steps.items():
            tell(f"\n{name}")
            _exact(rows)
    return batch.close(as_json)


def _exact(rows: list[AttritionRow]) -> None:
    lang = language()
    lines = [
        (row.label_fr if lang == "fr" else row.label_en, number(row.persons), number(row.events),
         "–" if row.persons_without is None else number(row.persons_without))
        for row in rows
    ]  # fmt: skip
    table([words(name) for name in ("step", "persons", "events", "without")], lines)
    if any(row.persons_without is not None for row in rows):
        tell(words("without_note"))


@app.command("describe")
def describe(
    files: Files,
    lang: Annotated[str, typer.Option("--lang", help="fr or en.")] = "",
    as_json: Json = False,
    home: Home = None,  # noqa: ARG001 - every verb takes --home
) -> int:
    """Say each definition in one sentence."""
    chosen: Lang = reading.language(lang) if lang else language()
    batch = Batch(files)
    sentences = batch.each(lambda definition: reading.describe(definition, chosen))
    give(as_json, sentences, *(f"{name}: {text}" for name, text in sentences.items()))
    return batch.close(as_json)


@app.command("sql")
def sql(
    files: Files,
    dialect: Annotated[str, typer.Option("--dialect", help="duckdb, postgres or spark.")] = "duckdb",
    schema: Annotated[str, typer.Option("--schema", help="Where the OMOP tables are; else main (DuckDB) or cdm.")] = "",
    as_json: Json = False,
    home: Home = None,  # noqa: ARG001 - every verb takes --home
) -> int:
    """Print each definition as SQL that runs as it is."""
    known = reading.dialect(dialect)
    batch = Batch(files)
    texts = batch.each(lambda definition: reading.sql(definition, known, schema))
    give(as_json, texts, *texts.values())
    return batch.close(as_json)


@app.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(help="A definition: a file, or the name of a shipped cohort.")],
    after: Annotated[Path, typer.Argument(help="The definition to compare it with.")],
    lang: Annotated[str, typer.Option("--lang", help="fr or en.")] = "",
    as_json: Json = False,
    home: Home = None,  # noqa: ARG001 - every verb takes --home
) -> None:
    """Say in words what differs between two definitions."""
    chosen: Lang = reading.language(lang) if lang else language()
    first, second = (reading.read_one(path) for path in (before, after))
    lines = reading.diff(first, second, chosen)
    state = "same" if first.digest == second.digest else "different"
    give(as_json, {"id": "diff", "state": state, "changes": lines}, *lines)


def show(view: CohortView) -> None:
    """Print a cohort version: its sentence and its governed attrition."""
    tell(f"\n{view.id}  {view.title}")
    tell(view.sentence[language()])
    _governed(view.attrition)


def _governed(steps: Sequence[Step]) -> None:
    lang = language()
    rows = [
        (
            step.label[lang],
            shown(step.persons),
            shown(step.events),
            "–" if step.without is None else shown(step.without),
        )
        for step in steps
    ]
    table([words(name) for name in ("step", "persons", "events", "without")], rows)
    if any(step.without is not None for step in steps):
        tell(words("without_note"))


def shown(number: Any) -> str:
    """Return a governed number in the terminal's language."""
    return number.text_fr if language() == "fr" else number.text_en


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    from workbench.cli import diagnose, explain, own  # noqa: F401, PLC0415 - their verbs join the group

    root.add_typer(app, name="cohort")
