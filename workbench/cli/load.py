"""`workbench load`: data in, as a new release."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import release_text
from workbench.cli.common import As, Home, Json, give, language, opened, progress_bar, settings_of, words
from workbench.kernel.errors import InvalidInput
from workbench.kernel.text import say

if TYPE_CHECKING:
    from workbench.governance.actors import Actor
    from workbench.services.context import Workbench
    from workbench.services.releases import ReleaseView

app = typer.Typer(no_args_is_help=True, help="Load data as a new, immutable release.")
SOURCE = "A folder of CSV or Parquet files, a DuckDB file, or postgresql://user@host/database?schema=NAME."


@app.callback()
def group() -> None:
    """Load data as a new, immutable release."""


@app.command("omop")
def omop(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    name: Annotated[str, typer.Option("--name", help="The release's name (else the source's).")] = "",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="The people in it are invented.")] = False,
    tables: Annotated[str, typer.Option("--tables", help="Only these tables, with commas between them.")] = "",
    observation_period: Annotated[
        str,
        typer.Option(
            "--observation-period",
            help="When a person is observed: auto (as recorded, else from first to last record), recorded,"
            " first-to-last-record, first-record-to-extraction, records-within-days:DAYS.",
        ),
    ] = "auto",
    extracted_on: Annotated[
        str, typer.Option("--extracted-on", help="The day of extraction; rows that begin after it are set aside.")
    ] = "",
    decimal_comma: Annotated[
        bool, typer.Option("--decimal-comma", help="Numbers such as 1,5 in text files are decimals.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again, also what did not change since the last load.")
    ] = False,
    keep_vocabulary: Annotated[
        bool,
        typer.Option("--keep-vocabulary", help="Keep the current release's vocabulary where the source has none."),
    ] = False,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Load OMOP CDM tables (5.3 or 5.4). What did not change since the last load is taken over from it.

    A new home is made where there is none; who makes it becomes its data steward.
    """
    from workbench.services import people  # noqa: PLC0415 - help needs none of it
    from workbench.services.context import open_workbench  # noqa: PLC0415
    from workbench.services.releases import Options  # noqa: PLC0415

    wanted = tuple(part.strip().lower() for part in tables.split(",") if part.strip())
    options = Options(wanted, observation_period, _day(extracted_on), decimal_comma)
    wb = open_workbench(settings_of(home), create=True)
    try:
        actor = people.acting_as(wb, as_name) if as_name else people.first_steward(wb)
        choices = {"full": full, "keep_vocabulary": keep_vocabulary}
        view = load(wb, actor, source, name=name, synthetic=synthetic, options=options, **choices)
    finally:
        wb.close()
    give(as_json, {"id": view.id, "digest": view.digest, "state": "current", "release": asdict(view)})
    if not as_json:
        release_text.show(view)


def load(wb: Workbench, actor: Actor, source: str, **choices: Any) -> ReleaseView:
    """Load with a progress bar; `choices` are those of the service."""
    from workbench.services import releases  # noqa: PLC0415

    with progress_bar(words("loading", name=choices["name"] or releases.name_of(source))) as progress:
        return releases.load_omop(wb, actor, source, progress=progress, **choices)


@app.command("athena")
def athena(
    download: Annotated[Path, typer.Argument(help="The folder or the .zip of an Athena vocabulary download.")],
    own_map: Annotated[
        Path | None,
        typer.Option("--source-to-concept-map", help="A hospital's own map of source codes (CSV, as the OMOP table)."),
    ] = None,
    accept_gaps: Annotated[
        bool, typer.Option("--accept-gaps", help="Load it although it lacks concepts that the data use.")
    ] = False,
    name: Annotated[str, typer.Option("--name", help="The new release's name (else the current one's).")] = "",
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Load a vocabulary: a new release with the records of the current one, unchanged, and this vocabulary.

    A hospital's own concepts (ids above 2,000,000,000) stay where the download does not bring their vocabulary again.
    A download that holds own concepts only (CIM-10, CCAM, BDPM, …) is added to the vocabulary that is there.
    """
    from workbench.services import concepts, vocabularies  # noqa: PLC0415 - help needs none of it

    with opened(home, as_name) as (wb, actor):
        with progress_bar(words("loading", name=name or download.stem)) as progress:
            made = vocabularies.load_athena(
                wb,
                actor,
                download,
                name=name or None,
                source_to_concept_map=own_map,
                accept_gaps=accept_gaps,
                progress=progress,
            )
        with progress_bar(say("vocabulary.indexing", language())) as progress:
            concepts.prepare(wb, actor, progress)
    view = made.release
    give(as_json, {"id": view.id, "digest": view.digest, "state": "current", **asdict(made)})
    if not as_json:
        release_text.show_vocabulary(made)


def _day(text: str) -> str | None:
    """Return a day as it was given, checked. Raises `intake.day_wrong`."""
    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError as error:
        raise InvalidInput("intake.day_wrong", day=text) from error


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="load")
