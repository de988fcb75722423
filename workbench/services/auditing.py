"""Reading, verifying and exporting the audit log."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.audit import Entry, Verdict
from workbench.services.context import Workbench, acting, event

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First letters that a spreadsheet would run as a formula."""


def log(wb: Workbench, actor: Actor, *, limit: int | None = None) -> list[Entry]:
    """Return the log's entries, the newest first; for the ethics officer."""
    with acting(wb, actor, "audit.read"), wb.store.read() as connection:
        return audit.entries(connection, newest_first=True, limit=limit)


def verify_log(wb: Workbench, actor: Actor, saved_head: Path | None = None) -> Verdict:
    """Walk the chain and hold it against the head kept with the keys and, if given, one saved elsewhere."""
    heads: list[dict[str, Any]] = [audit.read_head(wb.head_file)] if wb.head_file.exists() else []
    if saved_head is not None:
        heads.append(audit.read_head(saved_head))
    verdict = audit.verify(wb.store, heads, wb.keys.signing_key().public_key())
    if verdict.sound:
        with acting(wb, actor, "audit.verify"):
            pass
    return verdict


def save_head(wb: Workbench, actor: Actor, path: Path) -> dict[str, Any]:
    """Write the signed head to a file, to be kept where this application cannot write."""
    with acting(wb, actor, "audit.export"):
        with wb.store.write(event(actor, "audit.export", subject="head")):
            pass
        head = audit.sign_head(wb.store, wb.keys)
        audit.save_head(path, head)
    return head


def export_log(wb: Workbench, actor: Actor) -> list[dict[str, Any]]:
    """Return the whole log as JSON values, oldest first; the export itself is logged."""
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
