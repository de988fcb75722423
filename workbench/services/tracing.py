"""The thread, both ways: from anything back to the data release, and forward to all that was made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from workbench.governance.actors import Actor, Role
from workbench.governance.policy import can
from workbench.kernel.errors import Refused
from workbench.services import studies
from workbench.services.context import Workbench, acting
from workbench.store import documents, successors
from workbench.store.documents import Document

ORDER = (
    "release", "cohort_version", "protocol", "request", "approval", "extract", "design", "features", "meds", "model",
    "output", "release_decision", "finding",
)  # fmt: skip
"""The kinds along the thread, from the data to what was learned from it."""


@dataclass(frozen=True)
class Link:
    """One document of the thread: what it is, and which documents it names (member → digest)."""

    kind: str
    id: str
    digest: str
    title: str
    study: str | None
    made_by: str
    made_at: str
    names: dict[str, str]


@dataclass(frozen=True)
class Thread:
    """A document with everything that it stands on (`back`) and everything made of it (`forward`), in thread order."""

    start: Link
    back: tuple[Link, ...]
    forward: tuple[Link, ...]

    @property
    def links(self) -> tuple[Link, ...]:
        """The whole thread through this document, from the release to the models."""
        return tuple(sorted((*self.back, self.start, *self.forward), key=_place))


def trace(wb: Workbench, actor: Actor, ref: str) -> Thread:
    """Walk the thread from an id or digest, back and forward.

    Documents of studies that are not the actor's are left out. Raises `store.no_document` where nothing is found.
    """
    with acting(wb, actor, "trace.read"):
        mine = {study.id for study in studies.list_studies(wb, actor)} if can(actor, "study.read") else set[str]()
        with wb.store.read() as connection:
            start, versions = _found(connection, ref)
            if actor.role is Role.DATA_STEWARD:
                # Who keeps the releases must know what depends on them: ids and digests, never contents.
                mine = {state.id for state in documents.states_of(connection, "study")}
            if start is None or not _visible(start, mine):
                raise Refused("store.no_document", ref=ref)
            back = _walk(connection, start, documents.parents, mine)
            forward = _walk(connection, start, _children, mine)
            for former in versions:
                forward += [each for each in _walk(connection, former, _children, mine) if each not in forward]
            back += [each for each in _explained(connection, [start, *back]) if each not in [*forward, start]]
            return Thread(
                _link(connection, start),
                tuple(sorted((_link(connection, d) for d in back), key=_place)),
                tuple(sorted((_link(connection, d) for d in forward), key=_place)),
            )


def _found(connection: Connection, ref: str) -> tuple[Document | None, list[Document]]:
    """Return the document of an id or digest. Of a study's name its valid protocol, and those that were or may become
    it: what was made under another one belongs to the study too."""
    found, study = documents.find(connection, ref), documents.state(connection, "study", ref)
    if study is None or found is None or found.kind != "protocol":
        return found, []
    versions = [each for each in documents.every(connection, "protocol", study=ref) if each.digest != study.digest]
    return documents.find(connection, study.digest), versions


def _walk(
    connection: Connection,
    start: Document,
    step: Callable[[Connection, str], list[tuple[str, Document]]],
    mine: set[str],
) -> list[Document]:
    seen: dict[str, Document] = {}
    waiting = [start]
    while waiting:
        for _, document in step(connection, waiting.pop().digest):
            if document.digest not in seen and _visible(document, mine):
                seen[document.digest] = document
                waiting.append(document)
    return list(seen.values())


def _children(connection: Connection, digest: str) -> list[tuple[str, Document]]:
    """Return what names a document; of a release also what names those from which persons were erased since."""
    return [each for old in successors.formers(connection, digest) for each in documents.children(connection, old)]


def _explained(connection: Connection, found: list[Document]) -> list[Document]:
    """Return, for the releases among some documents that were erased, the tombstones and what stands for them."""
    result: dict[str, Document] = {}
    for document in found:
        digest = document.digest
        while document.kind == "release" and (after := successors.successor_of(connection, digest)):
            stands = documents.find(connection, after)
            tombs = [each for _, each in documents.children(connection, digest) if each.kind == "erasure"]
            result |= {each.digest: each for each in [*tombs, *([stands] if stands else [])]}
            digest = after
    return list(result.values())


def _visible(document: Document, mine: set[str]) -> bool:
    return document.study is None or document.study in mine


def _link(connection: Connection, document: Document) -> Link:
    return Link(
        kind=document.kind,
        id=document.id,
        digest=document.digest,
        title=str(document.body.get("title") or document.body.get("name") or document.body.get("kind") or ""),
        study=document.study,
        made_by=document.made_by,
        made_at=document.made_at,
        names={path: parent.digest for path, parent in documents.parents(connection, document.digest)},
    )


def _place(link: Link) -> tuple[int, str, str]:
    return (place(link.kind), link.made_at, link.id)


def place(kind: str) -> int:
    """Return where documents of a kind stand along the thread; those that are not part of it come last."""
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
