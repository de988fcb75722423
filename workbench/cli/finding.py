"""`workbench finding`: what was found about a person goes back to who treats them; the researcher learns no name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, Reason, give, opened, read_json, state, table, tell, words
from workbench.kernel.errors import InvalidInput
from workbench.services import findings
from workbench.services.findings import FindingView
from workbench.store import files

app = typer.Typer(no_args_is_help=True, help="Significant findings: report, list, show, accept, refuse, deliver.")
Ref = Annotated[str, typer.Argument(help="A finding's id or digest.")]


@app.command("report")
def report(
    extract: Annotated[str, typer.Argument(help="The extract (id or digest).")],
    file: Annotated[Path, typer.Argument(help='JSON: {"person": pseudonym, "text": "what was found"}.')],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Report what was found about a person of an extract, for the clinician who treats them."""
    found = read_json(file)
    person, text = found.get("person"), found.get("text")
    if type(person) is not int or not isinstance(text, str):
        raise InvalidInput("finding.form", file=file.name)
    with opened(home, as_name) as (wb, actor):
        _give(findings.report(wb, actor, extract, person, text), as_json)


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List findings and where they stand; never who they are about."""
    with opened(home, as_name) as (wb, actor):
        found = findings.list_findings(wb, actor)
    give(as_json, [asdict(each) for each in found])
    if not as_json:
        rows = [(each.id, each.study, each.extract, state(each.state), each.reporter) for each in found]
        table([words(name) for name in ("finding", "study_name", "extract_id", "state", "actor")], rows)


@app.command("show")
def show(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Show what was found, for who decides; the reading is logged."""
    with opened(home, as_name) as (wb, actor):
        view, text = findings.show_finding(wb, actor, ref), findings.read_text(wb, actor, ref)
    give(as_json, {**asdict(view), "text": text}, f"{view.id}  {state(view.state)}\n{text}")


@app.command("accept")
def accept(ref: Ref, reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Let a finding go to the clinician, as somebody other than who reported it."""
    with opened(home, as_name) as (wb, actor):
        _give(findings.decide(wb, actor, ref, "accept", reason), as_json)


@app.command("refuse")
def refuse(ref: Ref, reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Decide that nobody is to be disturbed with a finding."""
    with opened(home, as_name) as (wb, actor):
        _give(findings.decide(wb, actor, ref, "refuse", reason), as_json)


@app.command("deliver")
def deliver(
    ref: Ref,
    out: Annotated[Path, typer.Option("--out", help="Where the clinician's letter goes (JSON; it names the person).")],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Write the letter of an accepted finding, to be handed to the clinician; for data stewards."""
    with opened(home, as_name) as (wb, actor), files.writing(out) as aside:
        letter = findings.deliver(wb, actor, ref)
        aside.write_text(json.dumps(asdict(letter), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        view = findings.show_finding(wb, actor, ref)
    _give(view, as_json)
    if not as_json:
        tell(words("finding_letter", file=out))


def _give(view: FindingView, as_json: bool) -> None:
    give(as_json, asdict(view), f"{view.id}  {state(view.state)}")


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="finding")
