"""`workbench study`: protocols, from draft to open."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.common import (
    As,
    Home,
    Json,
    Reason,
    give,
    language,
    number,
    opened,
    read_json,
    state,
    table,
    tell,
    words,
)  # fmt: skip
from workbench.governance.actors import Actor
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput
from workbench.kernel.text import Lang
from workbench.services import amendments, concept_limits, studies
from workbench.services import register as registers
from workbench.services.context import Workbench
from workbench.services.own_data import in_a_home
from workbench.services.studies import StudyView
from workbench.store import files

app = typer.Typer(
    no_args_is_help=True, help="Studies: create, open, amend, close, abandon, list, show, and their public register."
)
Name = Annotated[str, typer.Argument(help="The study's name.")]


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(help='A protocol as JSON; its `release` may be "current".')],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Keep a draft protocol; until it is opened the study is a feasibility space: aggregates only."""
    with opened(home, as_name) as (wb, actor):
        _made(wb, actor, studies.create_study(wb, actor, read_json(file)), as_json)


@app.command("open")
def open_(
    study: Name,
    protocol: Annotated[str, typer.Option("--protocol", help="The digest of the protocol that you read.")],
    reason: Reason,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Open a draft study, as the ethics officer, on exactly the protocol that was read.

    On the digest of a change that was proposed for an open study: accept it. What was approved before is voided then.
    """
    with opened(home, as_name) as (wb, actor):
        _made(wb, actor, studies.open_study(wb, actor, study, protocol_digest=protocol, reason=reason), as_json)


@app.command("amend")
def amend(
    file: Annotated[Path, typer.Argument(help="The whole protocol as it shall be, as JSON; its `study` is open.")],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Propose another protocol for an open study; the former one stays valid until an ethics officer accepts it.

    Accepting it voids every approval and waiting request of the study and closes its open extracts.
    """
    with opened(home, as_name) as (wb, actor):
        _made(wb, actor, studies.amend_study(wb, actor, read_json(file)), as_json)


@app.command("close")
def close(study: Name, reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Close an open study, as the ethics officer: its extracts and approvals end with it.

    Its keys stay until its retention ends, so that an opposition still finds its persons; then both are destroyed.
    """
    with opened(home, as_name) as (wb, actor):
        _made(wb, actor, studies.close_study(wb, actor, study, reason), as_json)


@app.command("abandon")
def abandon(study: Name, reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Give up a draft study, or a change that waits of an open one's protocol, as one of its researchers."""
    with opened(home, as_name) as (wb, actor):
        _made(wb, actor, studies.abandon_study(wb, actor, study, reason), as_json)


def _made(wb: Workbench, actor: Actor, view: StudyView, as_json: bool) -> None:
    text = words("study", id=view.id, state=state(view.state), title=view.title, digest=view.digest)
    until = [words("study_kept", until=view.kept_until)] if view.kept_until else []
    give(as_json, asdict(view), text, *until, *_proposed(wb, actor, view))


def _proposed(wb: Workbench, actor: Actor, view: StudyView) -> list[str]:
    """Return the lines on a change that waits for an officer."""
    if view.proposed is None:
        return []
    changes = [
        words("study_change", member=member, before=before, after=after)
        for member, (before, after) in amendments.in_words(wb, actor, view.protocol, view.proposed, language()).items()
    ]
    first = words("study_proposed", who=view.proposed.proposed_by, digest=view.proposed.digest)
    return [first, *changes, words("study_voids")]


@app.command("register")
def register_(
    out: Annotated[Path, typer.Option("--out", help="The file to write: .html or .json.")],
    lang: Annotated[Lang | None, typer.Option("--lang", help="The language of the page: fr or en.")] = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Write the public register of studies: purpose, sponsor, legal basis, dates, tables, retention; no person.

    Every study that was opened is in it, ended ones too. The same log gives the same file, byte for byte.
    """
    if out.suffix not in {".html", ".json"} or in_a_home(out):
        raise InvalidInput("cli.register_file")
    with opened(home, as_name) as (wb, actor):
        made = registers.public_register(wb, actor)
    files.write_text(
        out, registers.as_json(made) if out.suffix == ".json" else registers.as_html(made, lang or language())
    )
    said = words("registered", count=number(len(made["studies"])), file=out)
    give(as_json, {"id": "register", "digest": digest_document(made), "state": "written", "file": str(out)}, said)


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
        release, concepts = view.protocol["release"], view.protocol.get("concepts", {})
        limited = concept_limits.in_words(wb, actor, release, concepts, language())
        _made(wb, actor, view, as_json)
    if not as_json:
        for table_name, said in limited.items():
            tell(words("concepts_approved", table=table_name, approved=said))
        tell(json.dumps(view.protocol, ensure_ascii=False, indent=1))


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="study")
