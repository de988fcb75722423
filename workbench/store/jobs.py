"""Jobs: one row and one held lock file each, so that a job whose process died is known for dead at once.

The lock (`flock`) goes with its process, however it ends; a process id alone could belong to somebody else by now.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import and_, insert, or_, select, update

from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import Stopped, UserError
from workbench.store.store import Store
from workbench.store.tables import jobs

BEAT_SECONDS = 0.3
START_SECONDS = 60


@dataclass(frozen=True)
class JobRow:
    """A job as people see it: `state` is queued, running, done, failed, stopped or aborted; `share` is per mille."""

    id: int
    actor: str
    verb: str
    args: dict[str, Any]
    args_digest: str
    state: str
    progress: str
    share: int
    cancel: int
    result_digest: str | None
    error: str | None
    pid: int | None
    heartbeat: str | None


class Job:
    """A running job: call `progress` often; it raises `Stopped` once a person asked to stop."""

    def __init__(self, store: Store, job_id: int) -> None:
        self.store = store
        self.id = job_id
        self.result_digest: str | None = None
        self._last_beat = 0.0

    def progress(self, share: float, message: str) -> None:
        """Record the share done (0..1) and a short text, at most every 0.3 seconds."""
        moment = time.monotonic()
        if moment - self._last_beat < BEAT_SECONDS and share < 1:
            return
        self._last_beat = moment
        with self.store.bookkeeping() as connection:
            values = {"share": round(share * 1000), "progress": message, "heartbeat": clock.timestamp()}
            connection.execute(update(jobs).where(jobs.c.id == self.id).values(values))
            cancelled = connection.execute(select(jobs.c.cancel).where(jobs.c.id == self.id)).scalar()
        if cancelled:
            raise Stopped("store.stopped")


def queue(store: Store, actor: str, verb: str, args: Mapping[str, Any]) -> int:
    """Add a job that a worker process will run; return its number."""
    with store.bookkeeping() as connection:
        row = insert(jobs).values(
            actor=actor,
            verb=verb,
            args=dict(args),
            args_digest=digest_document(args),
            state="queued",
            progress="",
            heartbeat=clock.timestamp(),
        )
        return int(connection.execute(row.returning(jobs.c.id)).scalar_one())


@contextmanager
def running(store: Store, folder: Path, job_id: int) -> Generator[Job]:
    """Run the block as a job: its lock held, its end recorded, whichever way it ends."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_file(folder, job_id).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        _set(store, job_id, state="running", pid=os.getpid(), heartbeat=clock.timestamp())
        job = Job(store, job_id)
        try:
            yield job
        except Stopped:
            _set(store, job_id, state="stopped", error="store.stopped")
            raise
        except UserError as error:
            _set(store, job_id, state="failed", error=error.code)
            raise
        except BaseException as error:
            # The kind of a bug only: its text may quote data.
            _set(store, job_id, state="failed", error=type(error).__name__)
            raise
        else:
            _set(store, job_id, state="done", share=1000, result_digest=job.result_digest)
        finally:
            lock_file(folder, job_id).unlink(missing_ok=True)


def _set(store: Store, job_id: int, **values: object) -> None:
    with store.bookkeeping() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def lock_file(folder: Path, job_id: int) -> Path:
    """Return the path of a job's lock file."""
    return folder / f"{job_id}.lock"


def try_lock(path: Path) -> IO[str] | None:
    """Take a lock file if nobody holds it; keep the returned file open for as long as the lock is meant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = path.open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        return None
    return held


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Generator[None]:
    """Hold a lock file for the block, alone or (`shared`) with others who share it, waiting for whoever holds it."""
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def dead(store: Store, folder: Path) -> list[int]:
    """Return the jobs whose process is gone: nobody holds their lock any more, or no worker came in a minute."""
    late = (clock.now() - timedelta(seconds=START_SECONDS)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    never_begun = and_(jobs.c.state == "queued", jobs.c.heartbeat < late)
    with store.read() as connection:
        open_jobs = list(
            connection.execute(select(jobs.c.id).where(or_(jobs.c.state == "running", never_begun))).scalars()
        )
    gone: list[int] = []
    for job_id in open_jobs:
        held = try_lock(lock_file(folder, job_id))
        if held is not None:
            gone.append(job_id)
            held.close()
    return gone


def mark_aborted(store: Store, folder: Path, job_id: int) -> None:
    """Record that a job's process died."""
    _set(store, job_id, state="aborted", error="process ended")
    lock_file(folder, job_id).unlink(missing_ok=True)


def cancel(store: Store, job_id: int) -> None:
    """Ask a job to stop at its next progress."""
    _set(store, job_id, cancel=1)


def list_jobs(store: Store, *, limit: int = 50) -> list[JobRow]:
    """Return the newest jobs first."""
    with store.read() as connection:
        rows = connection.execute(select(jobs).order_by(jobs.c.id.desc()).limit(limit)).mappings().all()
    return [JobRow(**dict(row)) for row in rows]


def job(store: Store, job_id: int) -> JobRow | None:
    """Return one job, or None."""
    with store.read() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
    return JobRow(**dict(row)) if row else None
