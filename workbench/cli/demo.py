"""`workbench demo` and `workbench serve`."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli import cohort, model, release_text, trace
from workbench.cli.audit import verdict_text
from workbench.cli.common import Home, Json, give, language, number, progress_bar, settings_of, table, tell, words
from workbench.cli.common import state as state_word
from workbench.governance.legal_bases import legal_basis
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.settings import Settings
from workbench.services import demo as story
from workbench.services.context import open_workbench
from workbench.services.demo import GIBLEED, Demo, Story
from workbench.services.ports import check_free
from workbench.services.provider import read_secret

PORT = 8501
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="The app's port, on this machine only.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command("demo")(demo)
    app.command("serve")(serve)


def demo(
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop before the app is served.")] = False,
    port: Port = PORT,
    hospital: Annotated[bool, typer.Option("--hospital", help="Use the synthetic French hospital.")] = False,
    patients: Annotated[int | None, typer.Option("--patients", min=0, help="How many; 10,000 where not said.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another hospital for each number.")] = None,
    extraction: Annotated[
        int | None, typer.Option("--extraction", min=1, max=2, help="1: before late corrections; 2, the usual: after.")
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option("--tables", help="Keep the hospital in this new folder: OMOP, vocabulary, its own CSV tables."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run the whole thread on simulated patients, then serve the app in which all of it can be seen."""
    told = _story(hospital, patients=patients, seed=seed, extraction=extraction, into=tables)
    settings = settings_of(home)
    if settings.openid:
        raise InvalidInput("cli.demo_has_its_people")
    if not no_serve:
        check_free(port)
    wb = open_workbench(settings, create=True, demo=True)
    try:
        story.welcome(wb)
        state = Demo(wb, told)
        for number, (name, step) in enumerate(story.STEPS.items(), 1):
            title = words(f"demo_{name}")
            if not as_json:
                tell(f"\n{number}/{len(story.STEPS)}  {title}")
            with progress_bar(title) as progress:
                step(state, progress)
            if not as_json:
                SHOW[name](state)
    finally:
        wb.close()
    give(as_json, summary(state))
    if state.verdict is None or not state.verdict.sound:
        raise Refused("cli.demo_log_broken")
    if not no_serve:
        _serve(settings, port)


def _story(hospital: bool, **given: Any) -> Story:
    """Return what the demonstration is about; raises `cli.only_hospital` for an option that only the hospital has."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if not hospital and chosen:
        raise InvalidInput("cli.only_hospital")
    if not hospital:
        return GIBLEED
    from workbench.services.demo_hospital import hospital as tell  # noqa: PLC0415 - a quarter of a second to import

    return tell(**chosen)


def serve(port: Port = PORT, home: Home = None) -> None:
    """Serve the app on this machine only."""
    settings = settings_of(home)
    check_free(port)
    if settings.openid:
        read_secret(settings.openid)
    open_workbench(settings).close()
    _serve(settings, port)


def _serve(settings: Settings, port: int) -> None:
    if settings.openid:
        tell(words("serving_at", address=settings.openid.public_url, port=port))
    else:
        tell(words("serving", port=port))
    sys.stdout.flush()
    # The app takes this process's place: a stop signal reaches it, and the command line never imports it.
    os.execv(sys.executable, [sys.executable, "-m", "workbench.ui", str(settings.home), str(port)])


def summary(state: Demo) -> dict[str, Any]:
    """Return what the demonstration made: ids and digests along the thread, the log's head, the models' metrics."""
    assert state.thread is not None and state.verdict is not None and state.extract is not None
    return {
        "id": state.extract.study,
        "digest": state.verdict.head,
        "state": "done",
        "thread": [
            {"kind": link.kind, "id": link.id, "digest": link.digest, "names": link.names}
            for link in state.thread.links
        ],
        "cohorts": {view.name: view.digest for view in state.cohorts},
        "models": {m.kind: {"id": m.id, "digest": m.digest, "metrics": m.manifest["metrics"]} for m in state.models},
        "audit": asdict(state.verdict),
    }


def _release(state: Demo) -> None:
    assert state.release is not None
    release_text.show(state.release)


def _cohorts(state: Demo) -> None:
    for view in state.cohorts:
        cohort.show(view)


def _request(state: Demo) -> None:
    assert state.study is not None and state.request is not None
    study, request = state.study, state.request
    protocol = study.protocol
    tell(words("study", id=study.id, state=state_word(study.state), title=study.title, digest=study.digest))
    tell(words("purpose", text=protocol["purpose"]))
    basis = legal_basis(protocol["legal_basis"]["code"])
    tell(words("legal_basis", name=basis.name[language()]))
    rows = [
        (name, ", ".join(c.requested), ", ".join(c.approved), ", ".join(c.delivered))
        for name, c in request.columns.items()
    ]
    table([words(name) for name in ("table", "requested", "approved", "delivered")], rows)
    tell(words("request", id=request.id, study=study.id, state=state_word(request.state), digest=request.digest))
    if request.approval:
        facts = {"id": request.approval.id, "reviewer": request.approval.body["reviewer"], "until": request.expires_on}
        tell(words("approval", **facts))


def _extract(state: Demo) -> None:
    assert state.extract is not None
    view = state.extract
    tell(words("extract", id=view.id, state=state_word(view.state), digest=view.digest))
    rows = [(t["name"], number(t["rows"]), ", ".join(c["name"] for c in t["schema"])) for t in view.manifest["tables"]]
    table((words("table"), words("rows"), words("columns")), rows)


def _models(state: Demo) -> None:
    assert state.features is not None
    tell(words("features", id=state.features.id, digest=state.features.digest))
    model.lines(state.models)
    tell(words("cards"))


def _proof(state: Demo) -> None:
    assert state.thread is not None and state.verdict is not None
    tell(verdict_text(state.verdict))
    trace.show(state.thread)


SHOW = {
    "load": _release,
    "generate": _cohorts,
    "ask": _request,
    "extract": _extract,
    "learn": _models,
    "prove": _proof,
}
