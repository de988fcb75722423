"""`workbench releases`: what is here, what is in it, and whether it is still what was loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import quality_text, release_text
from workbench.cli.common import (
    As,
    Home,
    Json,
    day,
    give,
    language,
    number,
    opened,
    progress_bar,
    read_json,
    say_aside,
    table,
    tell,
    words,
)
from workbench.governance.actors import Actor
from workbench.kernel.text import say
from workbench.services import releases
from workbench.services.context import Workbench

app = typer.Typer(help="Data releases: list, show, check, verify.", invoke_without_command=True)
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
        rows = [(v.id, v.name, _persons(v), day(v.loaded_at), _mark(v)) for v in views]
        table((words("id"), words("name"), words("persons"), words("loaded"), ""), rows)


def _mark(view: releases.ReleaseView) -> str:
    return words("retired") if view.retired else "←" if view.current else ""


def _persons(view: releases.ReleaseView) -> str:
    return release_text.counted(view.rows.get("person", 0))


@app.command("show")
def show(
    ref: Ref,
    with_quality: Annotated[
        bool, typer.Option("--quality", help="Show all checks, what changed, and the counts that one looks at first.")
    ] = False,
    dcat: Annotated[
        bool, typer.Option("--dcat", help="Print the release's record for a catalogue: HealthDCAT-AP, as JSON-LD.")
    ] = False,
    facts: Annotated[
        Path | None, typer.Option("--facts", help="With --dcat: what only the holder of the data knows (JSON).")
    ] = None,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Show a release: rows, quality, sources, observation-period rule."""
    from workbench.services import quality  # noqa: PLC0415 - help needs none of it

    with opened(home, as_name) as (wb, actor):
        if dcat:
            _record(wb, actor, ref, facts)
            return
        view = releases.show_release(wb, actor, ref)
        found = quality.show_quality(wb, actor, ref) if with_quality else None
    give(as_json, asdict(view) | ({"quality_report": asdict(found)} if found else {}))
    if not as_json:
        quality_text.show(found) if found else release_text.show(view)


def _record(wb: Workbench, actor: Actor, ref: str, facts: Path | None) -> None:
    """Print a catalogue record; what it lacks is said on the error stream."""
    from workbench.services import catalogue  # noqa: PLC0415

    made = catalogue.record(wb, actor, ref, read_json(facts) if facts else None)
    give(True, made.document)
    _lacks(made.missing)


def _lacks(missing: Sequence[str]) -> None:
    if missing:
        say_aside(say("quality.dcat_missing", language(), facts=", ".join(missing)))


@app.command("catalogue")
def catalogue_record(
    ref: Ref,
    checked: Annotated[
        bool, typer.Option("--checked", help="Note that you read the record and found it right; once a year.")
    ] = False,
    facts: Annotated[
        Path | None, typer.Option("--facts", help="What only the holder of the data knows (JSON).")
    ] = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Print a release's record for a catalogue (HealthDCAT-AP, as JSON-LD), or note its yearly check."""
    from workbench.services import catalogue_checks  # noqa: PLC0415 - help needs none of it

    with opened(home, as_name) as (wb, actor):
        if not checked:
            _record(wb, actor, ref, facts)
            return
        done = catalogue_checks.check_record(wb, actor, ref, read_json(facts) if facts else None)
    said = words("catalogue_checked", id=done.id, digest=done.digest, next=done.due.next.isoformat())
    give(as_json, {"state": "checked", **asdict(done)}, said)
    _lacks(done.missing)


@app.command("check")
def check(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Run the checks of OHDSI's DataQualityDashboard on a release, and count what one looks at first."""
    from workbench.services import quality  # noqa: PLC0415 - help needs none of it

    with opened(home, as_name) as (wb, actor), progress_bar(say("quality.checking", language())) as progress:
        view = quality.check_release(wb, actor, ref, progress)
    give(as_json, {"id": view.id, "digest": view.digest, "state": "checked", **asdict(view)})
    if not as_json:
        quality_text.show(view)


@app.command("verify")
def verify(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> int:
    """Check every file of a release against what was recorded when it was loaded."""
    with opened(home, as_name) as (wb, actor):
        problems = releases.verify_release(wb, actor, ref)
        after = releases.standing_for(wb, ref)
    sound = not problems
    found = {"id": ref, "state": "sound" if sound else "damaged", "problems": [asdict(p) for p in problems]}
    give(as_json, {**found, "erased": after is not None, "stands_for_it": after})
    if not as_json:
        if after:
            tell(words("release_erased", id=ref, after=after))
        tell(words("release_sound" if sound else "release_damaged", id=after or ref, count=len(problems)))
        for problem in problems:
            tell(f"  {problem.text(language())}")
    return 0 if sound else 1


@app.command("retire")
def retire(
    ref: Ref,
    losing: Annotated[
        bool, typer.Option("--losing-dependents", help="Retire it although something stands on it; the log names that.")
    ] = False,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Remove a release's folder. Refused while it is current, or something stands on it, which is named.

    Who reads it reads to the end: that is waited for, five minutes at most.
    """
    from workbench.services import retiring  # noqa: PLC0415 - help needs none of it

    with opened(home, as_name) as (wb, actor), progress_bar(words("retiring")) as progress:
        done = retiring.retire_release(wb, actor, ref, losing=losing, progress=progress)
    give(as_json, {"id": done.release, "digest": done.digest, "state": "retired", **asdict(done)})
    if not as_json:
        tell(words("release_retired", id=done.release, megabytes=number(done.freed // 10**6)))
        for link in done.lost:
            tell(words("release_lost", kind=words(f"kind_{link.kind}"), id=link.id))


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="releases")
