"""The evidence pack: all that proves who got which data, why, and what was made of it, in one signed archive.

It is drawn from the thread through one document: every document of it, every entry of the log about it, a page to read
in French and in English, and the program that checks all this elsewhere. Documents are whole, but for releases and
cohort versions: their numbers of persons are those that people see, so their digests can be computed again in the
workbench alone. Nothing in it says when it was made, so the same state of the thread gives the same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import Connection

from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.kernel.digest import canonical_json, digest_bytes
from workbench.kernel.text import LANGS
from workbench.services import cohorts, concept_limits, evidence_page, people, tracing
from workbench.services.context import Workbench, acting, event
from workbench.services.release_view import governed_body as governed_release
from workbench.store import documents
from workbench.store.documents import Document

FORMAT: Final = "workbench/evidence/1"
TAKEN: Final = "audit.export"
"""Entries of this verb are left out: taking a pack is one, and a pack made twice is the same."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Pack:
    """A pack: the thing it is about, the digest of its evidence and the archive's bytes (ZIP)."""

    id: str
    digest: str
    content: bytes


def pack(wb: Workbench, actor: Actor, ref: str) -> Pack:
    """Return the evidence pack of a study, request, extract, model or release, by id or digest; the taking is logged.

    Raises `store.no_document` where nothing is found, `Refused` for anybody but an ethics officer.
    """
    with acting(wb, actor, "audit.evidence", subject=ref):
        found = collect(wb, actor, ref)
        content = {"evidence.json": canonical_json(found), "verify.py": _verifier()}
        content |= {f"evidence.{lang}.html": evidence_page.page(found, lang).encode() for lang in LANGS}
        digest = digest_bytes(content["evidence.json"])
        signature = _sign(wb, {name: digest_bytes(each) for name, each in sorted(content.items())})
        content["signature.json"] = json.dumps(signature, indent=1).encode() + b"\n"
        subject = found["subject"]["id"]
        with wb.store.write(event(actor, TAKEN, subject=subject, after=digest, payload={"what": "evidence"})):
            pass
    return Pack(subject, digest, _archive(content))


def collect(wb: Workbench, actor: Actor, ref: str) -> dict[str, Any]:
    """Return the evidence itself as JSON values: subject, documents, entries of the log, people, last entry."""
    thread = tracing.trace(wb, actor, ref)
    with wb.store.read() as connection:
        chain = _with_all_named(connection, [link.digest for link in thread.links])
        entries = _entries(connection, chain)
    names = {entry["actor"] for entry in entries} | {document.made_by for document in chain}
    last = entries[-1] if entries else {"seq": 0, "hash": audit.GENESIS}
    return {
        "format": FORMAT,
        "subject": {"kind": thread.start.kind, "id": thread.start.id, "digest": thread.start.digest},
        "as_of": {"seq": last["seq"], "hash": last["hash"]},
        "people": {each.name: each.display for each in people.people(wb) if each.name in names},
        "documents": [_told(wb, document) for document in chain],
        **_concepts(wb, actor, chain),
        "entries": entries,
    }


def _concepts(wb: Workbench, actor: Actor, chain: list[Document]) -> dict[str, Any]:
    """Return the member `concepts`, only where a document limits tables: its digest → table → concepts by name."""
    release = {document.digest: document.body["release"] for document in chain if document.kind == "protocol"}
    found = {
        document.digest: concept_limits.in_both_languages(
            wb, actor, release[document.body.get("protocol", document.digest)], document.body["concepts"]
        )
        for document in chain
        if document.kind in {"protocol", "request"} and "concepts" in document.body
    }
    return {"concepts": found} if found else {}


def _told(wb: Workbench, document: Document) -> dict[str, Any]:
    """Return a document as the pack holds it; `governed` says that its numbers are not those of its digest."""
    if document.kind == "cohort_version":
        return {**asdict(document), "body": cohorts.governed_body(wb, document), "governed": True}
    if document.kind == "release":
        return {**asdict(document), "body": governed_release(document.body), "governed": True}
    return asdict(document)


def _with_all_named(connection: Connection, digests: list[str]) -> list[Document]:
    """Return documents and all that they stand on, in the thread's order: a proof leaves no name open."""
    kept: dict[str, Document] = {}
    waiting = [each for digest in digests if (each := documents.find(connection, digest))]
    while waiting:
        document = waiting.pop()
        if document.digest not in kept:
            kept[document.digest] = document
            waiting += [parent for _, parent in documents.parents(connection, document.digest)]
    return sorted(kept.values(), key=lambda each: (tracing.place(each.kind), each.made_at, each.id))


def _entries(connection: Connection, chain: list[Document]) -> list[dict[str, Any]]:
    """Return the log's entries about a study of the thread, and those about its documents that belong to no study."""
    studies = {document.study for document in chain} - {None}
    ids, digests = {document.id for document in chain}, {document.digest for document in chain}
    return audit.as_json(
        entry
        for entry in audit.entries(connection)
        if entry.verb != TAKEN
        and (entry.study in studies or (entry.study is None and (entry.subject in ids or entry.after in digests)))
    )


def _sign(wb: Workbench, digests: Mapping[str, str]) -> dict[str, Any]:
    key = wb.keys.signing_key()
    signed = {"format": FORMAT, "files": dict(digests), "key_id": audit.key_id(key.public_key())}
    return {
        **signed,
        "signature": key.sign(canonical_json(signed)).hex(),
        "public_key": key.public_key().public_bytes_raw().hex(),
    }


def _verifier() -> bytes:
    return files("workbench.governance").joinpath("verify_elsewhere.py").read_bytes()


def _archive(content: Mapping[str, bytes]) -> bytes:
    """Return a ZIP that depends on its files alone: stored, in order, without times and owners."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, each in sorted(content.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, each)
    return out.getvalue()
