"""Reading, verifying and exporting the audit log."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.governance import audit, verifying
from workbench.governance.actors import Actor
from workbench.governance.audit import Entry
from workbench.governance.verifying import Verdict
from workbench.kernel.errors import Refused
from workbench.services.context import Workbench, acting, event
from workbench.services.erased_releases import ERASED
from workbench.store import documents, successors

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First letters that a spreadsheet would run as a formula."""


def log(wb: Workbench, actor: Actor, *, limit: int | None = None) -> list[Entry]:
    """Return the log's entries, the newest first; for the ethics officer."""
    with acting(wb, actor, "audit.read"), wb.store.read() as connection:
        return audit.entries(connection, newest_first=True, limit=limit)


def verify_log(wb: Workbench, actor: Actor, saved_head: Path | None = None) -> Verdict:
    """Walk the chain and hold it against the head kept with the keys and, if given, one saved elsewhere."""
    saved = [audit.read_head(saved_head)] if saved_head is not None else []
    verdict = verdict_of(wb, saved)
    if verdict.sound:
        with acting(wb, actor, "audit.verify"):
            pass
    return verdict


def verdict_of(wb: Workbench, saved: Sequence[Mapping[str, Any]] = ()) -> Verdict:
    """Return what the log looks like, without an entry about it: for the doctor, who needs no account."""
    kept = audit.kept_heads(wb.store, wb.head_file)
    verdict = verifying.verify(wb.store, [*(kept or ()), *saved], wb.keys.signing_key().public_key())
    if verdict.sound and kept is None:
        return Verdict(False, verdict.entries, verdict.head, verdict.entries, "no_head")
    if verdict.sound and not _tombstones_attested(wb):
        return Verdict(False, verdict.entries, verdict.head, verdict.entries, "unattested")
    return verdict if verdict.sound else verifying.placed(wb.store, verdict, audit.read_trail(wb.trail_file))


def _tombstones_attested(wb: Workbench) -> bool:
    """Answer whether each release that stands for another has its tombstone, and each tombstone its entry in the log:
    an erasure explains a release that is gone, and nothing else may."""
    with wb.store.read() as connection:
        replaced = {(state.id, state.digest) for state in successors.erased(connection)}
        named = {(each.body["before"], each.body["after"]) for each in documents.every(connection, "erasure")}
        return replaced == named and named <= audit.attested(connection, ERASED)


def save_head(wb: Workbench, actor: Actor, path: Path) -> dict[str, Any]:
    """Write the signed head to a file, to be kept where this application cannot write."""
    with acting(wb, actor, "audit.export"):
        head = audit.sign_head(wb.store, wb.keys)
        audit.save_head(path, head)
        with wb.store.write(event(actor, "audit.export", subject="head", after=head["hash"])):
            pass
    return head


def restart(wb: Workbench, actor: Actor, reason: str) -> dict[str, Any]:
    """Go on from a log that does not hold its kept head, after a restore from a backup; return the new head.

    The entry names the head that was kept, so that the gap stays in the log for good. Heads saved elsewhere still
    show it: only they tell a restore from an attack. Raises `governance.reason_needed`, and `audit.nothing_to_restart`
    where the log holds its head.
    """
    with acting(wb, actor, "audit.restart"):
        if not reason.strip():
            raise Refused("governance.reason_needed", transition="restart")
        if verdict_of(wb).sound:
            raise Refused("audit.nothing_to_restart")
        kept = audit.kept_heads(wb.store, wb.head_file)
        lost = kept[0] if kept else {"seq": None, "hash": None}
        payload = {"kept_head": lost["hash"], "kept_seq": lost["seq"]}
        with wb.store.write(event(actor, "audit.restart", before=lost["hash"], reason=reason, payload=payload)):
            pass
        head = audit.sign_head(wb.store, wb.keys)
        audit.save_head(wb.head_file, head)
        wb.trail_file.unlink(missing_ok=True)
        audit.extend_trail(wb.store, wb.trail_file)
    return head


def export_log(wb: Workbench, actor: Actor) -> list[dict[str, Any]]:
    """Return the whole log as JSON values, oldest first; the export itself is logged.

    Data stewards may: they keep the hospital's archive. The log holds no row and no identifier of a patient.
    """
    with acting(wb, actor, "audit.export"):
        with wb.store.write(event(actor, "audit.export", subject="log")):
            pass
        with wb.store.read() as connection:
            return audit.as_json(audit.entries(connection))


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return exported entries as CSV; a cell that a spreadsheet would run as a formula is quoted with an apostrophe."""
    out = io.StringIO()
    columns = [name for name in rows[0] if name != "payload"] if rows else []
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([[_plain(row[name]) for name in columns] for row in rows])
    return out.getvalue()


def _plain(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
