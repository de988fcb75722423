"""An extract that is killed leaves nothing that can be read, and an entry that says so; one that is listed is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

import pytest

from workbench.governance.actors import Actor
from workbench.kernel.settings import Settings
from workbench.services import auditing, demo, extracts, people, requests
from workbench.services.context import Workbench, open_workbench


@pytest.fixture
def approved(wb: Workbench, researcher: Actor, officer: Actor) -> str:
    """A request that may be run."""
    asked = {**demo.REQUEST, "why_not_aggregate": "Une autre raison, qui suffit."}
    request = requests.file_request(wb, researcher, demo.STUDY, asked)
    protocol = request.document["protocol"]
    requests.decide(wb, officer, request.id, "approved", protocol_digest=protocol, reason="Minimal.")
    wb.close()
    return request.id


def run(settings: Settings, request: str, seconds: float | None) -> int:
    """Run the request in a process of its own, killed after some seconds; its exit code."""
    command = [
        sys.executable,
        "-m",
        "workbench",
        "extract",
        "run",
        request,
        "--as",
        "researcher",
        "--home",
        str(settings.home),
    ]
    environment = {**os.environ, "WORKBENCH_MLRUNS": str(settings.mlruns)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        return process.returncode


def check(settings: Settings, made_before: set[str]) -> set[str]:
    """Open the home as the next command does: each listed extract opens whole, no other is left; return ids."""
    wb = open_workbench(settings)
    scientist, officer = people.actor_named(wb, "datascientist"), people.actor_named(wb, "ethics")
    listed = {view.id for view in extracts.list_extracts(wb, scientist)}
    for each in listed - made_before:
        view, tables, _ = extracts.open_tables(wb, scientist, each)
        assert {table["name"]: table["rows"] for table in view.manifest["tables"]} == {
            name: frame.height for name, frame in tables.items()
        }
    assert {path.name for path in settings.extracts.iterdir() if path.is_dir()} == listed
    assert auditing.verify_log(wb, officer).sound
    begun = [entry for entry in auditing.log(wb, officer) if entry.verb == "extract.run"]
    ended = {"done", "aborted", "denied"}
    assert sum(entry.outcome == "intent" for entry in begun) == sum(entry.outcome in ended for entry in begun)
    wb.close()
    return listed


def kills(settings: Settings, request: str, times: int, longest: float) -> None:
    """Kill a run at random moments, look at what is left each time, then let one end."""
    before, draw = check(settings, set()), random.Random(times)
    for _ in range(times):
        run(settings, request, draw.uniform(0.3, longest))
        now = check(settings, before)
        if now != before:
            break
    assert run(settings, request, None) == 0
    assert len(check(settings, before) - before) == 1


def test_killed_at_some_moments(settings: Settings, approved: str) -> None:
    kills(settings, approved, 3, 3.0)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_at_many_moments(settings: Settings, approved: str) -> None:
    kills(settings, approved, 40, 3.5)
