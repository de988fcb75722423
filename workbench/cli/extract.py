"""`workbench extract`: requested, reviewed, decided by another person, run, revoked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

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
    progress_bar,
    read_json,
    state,
    table,
    tell,
    words,
)
from workbench.extracts.risk_words import coarsened, sentences
from workbench.governance import proofs
from workbench.governance.actors import Actor
from workbench.governance.date_forms import in_words, proof
from workbench.governance.legal_bases import field_label
from workbench.governance.votes import OPINIONS
from workbench.kernel.text import say
from workbench.services import concept_limits, extracts, meds, refreshing, requests, risk
from workbench.services.context import Workbench
from workbench.services.extracts import ExtractView
from workbench.services.requests import Decision, RequestView

app = typer.Typer(
    no_args_is_help=True,
    help="Governed extracts: request, review, approve, withdraw, run, refresh, meds, revoke, list.",
)
Request = Annotated[str, typer.Argument(help="A request's id or digest.")]
Votes = Annotated[
    list[str] | None,
    typer.Option("--vote", help="A committee's vote, as COMMITTEE:VOTE:DAY (CSE:favourable:2026-10-01); repeatable."),
]
Conditions = Annotated[
    list[str] | None, typer.Option("--condition", help="What the decision asks for, kept with it; repeatable.")
]
Protocol = Annotated[str, typer.Option("--protocol", help="The digest of the protocol that you read.")]


@app.command("request")
def request(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    file: Annotated[Path, typer.Argument(help="The request as JSON (docs/researcher.md).")],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """File a request; the automatic checks run at once, and one that fails is not kept."""
    with opened(home, as_name) as (wb, actor):
        _told(requests.file_request(wb, actor, study, read_json(file)), as_json)


@app.command("review")
def review(ref: Request, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Show what is requested, what the protocol approves and what would be delivered, side by side."""
    with opened(home, as_name) as (wb, actor):
        view = requests.show_request(wb, actor, ref)
        told = risk.risk_of(wb, actor, view, language())
        proved = proofs.told(requests.proved(wb, view), language())
        limited = _limits(wb, actor, view)
    _told(view, as_json)
    if not as_json:
        for cohort in (view.cohort, *view.outcomes):
            facts = {"title": cohort.title, "id": cohort.id, "author": cohort.author}
            tell(words("cohort_named", text=cohort.sentence[language()], **facts))
        tell(words("why", text=view.document["why_not_aggregate"]))
        basis = view.protocol["legal_basis"]["fields"]
        for name in OPINIONS:
            if name in basis:
                tell(words("opinion", of=field_label(name, language()), text=basis[name]))
        _decided(view)
        if proved:
            tell(f"  {proved}")
        tell(words("decide_on", digest=view.document["protocol"]))
        rows = [
            (name, *(", ".join(part) for part in (c.requested, c.approved, c.delivered)))
            for name, c in view.columns.items()
        ]
        table([words(name) for name in ("table", "requested", "approved", "delivered")], rows)
        for what, asked, approved, given in in_words(proof(view.document, view.protocol), language()):
            tell(words("dates", what=what, requested=asked, approved=approved, delivered=given))
        for line in limited:
            tell(line)
        _risk(told)


def _limits(wb: Workbench, actor: Actor, view: RequestView) -> list[str]:
    """Return the lines on the concepts to which the requested tables are limited."""
    release, every = view.protocol["release"], say("governance.limit_every", language())
    asked, allowed = (
        concept_limits.in_words(wb, actor, release, paper.get("concepts", {}), language())
        for paper in (view.document, view.protocol)
    )
    return [
        line
        for table in view.columns
        if table in asked or table in allowed
        for line in (
            words("concepts_requested", table=table, requested=asked.get(table, every)),
            words("concepts_approved", table=table, approved=allowed.get(table, every)),
        )
    ]


def _decided(view: RequestView) -> None:
    """Print the decision with its votes and conditions, where there is one."""
    if view.approval is None:
        return
    body = view.approval.body
    tell(words("decided", who=body["reviewer"], reason=body["reason"]))
    for vote in body.get("votes", ()):
        said = say(f"governance.vote_{vote['vote']}", language())
        tell(words("vote", committee=vote["committee"], vote=said, day=vote["day"]))
    for condition in body["conditions"]:
        tell(words("condition", text=condition))


@app.command("approve")
def approve(
    ref: Request, protocol: Protocol, reason: Reason, vote: Votes = None, condition: Conditions = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Approve a request that somebody else filed."""
    said = _Said(protocol, reason, vote or [], condition or [])
    _decide(ref, "approved", said, home, as_name, as_json)


@app.command("refuse")
def refuse(
    ref: Request, protocol: Protocol, reason: Reason, vote: Votes = None, condition: Conditions = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Refuse a request."""
    said = _Said(protocol, reason, vote or [], condition or [])
    _decide(ref, "refused", said, home, as_name, as_json)


@app.command("send-back")
def send_back(
    ref: Request, protocol: Protocol, reason: Reason, vote: Votes = None, condition: Conditions = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Send a request back to be corrected."""
    said = _Said(protocol, reason, vote or [], condition or [])
    _decide(ref, "sent_back", said, home, as_name, as_json)


@dataclass(frozen=True)
class _Said:
    protocol: str
    reason: str
    votes: list[str]
    conditions: list[str]


def _decide(ref: str, decision: Decision, said: _Said, home: Path | None, as_name: str | None, as_json: bool) -> None:
    facts: dict[str, Any] = {"reason": said.reason, "votes": said.votes, "conditions": said.conditions}
    with opened(home, as_name) as (wb, actor):
        _told(requests.decide(wb, actor, ref, decision, protocol_digest=said.protocol, **facts), as_json)


@app.command("withdraw")
def withdraw(
    ref: Request,
    reason: Annotated[str, typer.Option("--reason", help="Why, if you like; kept in the audit log.")] = "",
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Take a request back that waits for a decision, as a researcher of its study."""
    with opened(home, as_name) as (wb, actor):
        _told(requests.withdraw(wb, actor, ref, reason), as_json)


@app.command("run")
def run(ref: Request, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Make the extract of an approved request."""
    with opened(home, as_name) as (wb, actor), progress_bar(words("extracting")) as progress:
        view = extracts.run_extract(wb, actor, ref, progress)
    _shown(view, as_json)


@app.command("refresh")
def refresh(ref: Request, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Run an approved request again on the current release, where its protocol declares a refresh that is due."""
    with opened(home, as_name) as (wb, actor), progress_bar(words("extracting")) as progress:
        view = refreshing.refresh_extract(wb, actor, ref, progress)
    _shown(view, as_json)


@app.command("show")
def show(
    ref: Annotated[str, typer.Argument(help="An extract's id or digest.")],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Show an extract: its tables, and its risk in plain words; no row."""
    with opened(home, as_name) as (wb, actor):
        _shown(extracts.show_extract(wb, actor, ref), as_json)


@app.command("meds")
def make_meds(
    ref: Annotated[str, typer.Argument(help="An extract's id or digest.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also write it in the clear to this new folder, in a destination of the protocol."),
    ] = None,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Make an extract's MEDS form, sealed in the study's workspace."""
    with opened(home, as_name) as (wb, actor), progress_bar(words("making_meds")) as progress:
        view = meds.make_meds(wb, actor, ref, progress)
        if out:
            meds.take_meds(wb, actor, view.id, out)
    lines = [words("meds", id=view.id, digest=view.digest)]
    lines += [words("meds_left_out", tables=", ".join(view.manifest["left_out"]))] if view.manifest["left_out"] else []
    lines += [words("meds_taken", folder=out)] if out else []
    give(as_json, {"state": "taken" if out else "made", **asdict(view), "folder": str(out) if out else None}, *lines)


@app.command("revoke")
def revoke(
    ref: Annotated[str, typer.Argument(help="An extract's id or digest, or a request's of which none was made yet.")],
    reason: Reason, home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Close an extract and destroy the study's data key; copies already opened cannot be recalled.

    Of a request that was approved: take the approval back; no key is destroyed.
    """
    with opened(home, as_name) as (wb, actor):
        if any(ref in (view.id, view.digest) for view in requests.list_requests(wb, actor)):
            _told(requests.revoke_approval(wb, actor, ref, reason), as_json)
            return
        _shown(extracts.revoke(wb, actor, ref, reason), as_json)


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the requests and extracts of your studies."""
    with opened(home, as_name) as (wb, actor):
        asked, made = requests.list_requests(wb, actor), extracts.list_extracts(wb, actor)
    give(as_json, {"requests": [asdict(view) for view in asked], "extracts": [asdict(view) for view in made]})
    if not as_json:
        rows = [(v.id, v.study, state(v.state), v.expires_on or "–") for v in (*asked, *made)]
        table([words(name) for name in ("id", "study_name", "state", "until")], rows)


def _told(view: RequestView, as_json: bool) -> None:
    text = words("request", id=view.id, study=view.study, state=state(view.state), digest=view.digest)
    give(as_json, asdict(view), text)


def _shown(view: ExtractView, as_json: bool) -> None:
    give(as_json, asdict(view), words("extract", id=view.id, state=state(view.state), digest=view.digest))
    if not as_json:
        table((words("table"), words("rows")), [(t["name"], number(t["rows"])) for t in view.manifest["tables"]])
        _risk(sentences(view.manifest["risk"], language()) + coarsened(view.manifest, language()))


def _risk(said: list[str]) -> None:
    tell(words("risk"))
    for sentence in said:
        tell(f"- {sentence}")


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="extract")
