"""Making folders (releases, extracts, features, models) so that a listed one is always whole.

intent entry → written aside → flushed → renamed → one transaction with the document and the `done` entry.
A process that dies in between leaves an intent; `recover` removes what it left and writes `aborted`.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update

from workbench.kernel.errors import UserError
from workbench.store import documents, files, jobs
from workbench.store.chain import Event
from workbench.store.store import Store, Write
from workbench.store.tables import intents


class Making:
    """A folder being made: write into `folder`, then `publish` once."""

    def __init__(self, store: Store, root: Path, event: Event, intent: int) -> None:
        self.store, self.root, self.event, self.intent = store, root, event, intent
        self.folder = root / f".partial-{intent}"
        self.published = False
        self.target: str | None = None

    @contextmanager
    def publish(self, kind: str, document_id: str, body: Mapping[str, Any], *, inner: str = "") -> Generator[Write]:
        """Rename the folder (or its folder `inner`) to its id, keep its document, give the transaction for the rest.

        The same content made twice has the same id: then the folder already there is kept, and nothing is replaced.
        """
        final = self.root / document_id
        source = self.folder / inner
        if not final.exists():
            files.sync_tree(source)
            # Named before the rename: a process that dies between the two leaves a folder that recovery can find.
            self.target = document_id
            with self.store.bookkeeping() as connection:
                connection.execute(update(intents).where(intents.c.id == self.intent).values(target=document_id))
            source.rename(final)
            files.sync(self.root)
        shutil.rmtree(self.folder, ignore_errors=True)
        done = replace(self.event, outcome="done", payload={**self.event.payload, "intent": self.intent})
        with self.store.write(done) as write:
            write.event.subject = document_id
            write.event.after = documents.put(write, kind, document_id, body, study=self.event.study)
            write.connection.execute(delete(intents).where(intents.c.id == self.intent))
            yield write
        self.published = True


@contextmanager
def making(store: Store, job: jobs.Job, root: Path, event: Event) -> Generator[Making]:
    """Give a folder aside, below `root`; if the block does not publish it, it is removed and `aborted` is logged."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with store.write(replace(event, outcome="intent")) as write:
        values = {"job": job.id, "root": str(root), "event": asdict(event)}
        intent = int(write.connection.execute(insert(intents).values(values).returning(intents.c.id)).scalar_one())
        write.event.payload = {**event.payload, "intent": intent}
    made = Making(store, root, event, intent)
    try:
        with files.user_errors(root):
            made.folder.mkdir(mode=0o700)
            yield made
    except BaseException as error:
        if not made.published:
            _remove_unlisted(store, root, made.target)
            _abort(store, made.folder, event, intent, error.code if isinstance(error, UserError) else "error")
        raise


def _abort(store: Store, partial: Path, event: Event, intent: int, reason: str) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    aborted = replace(event, outcome="aborted", reason=reason, payload={**event.payload, "intent": intent})
    with store.write(aborted) as write:
        write.connection.execute(delete(intents).where(intents.c.id == intent))


def recover(store: Store, job_folder: Path) -> list[str]:
    """Clean up after processes that died: remove what they left half made, write `aborted`, return the verbs."""
    guard = jobs.try_lock(job_folder / "recovery.lock")
    if guard is None:  # another process is at it
        return []
    with guard:
        return _recover(store, job_folder)


def _recover(store: Store, job_folder: Path) -> list[str]:
    recovered: list[str] = []
    for job_id in jobs.dead(store, job_folder):
        with store.read() as connection:
            rows = connection.execute(select(intents).where(intents.c.job == job_id)).all()
        for row in rows:
            root, event = Path(row.root), Event(**row.event)
            _remove_unlisted(store, root, row.target)
            _abort(store, root / f".partial-{row.id}", event, row.id, "process ended")
            recovered.append(event.verb)
        jobs.mark_aborted(store, job_folder, job_id)
    return recovered


def _remove_unlisted(store: Store, root: Path, target: str | None) -> None:
    """Remove a folder that was renamed into place when its transaction never came: nobody was told of it."""
    if target is None:
        return
    with store.read() as connection:
        listed = documents.find(connection, target)
        makers = connection.execute(select(intents.c.id).where(intents.c.target == target)).all()
    if listed is None and len(makers) <= 1:  # a second maker of the same content still needs it
        shutil.rmtree(root / target, ignore_errors=True)
