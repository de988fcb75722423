"""The yearly check of a release's catalogue record (Regulation (EU) 2025/327, article 77): dated, by a steward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from workbench.governance.actors import Actor
from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.services import account_review, catalogue
from workbench.services.account_review import Due
from workbench.services.catalogue import Record
from workbench.services.context import RETIRED, Workbench, acting, event
from workbench.services.releases import show_release
from workbench.store import documents, successors
from workbench.store.documents import Document, State

CHECK: Final = "catalogue_check"


@dataclass(frozen=True)
class Checked:
    """A record as it was checked: the release's id, the digest of the record, what it lacks, when it is owed again."""

    id: str
    digest: str
    missing: tuple[str, ...]
    due: Due


def check_record(wb: Workbench, actor: Actor, ref: str, facts: Mapping[str, Any] | None = None) -> Checked:
    """Note that a data steward read a release's catalogue record, with the holder's `facts`, and found it right.

    The log has the day, the digest of the record and what it lacks. Raises as `catalogue.record`.
    """
    with acting(wb, actor, "release.catalogue", subject=ref):
        view = show_release(wb, actor, ref)
        made: Record = catalogue.record(wb, actor, view.id, facts)
        digest = digest_document(made.document)
        checked = event(actor, "release.catalogue", subject=view.id, before=view.digest)
        checked.payload = {"record": digest, "missing": list(made.missing)}
        with wb.store.write(checked) as write:
            documents.set_state(write, State(CHECK, view.id, view.digest, None, "checked", None, ""))
    return Checked(view.id, digest, made.missing, checks_due(wb)[view.id])


def checks_due(wb: Workbench) -> dict[str, Due]:
    """Return, by the id of each release that stands, when its record was last checked and when it is owed: a year
    after that, or after the release was loaded."""
    with wb.store.read() as connection:
        checked = {state.id: clock.day_of(state.changed_at) for state in documents.states_of(connection, CHECK)}
        gone = {state.id for state in documents.states_of(connection, RETIRED) if state.state == "retired"}
        gone |= {state.id for state in successors.erased(connection)}
        found = [each for each in documents.every(connection, "release") if each.id not in gone]
    return {each.id: _due(wb, each, checked.get(each.id)) for each in found}


def _due(wb: Workbench, release: Document, last: date | None) -> Due:
    return account_review.due_after(wb, last, last or clock.day_of(release.made_at))
