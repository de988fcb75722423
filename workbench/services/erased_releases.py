"""Oppositions and erased releases, as the other services need them: light, so that a home opens quickly."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from workbench.governance.oppositions import Register
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, silent
from workbench.services import holding
from workbench.store import documents, successors
from workbench.store.documents import Document

if TYPE_CHECKING:
    from workbench.services.context import Workbench

OPPOSITION: Final = "opposition"
ERASED: Final = "release.erase"
"""The verb under which the log names each release that was made without some persons."""


LARGEST: Final = 2**63 - 1
"""The largest id of a person."""


@dataclass(frozen=True)
class Made:
    """What was made before with rows of somebody who objected since, and is not changed by it."""

    kind: str
    id: str
    study: str | None


def made_of(connection: Connection, document: Document) -> Iterator[Made]:
    """Yield the features, MEDS forms and models that were made of something."""
    for _, child in documents.children(connection, document.digest):
        if child.kind in {"features", "meds", "model"}:
            yield Made(child.kind, child.id, child.study)
            yield from made_of(connection, child)


def objecting(wb: Workbench) -> Register | None:
    """Return who objects to being in the warehouse, pending orders included; None where nobody does."""
    with wb.store.read() as connection:
        orders = documents.every(connection, OPPOSITION)
    marks = [mark for order in orders for mark in order.body["persons"]]
    return Register(wb.keys.opposition_key(), marks) if marks else None


def pending(wb: Workbench) -> list[Document]:
    """Return the orders that are not carried out yet, the first filed first."""
    with wb.store.read() as connection:
        waiting = {state.digest for state in documents.states_of(connection, OPPOSITION) if state.state == "pending"}
        return [order for order in documents.every(connection, OPPOSITION) if order.digest in waiting]


def check_none_pending(wb: Workbench) -> None:
    """Raise `Refused` (`erasure.pending`) where persons who object may still be in a release."""
    if pending(wb):
        raise Refused("erasure.pending", count=len(pending(wb)))


def sweep(wb: Workbench, patience: float = 0.0, progress: Progress = silent) -> list[str]:
    """Remove what is left of erased releases: folders and caches. Also at each opening: a process may have died.

    Waits up to `patience` seconds for those who read one of them; returns the ids of those that are still read then.
    """
    with wb.store.read() as connection:
        ids = [found.id for state in successors.erased(connection) if (found := documents.find(connection, state.id))]
    end = time.monotonic() + patience
    return [release for release in ids if not _remove(wb, release, end - time.monotonic(), progress)]


def _remove(wb: Workbench, release: str, patience: float, progress: Progress) -> bool:
    """Remove a release and its caches, if nobody reads it; answer whether it is gone."""
    folder, cache = wb.settings.releases / release, wb.settings.cache / release
    aside = folder.with_name(f".erased-{release}")
    if not any(place.exists() for place in (folder, cache, aside)):
        return True
    with holding.removing(wb, release, patience, progress) as nobody_reads:
        if nobody_reads:
            with suppress(FileNotFoundError):
                folder.rename(aside)  # a process that dies now leaves no release that lacks files
            for place in (aside, cache):
                shutil.rmtree(place, ignore_errors=True)
    return nobody_reads
