"""`workbench releases`: what is here, what is in it, and whether it is still what was loaded."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from workbench.cli import release_text
from workbench.cli.common import As, Home, Json, give, language, number, opened, table, tell, words
from workbench.services import releases

app = typer.Typer(help="Data releases: list, show, verify.", invoke_without_command=True)
Ref = Annotated[str, typer.Argument(help="A release's id, or the first digits of its digest.")]


@app.callback()
def group(context: typer.Context, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the releases where no other verb is given."""
    if context.invoked_subcommand is None:
        list_(home, as_name, as_json)


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the data releases, oldest first."""
    with opened(home, as_name) as (wb, actor):
        views = releases.list_releases(wb, actor)
    give(as_json, [asdict(view) for view in views])
    if not as_json:
        rows = [
            (v.id, v.name, number(v.rows.get("person", 0)), v.loaded_at[:10], "←" if v.current else "") for v in views
        ]
        table((words("id"), words("name"), words("persons"), words("loaded"), ""), rows)


@app.command("show")
def show(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Show a release: rows, quality, sources, observation-period rule."""
    with opened(home, as_name) as (wb, actor):
        view = releases.show_release(wb, actor, ref)
    give(as_json, asdict(view))
    if not as_json:
        release_text.show(view)


@app.command("verify")
def verify(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> int:
    """Check every file of a release against what was recorded when it was loaded."""
    with opened(home, as_name) as (wb, actor):
        problems = releases.verify_release(wb, actor, ref)
    sound = not problems
    give(as_json, {"id": ref, "state": "sound" if sound else "damaged", "problems": [asdict(p) for p in problems]})
    if not as_json:
        tell(words("release_sound" if sound else "release_damaged", id=ref, count=len(problems)))
        for problem in problems:
            tell(f"  {problem.text(language())}")
    return 0 if sound else 1


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="releases")
