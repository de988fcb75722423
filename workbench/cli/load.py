"""`workbench load`: data in, as a new release."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, give, number, progress_bar, settings_of, table, tell, words
from workbench.governance.actors import Actor
from workbench.services import people, releases
from workbench.services.context import Workbench, open_workbench
from workbench.services.releases import ReleaseView

FEW = 6
app = typer.Typer(no_args_is_help=True, help="Load data as a new, immutable release.")


@app.callback()
def group() -> None:
    """Load data as a new, immutable release."""


@app.command("omop")
def omop(
    source: Annotated[Path, typer.Argument(help="A DuckDB file, or a folder of Parquet or CSV files.")],
    name: Annotated[str, typer.Option("--name", help="The release's name (else the source's).")] = "",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="The people in it are invented.")] = False,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Load OMOP CDM tables. A new home is made where there is none; who makes it becomes its data steward."""
    wb = open_workbench(settings_of(home), create=True)
    try:
        actor = people.acting_as(wb, as_name) if as_name else people.first_steward(wb)
        view = load(wb, actor, source, name=name or source.stem, synthetic=synthetic)
    finally:
        wb.close()
    give(as_json, {"id": view.id, "digest": view.digest, "state": "current", "release": asdict(view)})
    if not as_json:
        show(view)


def load(wb: Workbench, actor: Actor, source: Path, *, name: str, synthetic: bool) -> ReleaseView:
    """Load with a progress bar."""
    with progress_bar(words("loading", name=name)) as progress:
        return releases.load_omop(wb, actor, source, name=name, synthetic=synthetic, progress=progress)


def show(view: ReleaseView) -> None:
    """Print a release for people: its id, rows, quality and observation-period rule."""
    tell(words("release", id=view.id, name=view.name, digest=view.digest))
    if view.synthetic:
        tell(words("synthetic"))
    rows = [(name, number(count)) for name, count in view.rows.items() if count]
    table((words("table"), words("rows")), rows)
    for line in summary(view):
        tell(line)


def summary(view: ReleaseView) -> list[str]:
    """Return a release's quality and its observation-period rule as sentences."""
    checks = view.quality["summary"]
    rule = view.observation_period_rule
    failed = [f"{c['table']}.{c['column']} {c['check']}" for c in view.quality["checks"] if c["status"] == "failed"]
    lines = [
        words("quality", passed=checks["passed"], failed=checks["failed"], not_applicable=checks["not_applicable"])
    ]
    if failed:
        lines.append(words("quality_failed", checks=", ".join(failed[:FEW]), more=max(0, len(failed) - FEW)))
    return [*lines, words("observation_period", rule=words(f"rule_{rule['code']}", count=number(rule["periods"])))]


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="load")
