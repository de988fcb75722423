"""`workbench audit`: the log, its proof, and its export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, Reason, give, language, opened, table, tell, words
from workbench.governance import log_periods
from workbench.governance.verifying import Verdict
from workbench.kernel.text import say
from workbench.services import alerts, auditing, evidence, log_details
from workbench.services.alerts import Alert
from workbench.store import files

app = typer.Typer(no_args_is_help=True, help="The audit log: list, seen, alerts, verify, forget, export.")
Head = Annotated[Path | None, typer.Option("--head", help="A signed head of the log, kept elsewhere.")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", help="How many entries, the newest first.")] = 30,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """List the log's entries, the newest first; for the ethics officer."""
    with opened(home, as_name) as (wb, actor):
        entries = auditing.log(wb, actor, limit=limit)
    give(as_json, [asdict(entry) for entry in entries])
    if not as_json:
        rows = [(str(e.seq), e.time[:19], e.actor, e.verb, e.outcome, e.subject or "", e.reason or "") for e in entries]
        table([words(name) for name in ("seq", "time", "actor", "verb", "outcome", "subject", "reason")], rows)


@app.command("alerts")
def alerts_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the patterns of questions that may aim at single persons, the newest first; for the ethics officer."""
    with opened(home, as_name) as (wb, actor):
        found = alerts.list_alerts(wb, actor)
    give(as_json, [asdict(each) for each in found])
    if not as_json and not found:
        tell(words("no_alerts"))
    elif not as_json:
        rows = [(str(each.seq), each.time[:19], each.person, alert_text(each)) for each in found]
        table([words(name) for name in ("seq", "time", "actor", "alert")], rows)


@app.command("seen")
def seen(
    ref: Annotated[str | None, typer.Argument(help="A study, an extract, a cohort …; all where left out.")] = None,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """List who opened, counted or took what, the last first; for the ethics officer."""
    with opened(home, as_name) as (wb, actor):
        found = log_details.who_saw(wb, actor, ref)
    give(as_json, [asdict(each) for each in found])
    if not as_json and not found:
        tell(words("nobody_saw"))
    elif not as_json:
        rows = [(e.actor, e.verb, e.subject or e.study or "", str(e.times), e.first[:19], e.last[:19]) for e in found]
        table([words(name) for name in ("actor", "verb", "subject", "times", "first", "last")], rows)


@app.command("forget")
def forget(
    reason: Reason,
    days: Annotated[int, typer.Option("--days", help="How old they are at least; 183 to 1095.")] = log_periods.USUAL,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Erase the details of accesses after their period; who, when and what stay, and the log still verifies."""
    with opened(home, as_name) as (wb, actor):
        done = log_details.forget(wb, actor, reason, days)
    told = words("forgotten", **asdict(done))
    give(as_json, {"id": "audit", "digest": None, "state": "forgotten", **asdict(done)}, told)


def alert_text(alert: Alert) -> str:
    """Return what an alert says."""
    return say(f"audit.alert_{alert.pattern}", language(), questions=alert.questions, hours=alert.hours)


@app.command("verify")
def verify(head: Head = None, home: Home = None, as_name: As = None, as_json: Json = False) -> int:
    """Walk the whole chain: exit 0 and the head's digest, or 1 and the first entry that fails."""
    with opened(home, as_name) as (wb, actor):
        verdict = auditing.verify_log(wb, actor, head)
    state = "sound" if verdict.sound else "broken"
    give(as_json, {"id": "audit", "digest": verdict.head, "state": state, **asdict(verdict)}, verdict_text(verdict))
    return 0 if verdict.sound else 1


def verdict_text(verdict: Verdict) -> str:
    """Return a verdict as a sentence."""
    lang = language()
    if verdict.sound:
        return say("audit.sound", lang, entries=verdict.entries, head=verdict.head)
    return say("audit.bad", lang, seq=verdict.first_bad, problem=say(f"audit.{verdict.problem}", lang))


@app.command("restart")
def restart(reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Go on with a log restored from a backup; the gap is named in the log, and heads saved elsewhere still show it."""
    with opened(home, as_name) as (wb, actor):
        head = auditing.restart(wb, actor, reason)
    give(as_json, {"id": "audit", "digest": head["hash"], "state": "restarted"}, words("restarted", head=head["hash"]))


@app.command("export")
def export(
    head: Head = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the log as CSV to this file.")] = None,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Write the signed head to a file (--head), the log as CSV (--csv), or print the log as JSON."""
    with opened(home, as_name) as (wb, actor):
        if head is not None:
            saved = auditing.save_head(wb, actor, head)
            give(
                as_json,
                {"id": "audit", "digest": saved["hash"], "state": "exported", **saved},
                words("head_saved", file=head),
            )
        if csv_file is not None:
            files.write_text(csv_file, auditing.as_csv(auditing.export_log(wb, actor)))
            tell(words("log_saved", file=csv_file))
        if head is None and csv_file is None:
            give(True, auditing.export_log(wb, actor))


@app.command("evidence")
def evidence_(
    ref: Annotated[str, typer.Argument(help="A study, request, extract, model or release: its id or digest.")],
    out: Annotated[Path, typer.Option("--out", help="Where the archive goes (.zip).")],
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Write a signed archive that proves who got which data, why, and what was made of it; it is checked elsewhere."""
    with opened(home, as_name) as (wb, actor):
        made = evidence.pack(wb, actor, ref)
        with files.writing(out) as aside:
            aside.write_bytes(made.content)
    told = words("evidence_saved", file=out)
    give(as_json, {"id": made.id, "digest": made.digest, "state": "exported"}, told)


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="audit")
