"""`workbench output`: results on their way out of a workspace; checked, decided by another person, taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.common import As, Home, Json, Reason, give, language, opened, read_json, state, table, tell, words
from workbench.governance.airlock.content import read_bytes
from workbench.governance.airlock.verdicts import Check, overall
from workbench.kernel.text import say
from workbench.services import outputs
from workbench.services.outputs import Decision, OutputView
from workbench.store import files

app = typer.Typer(
    no_args_is_help=True, help="Results that leave a workspace: check, request, review, release, download."
)
File = Annotated[Path, typer.Argument(help="A table (CSV, Parquet), figure (SVG, PNG), model (skops) or notebook.")]
Extract = Annotated[str, typer.Option("--extract", help="The extract that it was made of (id or digest).")]
Declared = Annotated[
    Path | None, typer.Option("--declaration", help="Of which rows each cell is, as JSON (docs/data-scientist.md).")
]
Ref = Annotated[str, typer.Argument(help="An output's id or digest.")]
Digest = Annotated[str, typer.Option("--file", help="The digest of the file that you read (`output review`).")]


@app.command("check")
def check(
    file: File, extract: Extract, declaration: Declared = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Try the automatic checks on a file before it is filed; exits 1 where one fails. Nothing is kept."""
    with opened(home, as_name) as (wb, actor):
        name, raw = read_bytes(file)
        _, checks = outputs.check_output(wb, actor, extract, name, raw, _read(declaration))
    verdict = overall(checks)
    give(as_json, {"verdict": verdict, "checks": [_check(each) for each in checks]})
    if not as_json:
        _tell(checks)
    if verdict == "failed":
        raise typer.Exit(1)


@app.command("table")
def make_table(
    declaration: Annotated[Path, typer.Argument(help="Rows, groups and columns, as JSON (docs/data-scientist.md).")],
    extract: Extract,
    context: Annotated[
        str | None, typer.Option("--context", help="File it: what it is and why it should leave, for who decides.")
    ] = None,
    totals: Annotated[bool, typer.Option("--totals/--no-totals", help="Lines for all of each group too.")] = True,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Make a table so that it can leave: rounded, small groups hidden, and what would tell them. With --context, file
    it."""
    declared = read_json(declaration)
    with opened(home, as_name) as (wb, actor):
        name = f"{declaration.stem}.csv"
        made = outputs.compose_table(wb, actor, extract, name, declared, totals=totals)
        if context is not None:
            view = outputs.request_output(
                wb, actor, extract, name, made.content.raw, context=context, declaration=made.declaration
            )
            _told(view, as_json)
            return
    sheet = made.content.sheet
    assert sheet is not None
    found = {"columns": sheet.names, "lines": sheet.lines, "declaration": made.declaration}
    give(as_json, {**found, "checks": [_check(each) for each in made.checks]})
    if not as_json:
        table(sheet.names, sheet.lines)
        _tell(made.checks)


@app.command("request")
def request(
    file: File, extract: Extract,
    context: Annotated[str, typer.Option("--context", help="What it is and why it should leave, for who decides.")],
    declaration: Declared = None,
    model: Annotated[str | None, typer.Option("--model", help="The model that it tells of, if any.")] = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """File a result to leave the workspace; the checks run at once, and one that fails sends it back."""
    with opened(home, as_name) as (wb, actor):
        name, raw = read_bytes(file)
        view = outputs.request_output(
            wb, actor, extract, name, raw, context=context, declaration=_read(declaration), model=model
        )
    _told(view, as_json)
    if not as_json:
        _tell(view.checks)
    if view.state == "sent_back":
        raise typer.Exit(1)


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the outputs of your studies."""
    with opened(home, as_name) as (wb, actor):
        views = outputs.list_outputs(wb, actor)
    give(as_json, [_document(view) for view in views])
    if not as_json:
        rows = [(v.id, v.study, v.name, state(v.state), v.requester) for v in views]
        table([words(name) for name in ("id", "study_name", "output_file", "state", "output_by")], rows)


@app.command("review")
def review(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Show what an output is, what the checks found and the file itself, with the digest to decide on."""
    with opened(home, as_name) as (wb, actor):
        view = outputs.show_output(wb, actor, ref)
        raw = outputs.preview(wb, actor, ref) if view.document["kind"] == "table" and view.state != "sent_back" else b""
    _told(view, as_json)
    if not as_json:
        tell(words("output_context", text=view.document["context"]))
        _tell(view.checks)
        if raw and view.name.lower().endswith(".csv"):
            tell(raw.decode("utf-8").rstrip())
        tell(words("output_decide_on", digest=view.file_digest))


@app.command("release")
def release(
    ref: Ref, file: Digest, reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False
) -> None:
    """Let an output leave that somebody else filed, exactly as it was read."""
    _decide(ref, "released", file, reason, home, as_name, as_json)


@app.command("refuse")
def refuse(
    ref: Ref, file: Digest, reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False
) -> None:
    """Refuse an output."""
    _decide(ref, "refused", file, reason, home, as_name, as_json)


@app.command("send-back")
def send_back(
    ref: Ref, file: Digest, reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False
) -> None:
    """Send an output back to be mended."""
    _decide(ref, "sent_back", file, reason, home, as_name, as_json)


@app.command("recall")
def recall(
    ref: Ref, file: Digest, reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False
) -> None:
    """Close a released output; who took it away has it, so later outputs are still compared with it."""
    _decide(ref, "recalled", file, reason, home, as_name, as_json)


@app.command("withdraw")
def withdraw(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Take back an output of yours that waits."""
    with opened(home, as_name) as (wb, actor):
        _told(outputs.withdraw(wb, actor, ref), as_json)


@app.command("download")
def download(
    ref: Ref,
    into: Annotated[Path, typer.Option("--into", help="The folder to write it into.")] = Path(),
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Take a released output away: exactly the bytes that were decided on."""
    with opened(home, as_name) as (wb, actor):
        name, content = outputs.download(wb, actor, ref)
        with files.writing(into / name) as aside:
            aside.write_bytes(content)
    give(as_json, {"file": str(into / name)}, words("output_written", file=into / name))


def _read(declaration: Path | None) -> dict[str, Any] | None:
    return read_json(declaration) if declaration else None


def _decide(
    ref: str, decision: Decision, file: str, reason: str, home: Path | None, as_name: str | None, as_json: bool
) -> None:
    with opened(home, as_name) as (wb, actor):
        _told(outputs.decide(wb, actor, ref, decision, file_digest=file, reason=reason), as_json)


def _told(view: OutputView, as_json: bool) -> None:
    text = words("output", id=view.id, name=view.name, extract=view.extract, state=state(view.state))
    give(as_json, _document(view), text)


def _document(view: OutputView) -> dict[str, Any]:
    return {**asdict(view), "checks": [_check(each) for each in view.checks]}


def _check(check: Check) -> dict[str, Any]:
    return {**check.as_json(), "text": check.text(language())}


def _tell(checks: Sequence[Check]) -> None:
    """Print what was found, the worst first, and how many checks found nothing."""
    for verdict in ("failed", "to_review"):
        for each in checks:
            if each.verdict == verdict:
                tell(
                    f"{say(f'airlock.verdict_{verdict}', language())}: {each.name(language())}. {each.text(language())}"
                )
    tell(words("output_passed", count=sum(each.verdict == "passed" for each in checks)))


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="output")
