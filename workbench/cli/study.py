"""`workbench study`: protocols, from draft to open."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, Reason, give, opened, read_json, state, table, tell, words
from workbench.services import studies
from workbench.services.studies import StudyView

app = typer.Typer(no_args_is_help=True, help="Studies: create, open, list, show.")
Name = Annotated[str, typer.Argument(help="The study's name.")]


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(help='A protocol as JSON; its `release` may be "current".')],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Keep a draft protocol; until it is opened the study is a feasibility space: aggregates only."""
    with opened(home, as_name) as (wb, actor):
        _made(studies.create_study(wb, actor, read_json(file)), as_json)


@app.command("open")
def open_(
    study: Name,
    protocol: Annotated[str, typer.Option("--protocol", help="The digest of the protocol that you read.")],
    reason: Reason,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Open a draft study, as the ethics officer, on exactly the protocol that was read."""
    with opened(home, as_name) as (wb, actor):
        _made(studies.open_study(wb, actor, study, protocol_digest=protocol, reason=reason), as_json)


def _made(view: StudyView, as_json: bool) -> None:
    text = words("study", id=view.id, state=state(view.state), title=view.title, digest=view.digest)
    give(as_json, asdict(view), text)


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the studies that are yours to see."""
    with opened(home, as_name) as (wb, actor):
        views = studies.list_studies(wb, actor)
    give(as_json, [asdict(view) for view in views])
    if not as_json:
        table((words("id"), words("state"), words("title")), [(v.id, state(v.state), v.title) for v in views])


@app.command("show")
def show(study: Name, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Show a study's protocol as it is valid now."""
    with opened(home, as_name) as (wb, actor):
        view = studies.show_study(wb, actor, study)
    _made(view, as_json)
    if not as_json:
        tell(json.dumps(view.protocol, ensure_ascii=False, indent=1))


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="study")
