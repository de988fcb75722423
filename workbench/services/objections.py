"""Objections to a study: persons who stay in the warehouse and are left out of one study, or of all, from then on.

Reversible, unlike an erasure. Kept as keyed digests of ids; the study's own pseudonym key finds the persons in what was
made before. The persons of a sensitive class, listed by the hospital, are kept and left out in the same way, but for
studies whose protocol names the class. What was made is named, not changed: an extract is sealed, its digest was
approved. Opening it leaves these persons out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection

from workbench.extracts.read import read_table
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.oppositions import Register, mark
from workbench.governance.pseudonyms import pseudonymize
from workbench.governance.sensitive import check_person_class
from workbench.kernel.digest import digest_document, short
from workbench.kernel.errors import InvalidInput, Refused, UserError
from workbench.kernel.schemas import validate
from workbench.services.context import Workbench, acting, event
from workbench.services.erased_releases import LARGEST, Made, made_of
from workbench.services.releases import current_release
from workbench.store import documents
from workbench.store.documents import Document, State
from workbench.store.store import Write

OBJECTION: Final = "objection"
ACTIVE, WITHDRAWN = "active", "withdrawn"


@dataclass(frozen=True)
class ObjectionView:
    """An objection as people see it: `study` (None: every study, present and future), `state` active or withdrawn,
    `persons` counts them. `sensitive` is the class of which they are, where nobody objected. `concerned` was made
    before with rows of one of them, and waits for a decision."""

    id: str
    digest: str
    state: str
    study: str | None
    persons: int
    made_by: str
    made_at: str
    concerned: tuple[Made, ...]
    sensitive: str | None = None


def persons_of(text: str) -> set[int]:
    """Return the ids of persons written one a line; a blank line counts for nothing.

    Raises `InvalidInput` (`erasure.not_a_person`), which names the line and never what stands there.
    """
    found: set[int] = set()
    for line, word in enumerate(text.splitlines(), start=1):
        if word.strip():
            try:
                found.add(int(word))
            except ValueError:
                raise InvalidInput("erasure.not_a_person", line=line) from None
    return found


def add(
    wb: Workbench, actor: Actor, persons: Iterable[int], study: str | None = None, sensitive: str | None = None
) -> ObjectionView:
    """Leave persons, by their `person_id`, out of a study (of every study without one) from now on; those of a
    `sensitive` class out of every study whose protocol does not name it.

    The same persons and study twice are one objection; one that was withdrawn holds again. Raises `erasure.nobody`
    without any, `governance.unknown_class` for a class that has no persons, `store.no_document` where there is no
    such study.
    """
    with acting(wb, actor, "optout.add", study=study):
        named = set(persons)
        if not named or any(not -LARGEST <= person <= LARGEST for person in named):
            raise InvalidInput("erasure.nobody")
        if sensitive is not None:
            check_person_class(sensitive)
        key = wb.keys.opposition_key()
        marks = sorted(mark(key, person) for person in named)
        body: dict[str, Any] = {"format": "workbench/objection/1", "scope": "study", "study": study, "persons": marks}
        body |= {} if sensitive is None else {"class": sensitive}
        validate(body, OBJECTION)
        found = f"obj-{short(digest_document(body))}"
        concerned = [made.id for made in _concerned(wb, sorted(named), study, sensitive)]
        facts = {"study": study, "subject": found, "payload": {"persons": len(marks), "concerned": concerned}}
        with wb.store.write(event(actor, "optout.add", **facts)) as write:
            if study is not None and documents.state(write.connection, "study", study) is None:
                raise Refused("store.no_document", ref=study)
            write.event.after = documents.put(write, OBJECTION, found, body)
            documents.set_state(write, State(OBJECTION, found, write.event.after, study, ACTIVE, None, ""))
    return show_objection(wb, actor, found)


def unknown(wb: Workbench, actor: Actor, persons: Iterable[int]) -> int:
    """Return how many of some ids are nobody's in the current release: a slip of the pen, or somebody who comes with a
    later load. Whoever records an opposition has the ids; the log is told nothing of it."""
    with acting(wb, actor, "optout.add"):
        named = pa.array(sorted({each for each in persons if -LARGEST <= each <= LARGEST}), pa.int64())
        try:
            table = current_release(wb).tables["person"]
        except UserError:  # nothing was loaded yet
            return len(named)
        known = pq.read_table(table, columns=["person_id"])["person_id"]
        return len(named) - (pc.sum(pc.is_in(named, value_set=pc.unique(known))).as_py() or 0)


def withdraw(wb: Workbench, actor: Actor, ref: str, reason: str) -> ObjectionView:
    """End an objection: its persons may be in the study's extracts again. Raises `governance.reason_needed`,
    `store.no_document`, `services.objection_withdrawn`."""
    with acting(wb, actor, "optout.withdraw", subject=ref):
        if not reason.strip():
            raise Refused("governance.reason_needed", transition="withdraw")
        view = show_objection(wb, actor, ref)
        facts = {"study": view.study, "subject": view.id, "before": view.digest, "reason": reason}
        with wb.store.write(event(actor, "optout.withdraw", **facts)) as write:
            state = documents.state(write.connection, OBJECTION, view.id)
            if state is None or state.state != ACTIVE:
                raise Refused("services.objection_withdrawn", objection=view.id)
            documents.move_state(write, OBJECTION, view.id, WITHDRAWN)
    return show_objection(wb, actor, ref)


def list_objections(wb: Workbench, actor: Actor) -> list[ObjectionView]:
    """Return every objection to a study or to all, the newest first."""
    with acting(wb, actor, "optout.read"), wb.store.read() as connection:
        states = {state.id: state.state for state in documents.states_of(connection, OBJECTION)}
        return [_view(connection, each, states[each.id]) for each in reversed(documents.every(connection, OBJECTION))]


def show_objection(wb: Workbench, actor: Actor, ref: str) -> ObjectionView:
    """Return one objection by id or digest; raises `store.no_document`."""
    for view in list_objections(wb, actor):
        if ref in (view.id, view.digest):
            return view
    raise Refused("store.no_document", ref=ref)


def _view(connection: Connection, document: Document, state: str) -> ObjectionView:
    told = audit.payloads_of(connection, ["optout.add"], document.digest)
    ids = dict.fromkeys(name for payload in told for name in payload.get("concerned", ()))
    found = (documents.find(connection, name) for name in ids)
    return ObjectionView(
        id=document.id,
        digest=document.digest,
        state=state,
        study=document.body["study"],
        persons=len(document.body["persons"]),
        made_by=document.made_by,
        made_at=document.made_at,
        concerned=tuple(Made(each.kind, each.id, each.study) for each in found if each),
        sensitive=document.body.get("class"),
    )


def _concerned(wb: Workbench, persons: Sequence[int], study: str | None, sensitive: str | None) -> Iterator[Made]:
    """Yield extracts that hold one of some persons, and the features and models made of those."""
    with wb.store.read() as connection:
        states = [state for state in documents.states_of(connection, "extract") if study in (None, state.study)]
        for state in states:
            document = documents.find(connection, state.digest)
            if state.study is not None and sensitive in _named(connection, state.study):
                continue
            if document is not None and state.study is not None and _holds(wb, document, state.study, persons):
                yield Made(document.kind, document.id, document.study)
                yield from made_of(connection, document)


def _holds(wb: Workbench, extract: Document, study: str, persons: Sequence[int]) -> bool:
    """Answer whether an extract has a row of one of some persons; yes where nobody can open it any more, since what was
    made of it, and copies, may hold them."""
    try:
        secret = wb.keys.pseudonym_secret_of(study, extract.body["key_commitment"])
        theirs = pseudonymize(secret, "person", list(persons)).values
        rows = read_table(wb.settings.extracts / extract.id, "cohort", wb.keys.study_secret(study, "data"))
    except UserError:
        return True
    return bool(rows.get_column("person_id").is_in(theirs.tolist()).any())


def active(connection: Connection, study: str) -> list[Document]:
    """Return the objections that hold for a study now, those to all studies included, and the lists of persons of
    sensitive classes that its protocol does not name."""
    named = _named(connection, study)
    states = {state.id for state in documents.states_of(connection, OBJECTION) if state.state == ACTIVE}
    return [
        each
        for each in documents.every(connection, OBJECTION)
        if each.id in states and each.body["study"] in (None, study) and each.body.get("class") not in named
    ]


def _named(connection: Connection, study: str) -> frozenset[str]:
    """The sensitive classes that the protocol of a study names."""
    state = documents.state(connection, "study", study)
    protocol = documents.find(connection, state.digest) if state is not None else None
    return frozenset(protocol.body["sensitive_classes"]) if protocol is not None else frozenset()


def check_unchanged(write: Write, study: str, applied: Sequence[Document]) -> None:
    """Check, inside the writing transaction, that what was made left out whoever objects now. Raises `Refused`
    (`store.changed_meanwhile`)."""
    now = {each.digest for each in active(write.connection, study)}
    if now != {each.digest for each in applied}:
        raise Refused("store.changed_meanwhile", id=study)


def concern(wb: Workbench, applied: Sequence[Document], rows: pa.Table) -> bool:
    """Answer whether somebody of a cohort's rows (`subject_id`) objects."""
    return len(_objecting(wb, applied, rows)) > 0


def without(wb: Workbench, applied: Sequence[Document], rows: pa.Table) -> pa.Table:
    """Return rows of a cohort (`subject_id`) without those of persons who object."""
    theirs = _objecting(wb, applied, rows)
    return rows.filter(pc.invert(pc.is_in(rows["subject_id"], value_set=theirs))) if len(theirs) else rows


def without_pseudonyms(
    wb: Workbench, applied: Sequence[Document], study: str, cohort: pa.Table, tables: Mapping[str, pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    """Return the tables of an extract without the rows of persons who object; `cohort` has the real ids."""
    theirs = _objecting(wb, applied, cohort).to_numpy()
    if not len(theirs):
        return dict(tables)
    # All of the cohort, as when the extract was made: two ids of one pseudonym are told apart alike.
    made = pseudonymize(wb.keys.study_secret(study, "pseudonym"), "person", cohort["subject_id"].to_numpy())
    gone = made.values[np.isin(made.ids, theirs)].tolist()
    return {
        name: rows.filter(~pl.col("person_id").is_in(gone)) if "person_id" in rows.columns else rows
        for name, rows in tables.items()
    }


def _objecting(wb: Workbench, applied: Sequence[Document], rows: pa.Table) -> pa.Array:
    marks = [each for document in applied for each in document.body["persons"]]
    if not marks:
        return pa.array([], pa.int64())
    ids = rows["subject_id"].unique().to_numpy()
    return pa.array(Register(wb.keys.opposition_key(), marks)(ids), pa.int64())
