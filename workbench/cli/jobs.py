"""`workbench jobs`: your own work, running and done."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, give, opened, table, words
from workbench.services import jobs

app = typer.Typer(no_args_is_help=True, help="Your own jobs: list, stop.")


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List your jobs, the newest first."""
    with opened(home, as_name) as (wb, actor):
        rows = jobs.list_jobs(wb, actor)
    give(as_json, [asdict(row) for row in rows])
    if not as_json:
        lines = [(str(r.id), r.verb, r.state, f"{r.share / 10:.0f} %", r.progress or r.error or "") for r in rows]
        table([words(name) for name in ("id", "verb", "state", "done", "now")], lines)


@app.command("stop")
def stop(
    job: Annotated[int, typer.Argument(min=1, max=2**31, help="The job's number.")],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Ask a job to stop; it leaves nothing behind."""
    with opened(home, as_name) as (wb, actor):
        jobs.stop(wb, actor, job)
    give(as_json, {"id": job, "state": "stopping"}, words("stopping", job=job))


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="jobs")
