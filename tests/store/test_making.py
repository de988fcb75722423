"""Making folders: whole or absent, whoever dies when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.kernel.errors import Stopped
from workbench.store import documents, jobs, making
from workbench.store.chain import Event
from workbench.store.store import Store

EVENT = Event("ada", "researcher", "test.make")
BODY = {"tables": [], "name": "made"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'app.sqlite'}", create=True)


def make(store: Store, root: Path, *, fail: bool = False) -> None:
    job_id = jobs.queue(store, "ada", "test.make", {})
    with jobs.running(store, root.parent / "jobs", job_id) as job, making.making(store, job, root, EVENT) as made:
        (made.folder / "rows").write_text("content")
        if fail:
            raise Stopped("store.stopped")
        with made.publish("release", "rel-1", BODY):
            pass


def outcomes(store: Store) -> list[str]:
    from workbench.governance import audit

    with store.read() as connection:
        return [entry.outcome for entry in audit.entries(connection)]


def test_a_made_folder_is_whole_listed_and_logged(store: Store, tmp_path: Path) -> None:
    make(store, tmp_path / "releases")
    assert (tmp_path / "releases" / "rel-1" / "rows").read_text() == "content"
    with store.read() as connection:
        assert documents.find(connection, "rel-1") is not None
    assert outcomes(store) == ["intent", "done"]


def test_the_same_content_made_twice_is_kept_once(store: Store, tmp_path: Path) -> None:
    make(store, tmp_path / "releases")
    before = (tmp_path / "releases" / "rel-1" / "rows").stat().st_mtime_ns
    make(store, tmp_path / "releases")
    assert (tmp_path / "releases" / "rel-1" / "rows").stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "releases").iterdir()] == ["rel-1"]


def test_stopped_work_leaves_no_folder_and_an_aborted_entry(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        make(store, tmp_path / "releases", fail=True)
    assert list((tmp_path / "releases").iterdir()) == []
    assert outcomes(store) == ["intent", "aborted"]
    assert jobs.list_jobs(store)[0].state == "stopped"


DIE = """
import os, signal, sys
from pathlib import Path
from workbench.store import jobs, making
from workbench.store.chain import Event
from workbench.store.store import Store
home, where = Path(sys.argv[1]), sys.argv[2]
store = Store.open(f"sqlite:///{home / 'app.sqlite'}", create=True)
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
with jobs.running(store, home / "jobs", jobs.queue(store, "ada", "test.make", {})) as job:
    with making.making(store, job, home / "releases", Event("ada", "researcher", "test.make")) as made:
        (made.folder / "rows").write_text("half")
        if where == "writing":
            die()
        original = store.write
        def dying(event):
            die()
        store.write = dying
        with made.publish("release", "rel-1", {"tables": [], "name": "made"}):
            pass
"""


@pytest.mark.parametrize("where", ["writing", "renamed"])
def test_a_killed_maker_leaves_nothing_after_recovery(store: Store, tmp_path: Path, where: str) -> None:
    killed = subprocess.run([sys.executable, "-c", DIE, str(tmp_path), where], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "releases" / "rel-1").exists() == (where == "renamed")
    assert making.recover(store, tmp_path / "jobs") == ["test.make"]
    assert list((tmp_path / "releases").iterdir()) == []
    assert outcomes(store) == ["intent", "aborted"]
    assert jobs.list_jobs(store)[0].state == "aborted"
    make(store, tmp_path / "releases")
    assert (tmp_path / "releases" / "rel-1" / "rows").read_text() == "content"


def test_recovery_leaves_a_living_job_alone(store: Store, tmp_path: Path) -> None:
    job_id = jobs.queue(store, "ada", "test.make", {})
    with (
        jobs.running(store, tmp_path / "jobs", job_id) as job,
        making.making(store, job, tmp_path / "releases", EVENT) as made,
    ):
        script = f"""
from pathlib import Path
from workbench.store import making
from workbench.store.store import Store
print(making.recover(Store.open("sqlite:///{store.path}", create=False), Path("{tmp_path / "jobs"}")))
"""
        found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert found.stdout.strip() == "[]"
        assert made.folder.exists()
        with made.publish("release", "rel-1", BODY):
            pass


def test_a_job_that_is_asked_to_stop_stops_at_its_next_progress(store: Store, tmp_path: Path) -> None:
    job_id = jobs.queue(store, "ada", "test.make", {})
    jobs.cancel(store, job_id)
    with pytest.raises(Stopped), jobs.running(store, tmp_path / "jobs", job_id) as job:
        job.progress(0.5, "half")
    found = jobs.job(store, job_id)
    assert found is not None
    assert (found.state, found.pid) == ("stopped", os.getpid())
