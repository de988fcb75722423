"""Work in a process of its own: submitted from the app, watched and stopped from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.cohorts.circe import read_definition
from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, silent
from workbench.services import cohorts, diagnosing, erasures, extracts, meds, quality, refreshing
from workbench.services.context import Workbench
from workbench.store import jobs
from workbench.store.jobs import JobRow

Handler = Callable[[Workbench, Actor, Mapping[str, Any], Progress], object]


def _generate(wb: Workbench, actor: Actor, args: Mapping[str, Any], progress: Progress) -> object:
    definitions = {name: read_definition(text) for name, text in args["definitions"].items()}
    return cohorts.generate(wb, actor, definitions, progress)


def _check_release(wb: Workbench, actor: Actor, args: Mapping[str, Any], progress: Progress) -> object:
    return quality.check_release(wb, actor, args["release"], progress)


def _run_extract(wb: Workbench, actor: Actor, args: Mapping[str, Any], progress: Progress) -> object:
    return extracts.run_extract(wb, actor, args["request"], progress)


def _refresh_extract(wb: Workbench, actor: Actor, args: Mapping[str, Any], progress: Progress) -> object:
    return refreshing.refresh_extract(wb, actor, args["request"], progress)


def _make_meds(wb: Workbench, actor: Actor, args: Mapping[str, Any], progress: Progress) -> object:
    return meds.make_meds(wb, actor, args["extract"], progress)


def _take_meds(wb: Workbench, actor: Actor, args: Mapping[str, Any], _progress: Progress) -> object:
    return meds.take_meds(wb, actor, args["meds"], Path(args["out"]))


def _diagnose(wb: Workbench, actor: Actor, args: Mapping[str, Any], progress: Progress) -> object:
    return diagnosing.diagnose_cohort(wb, actor, args["cohort"], progress)


def _erase(wb: Workbench, actor: Actor, _args: Mapping[str, Any], progress: Progress) -> object:
    return erasures.carry_out(wb, actor, progress)


HANDLERS: Mapping[str, Handler] = {
    "cohort.generate": _generate,
    "cohort.diagnose": _diagnose,
    "extract.meds": _make_meds,
    "extract.refresh": _refresh_extract,
    "extract.run": _run_extract,
    "extract.take": _take_meds,
    "optout.carry_out": _erase,
    "release.check": _check_release,
}
"""The verbs that a worker can run. `cohort.generate` takes `definitions` (name → Circe JSON text), `cohort.diagnose`
`cohort`, `extract.run` and `extract.refresh` `request`, `extract.meds` `extract`, `extract.take` `meds` and the folder
`out`, `release.check` `release` (ids); `optout.carry_out` takes nothing: who is to be erased stands in the orders, as
marks."""


def submit(wb: Workbench, actor: Actor, verb: str, args: Mapping[str, Any]) -> int:
    """Queue a verb and start its worker process; return the job's number. The policy is checked by the verb itself."""
    if verb not in HANDLERS:
        raise Refused("governance.not_allowed", name=actor.display, role=actor.role.value, verb=verb)
    job_id = jobs.queue(wb.store, actor.name, verb, args)
    settings = wb.settings
    environment = {
        **os.environ,
        "WORKBENCH_KEYS": str(settings.keys),
        "WORKBENCH_STORE": settings.store_url,
        "WORKBENCH_MLRUNS": str(settings.mlruns),
    }
    settings.jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.jobs / f"{job_id}.log"
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as log:
        subprocess.Popen(
            [sys.executable, "-m", "workbench.services.worker", str(settings.home), str(job_id)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return job_id


def job(wb: Workbench, actor: Actor, job_id: int) -> JobRow:
    """Return one of the actor's own jobs; raises `store.no_document` for any other."""
    found = jobs.job(wb.store, job_id)
    if found is None or found.actor != actor.name:
        raise Refused("store.no_document", ref=str(job_id))
    return found


def list_jobs(wb: Workbench, actor: Actor) -> list[JobRow]:
    """Return the actor's own jobs, the newest first."""
    return [row for row in jobs.list_jobs(wb.store) if row.actor == actor.name]


def stop(wb: Workbench, actor: Actor, job_id: int) -> None:
    """Ask one of the actor's own jobs to stop; it leaves nothing behind."""
    jobs.cancel(wb.store, job(wb, actor, job_id).id)


def work(wb: Workbench, actor: Actor, row: JobRow) -> None:
    """Run a queued job in this process."""
    with jobs.running(wb.store, wb.settings.jobs, row.id) as running:
        wb.job = running
        try:
            HANDLERS[row.verb](wb, actor, row.args, silent)
        finally:
            wb.job = None
