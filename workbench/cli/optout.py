"""`workbench optout`: persons who object to being in the warehouse, erased from everything that is stored."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, give, number, opened, progress_bar, state, table, tell, words
from workbench.kernel.errors import InvalidInput
from workbench.services import erasures
from workbench.services.erasures import OrderView

app = typer.Typer(no_args_is_help=True, help="Oppositions of patients: erase persons, list the orders.")


class Scope(StrEnum):
    """What somebody objects to: being in the warehouse at all."""

    WAREHOUSE = "warehouse"


@app.command("add")
def add(
    file: Annotated[
        Path, typer.Argument(help="A file with one person_id a line; - reads them from the standard input.")
    ],
    scope: Annotated[
        Scope, typer.Option("--scope", help="warehouse: erased from every stored release, for good.")
    ],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Erase persons from every release, cache and index; no later load brings them back. It cannot be undone.

    Who reads a release reads to the end: that is waited for, five minutes at most; then the order stays pending, and
    the next command goes on.
    """
    persons = _persons(file)
    with opened(home, as_name) as (wb, actor), progress_bar(words("erasing")) as progress:
        view = erasures.add(wb, actor, persons, progress)
    give(as_json, {**asdict(view), "scope": scope})
    if not as_json:
        _told(view)


def _persons(file: Path) -> set[int]:
    """Read ids: never from the command line, which other users of the machine see and shells keep."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InvalidInput("cli.no_file", file=str(file)) from error
    found: set[int] = set()
    for line, word in enumerate(text.splitlines(), start=1):
        if word.strip():
            try:
                found.add(int(word))
            except ValueError:  # the line is named, never what stands there
                raise InvalidInput("erasure.not_a_person", line=line) from None
    return found


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the orders, the releases that they changed, and the extracts and models that were made before."""
    with opened(home, as_name) as (wb, actor):
        views = erasures.list_orders(wb, actor)
    give(as_json, [asdict(view) for view in views])
    if not as_json:
        for view in views:
            _told(view)


def _told(view: OrderView) -> None:
    tell(words("opposition", id=view.id, state=state(view.state), persons=number(view.persons), day=view.made_at[:10]))
    for before, after in view.releases:
        tell(f"  {words('erased', before=before, after=after)}")
    if view.concerned:
        tell(words("concerned"))
        rows = [(words(f"kind_{made.kind}"), made.id, made.study or "") for made in view.concerned]
        table([words(name) for name in ("kind", "id", "study_name")], rows)


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="optout")
