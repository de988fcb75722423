"""`workbench optout`: persons who object, to being in the warehouse at all or to a study."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.common import (
    As,
    Home,
    Json,
    Reason,
    day,
    give,
    language,
    number,
    opened,
    progress_bar,
    state,
    table,
    tell,
    words,
)
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel.errors import InvalidInput
from workbench.services import erasures, objections
from workbench.services.erased_releases import Made
from workbench.services.erasures import OrderView
from workbench.services.objections import ObjectionView

app = typer.Typer(no_args_is_help=True, help="Oppositions of patients: erasing persons, leaving them out of studies.")


class Scope(StrEnum):
    """What somebody objects to: being in the warehouse at all, or a study. Or nobody objects: a sensitive class."""

    WAREHOUSE = "warehouse"
    STUDY = "study"
    SENSITIVE = "sensitive"


@app.command("add")
def add(
    file: Annotated[
        Path, typer.Argument(help="A file with one person_id a line; - reads them from the standard input.")
    ],
    scope: Annotated[
        Scope,
        typer.Option(
            "--scope",
            help="warehouse: erased from every stored release, for good. study: left out of extracts. "
            "sensitive: persons of a class, left out of extracts unless the protocol names it.",
        ),
    ],
    study: Annotated[
        str | None, typer.Option("--study", help="With --scope study: which one; every study without it.")
    ] = None,
    sensitive: Annotated[
        str | None, typer.Option("--class", help="With --scope sensitive: staff, vip or birth_under_x.")
    ] = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Erase persons from every release, cache and index, for good; or leave them out of a study until withdrawn.

    An erasure cannot be undone, and no later load brings the persons back. Who reads a release reads to the end: that
    is waited for, five minutes at most; then the order stays pending, and the next command goes on.
    """
    persons = _persons(file)
    if (scope is Scope.SENSITIVE) != (sensitive is not None):
        raise InvalidInput("cli.sensitive_scope")
    if study is not None and scope is not Scope.STUDY:
        raise InvalidInput("cli.study_scope")
    if scope is not Scope.WAREHOUSE:
        with opened(home, as_name) as (wb, actor):
            unknown = objections.unknown(wb, actor, persons)
            objected = objections.add(wb, actor, persons, study, sensitive)
        give(as_json, {**asdict(objected), "scope": scope, "unknown": unknown})
        if not as_json:
            _objected(objected)
            _strangers(unknown)
        return
    with opened(home, as_name) as (wb, actor), progress_bar(words("erasing")) as progress:
        unknown = objections.unknown(wb, actor, persons)
        view = erasures.add(wb, actor, persons, progress)
    give(as_json, {**asdict(view), "scope": scope, "unknown": unknown})
    if not as_json:
        _told(view)
        _strangers(unknown)


def _strangers(unknown: int) -> None:
    """Say that some of the numbers are nobody's: the opposition of a patient must not be lost by a slip of the pen."""
    if unknown:
        tell(words("optout_unknown", count=number(unknown)))


def _persons(file: Path) -> set[int]:
    """Read ids: never from the command line, which other users of the machine see and shells keep."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InvalidInput("cli.no_file", file=str(file)) from error
    return objections.persons_of(text)


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List oppositions in both scopes, the releases they changed, and the extracts and models made before."""
    with opened(home, as_name) as (wb, actor):
        views, objected = erasures.list_orders(wb, actor), objections.list_objections(wb, actor)
    listed = [(Scope.WAREHOUSE, asdict(view)) for view in views] + [(_scope(view), asdict(view)) for view in objected]
    give(as_json, [{**view, "scope": scope} for scope, view in listed])
    if not as_json:
        for view in views:
            _told(view)
        for each in objected:
            _objected(each)


@app.command("withdraw")
def withdraw(
    objection: Annotated[str, typer.Argument(help="The id of an objection to a study, as `optout list` shows it.")],
    reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """End an objection to a study: its persons may be in later extracts again. An erasure cannot be withdrawn."""
    with opened(home, as_name) as (wb, actor):
        view = objections.withdraw(wb, actor, objection, reason)
    give(as_json, {**asdict(view), "scope": _scope(view)})
    if not as_json:
        _objected(view)


def _scope(view: ObjectionView) -> Scope:
    return Scope.STUDY if view.sensitive is None else Scope.SENSITIVE


def _objected(view: ObjectionView) -> None:
    study = view.study or words("every_study")
    if view.sensitive is not None:
        study = words("every_study_not_naming", name=sensitive_classes()[view.sensitive].name[language()])
    facts = {"id": view.id, "state": state(view.state), "persons": number(view.persons), "day": day(view.made_at)}
    tell(words("objection", study=study, **facts))
    _due("objected_before", view.concerned)


def _told(view: OrderView) -> None:
    tell(words("opposition", id=view.id, state=state(view.state), persons=number(view.persons), day=day(view.made_at)))
    for before, after in view.releases:
        tell(f"  {words('erased', before=before, after=after)}")
    _due("concerned", view.concerned)


def _due(said: str, concerned: Sequence[Made]) -> None:
    if concerned:
        tell(words(said))
        rows = [
            (words(f"kind_{made.kind}"), made.id, made.study or "", words(f"due_{made.kind}")) for made in concerned
        ]
        table([words(name) for name in ("kind", "id", "study_name", "due")], rows)


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="optout")
