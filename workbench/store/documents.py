"""Documents by digest, their states, and the links between them: the thread, as two tables and a few queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from workbench.kernel import clock
from workbench.kernel.digest import digest_document, digest_manifest
from workbench.kernel.errors import InvalidInput, Refused
from workbench.store.store import Write
from workbench.store.tables import documents, links, states

MANIFESTS = frozenset({"release", "extract", "features", "meds"})
"""The kinds whose identity leaves the `files` of their tables out."""


@dataclass(frozen=True)
class Document:
    """A stored document: its kind, id, digest, study, who made it and when, and its body."""

    digest: str
    kind: str
    id: str
    study: str | None
    made_by: str
    made_at: str
    body: dict[str, Any]


@dataclass(frozen=True)
class State:
    """Where something stands in its life cycle; `digest` is the document that is valid now."""

    kind: str
    id: str
    digest: str
    study: str | None
    state: str
    expires_on: str | None
    changed_at: str


def identity(kind: str, body: Mapping[str, Any]) -> str:
    """Return a document's digest by its kind's rule (manifests leave `files` out)."""
    return digest_manifest(body) if kind in MANIFESTS else digest_document(body)


def put(write: Write, kind: str, document_id: str, body: Mapping[str, Any], *, study: str | None = None) -> str:
    """Keep a document and the links to every document that it names; return its digest. Keeping it twice is one."""
    digest = identity(kind, body)
    connection = write.connection
    if connection.execute(select(documents.c.digest).where(documents.c.digest == digest)).first():
        return digest
    connection.execute(
        insert(documents).values(
            digest=digest,
            kind=kind,
            id=document_id,
            study=study,
            made_by=write.event.actor,
            made_at=clock.timestamp(),
            body=dict(body),
        )
    )
    named = dict(_digests(body, ""))
    known = set(connection.execute(select(documents.c.digest).where(documents.c.digest.in_(named.values()))).scalars())
    rows = [{"child": digest, "relation": path, "parent": parent} for path, parent in named.items() if parent in known]
    if rows:
        connection.execute(insert(links), rows)
    return digest


def _digests(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if len(value) == 64 and all(letter in "0123456789abcdef" for letter in value):
            yield path, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _digests(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for position, part in enumerate(value):
            yield from _digests(part, f"{path}.{position}")


def _document(row: RowMapping) -> Document:
    return Document(**{name: row[name] for name in Document.__annotations__})


def find(connection: Connection, ref: str) -> Document | None:
    """Return the document with an id, a digest or a digest's first digits (8 or more); the newest for a study's id.

    Raises `store.ambiguous` where the digits fit several.
    """
    newest = select(documents).where(documents.c.id == ref).order_by(documents.c.made_at.desc())
    by_id = connection.execute(newest).mappings().first()
    if by_id:
        return _document(by_id)
    digits = ref.lower()
    if len(digits) < 8 or any(letter not in "0123456789abcdef" for letter in digits):
        return None
    rows = connection.execute(select(documents).where(documents.c.digest.startswith(digits)).limit(3)).mappings().all()
    if len(rows) > 1:
        raise InvalidInput("store.ambiguous", ref=ref, count=len(rows))
    return _document(rows[0]) if rows else None


def is_named(connection: Connection, text: str) -> bool:
    """Answer whether something kept here (a document, or what has a state) has this very id or digest."""
    known = select(documents.c.id).where((documents.c.id == text) | (documents.c.digest == text)).limit(1)
    standing = select(states.c.id).where(states.c.id == text).limit(1)
    return any(connection.execute(query).first() is not None for query in (known, standing))


def every(connection: Connection, kind: str, *, study: str | None = None) -> list[Document]:
    """Return all documents of a kind, oldest first."""
    query = select(documents).where(documents.c.kind == kind)
    if study is not None:
        query = query.where(documents.c.study == study)
    return [
        _document(row) for row in connection.execute(query.order_by(documents.c.made_at, documents.c.id)).mappings()
    ]


def parents(connection: Connection, digest: str) -> list[tuple[str, Document]]:
    """Return what a document names, as (path in the document, document)."""
    query = select(links.c.relation, documents).join(documents, documents.c.digest == links.c.parent)
    rows = connection.execute(query.where(links.c.child == digest).order_by(links.c.relation)).mappings().all()
    return [(row["relation"], _document(row)) for row in rows]


def children(connection: Connection, digest: str) -> list[tuple[str, Document]]:
    """Return what names a document, as (path in the naming document, document)."""
    query = select(links.c.relation, documents).join(documents, documents.c.digest == links.c.child)
    rows = connection.execute(query.where(links.c.parent == digest).order_by(documents.c.made_at)).mappings().all()
    return [(row["relation"], _document(row)) for row in rows]


def state(connection: Connection, kind: str, state_id: str) -> State | None:
    """Return where something stands, or None where it never began."""
    row = connection.execute(select(states).where(states.c.kind == kind, states.c.id == state_id)).mappings().first()
    return State(**dict(row)) if row else None


def states_of(connection: Connection, kind: str) -> list[State]:
    """Return every state of a kind, the latest change first."""
    rows = connection.execute(select(states).where(states.c.kind == kind).order_by(states.c.changed_at.desc()))
    return [State(**dict(row)) for row in rows.mappings()]


def set_state(write: Write, new: State) -> None:
    """Record where something stands from now on."""
    connection = write.connection
    connection.execute(delete(states).where(states.c.kind == new.kind, states.c.id == new.id))
    connection.execute(
        insert(states).values(
            kind=new.kind,
            id=new.id,
            digest=new.digest,
            study=new.study,
            state=new.state,
            expires_on=new.expires_on,
            changed_at=clock.timestamp(),
        )
    )


def check_unchanged(write: Write, seen: State | None, kind: str, state_id: str) -> None:
    """Check, inside the writing transaction, that something stands where it was when it was judged.

    Between judging and writing another person may have decided: raises `Refused` (`store.changed_meanwhile`).
    """
    if state(write.connection, kind, state_id) != seen:
        raise Refused("store.changed_meanwhile", id=state_id)


def move_state(write: Write, kind: str, state_id: str, to: str) -> None:
    """Change the state's name only."""
    change = update(states).where(states.c.kind == kind, states.c.id == state_id)
    write.connection.execute(change.values(state=to, changed_at=clock.timestamp()))
