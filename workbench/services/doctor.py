"""What is missing or unsafe on this machine, and the mend. Reads only; needs no account and no home."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection, select

from workbench.governance.keys import Secret
from workbench.kernel.errors import UserError
from workbench.kernel.openid import OpenId
from workbench.kernel.settings import Settings
from workbench.repository import releases
from workbench.services import account_review, catalogue_checks, erased_releases, holding, key_deeds
from workbench.services.auditing import verdict_of
from workbench.services.context import Workbench, open_workbench
from workbench.services.provider import Provider, read_secret
from workbench.store import documents, files, migrate, successors
from workbench.store.tables import intents

ENOUGH_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One check: its code (a text `doctor.CODE`), whether it is fine, its facts; `note` marks what needs no mend."""

    code: str
    fine: bool
    facts: dict[str, str]
    note: bool = False


def diagnose(settings: Settings) -> list[Finding]:
    """Check the machine, then the home if there is one; opening it also cleans up after processes that died."""
    findings = list(_machine(settings))
    if not migrate.sqlite_path(settings.store_url).exists():
        return [*findings, Finding("no_home", True, {"home": str(settings.home)}, note=True)]
    try:
        wb = open_workbench(settings)
    except UserError as error:
        return [*findings, Finding("cannot_open", False, {"code": error.code, "text": str(error)})]
    try:
        return [*findings, *_home(wb)]
    finally:
        wb.close()


def _machine(settings: Settings) -> Iterator[Finding]:
    yield Finding("python", sys.version_info >= (3, 11), {"version": sys.version.split()[0]})
    packages = ("duckdb", "polars", "sqlglot", "streamlit", "mlflow", "scikit-learn")
    yield Finding("packages", True, {"versions": ", ".join(f"{name} {version(name)}" for name in packages)})
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    yield Finding("disk", free > ENOUGH_BYTES, {"free": f"{free / 1024**3:.1f}"})
    if settings.openid:
        yield from _sign_in(settings.openid)


def _sign_in(openid: OpenId) -> Iterator[Finding]:
    """Check the client's secret and the provider: it answers, names itself as it is named, and has keys to sign by."""
    provider, address = Provider(openid), {"issuer": openid.issuer}
    checks = {"signin_secret": lambda: read_secret(openid), "signin_provider": provider.discovery}
    for code, check in {**checks, "signin_keys": provider.keys}.items():
        try:
            check()
        except UserError as error:
            yield Finding(code, False, {**address, "problem": str(error)})
            if code == "signin_provider":
                return
        else:
            yield Finding(code, True, {**address, "problem": ""})


def _home(wb: Workbench) -> Iterator[Finding]:
    settings = wb.settings
    if wb.recovered:
        yield Finding("recovered", True, {"verbs": ", ".join(wb.recovered)}, note=True)
    for name, folder in (("home", settings.home), ("keys", settings.keys)):
        mode = stat.S_IMODE(folder.stat().st_mode)
        yield Finding(f"private_{name}", not mode & 0o077, {"folder": str(folder), "mode": f"{mode:04o}"})
    inside = settings.keys.resolve().is_relative_to(settings.home.resolve())
    yield Finding("keys_apart", not inside, {"keys": str(settings.keys)})
    yield _master(wb)
    if wb.demo:
        yield Finding("demo_keys", True, {}, note=True)
    due = account_review.review_due(wb)
    yield Finding("review_due", not due.overdue, {"last": str(due.last or "–"), "next": due.next.isoformat()})
    owed = sorted(name for name, each in catalogue_checks.checks_due(wb).items() if each.overdue)
    yield Finding("catalogue_due", not owed, {"releases": ", ".join(owed)})
    yield from _log(wb)
    yield from _releases(wb)
    yield from _erasures(wb)
    yield from _extracts(wb)
    yield from _made(wb)
    yield from _secrets(wb)


def _master(wb: Workbench) -> Finding:
    """Say where the master key is; a vault that is set and holds another key than the one in use is to be mended."""
    key_id = wb.keys.vault_id()
    if key_id is not None:
        return Finding("master_vault", True, {"id": key_id, "program": wb.settings.key_command[0]})
    if wb.keys.has_vault:
        return Finding("master_not_in_vault", wb.demo, {"program": wb.settings.key_command[0]}, note=wb.demo)
    return Finding("master_file", True, {"keys": str(wb.settings.keys)}, note=True)


def _log(wb: Workbench) -> Iterator[Finding]:
    verdict = verdict_of(wb)
    facts = {"entries": str(verdict.entries), "seq": str(verdict.first_bad or ""), "problem": verdict.problem or ""}
    yield Finding("audit", verdict.sound, facts)
    with wb.store.read() as connection:
        waiting = len(connection.execute(select(intents.c.id)).all())
    yield Finding("half_made", True, {"count": str(waiting)}, note=True) if waiting else Finding("whole", True, {})


def _releases(wb: Workbench) -> Iterator[Finding]:
    with wb.store.read() as connection:
        gone = {state.id for state in successors.erased(connection)}
        known = {document.id for document in documents.every(connection, "release") if document.digest not in gone}
    found = {release.id for release in releases.list_releases(wb.settings.releases)}
    yield Finding("releases_listed", known == found, {"missing": ", ".join(sorted(known ^ found))})
    for release in releases.list_releases(wb.settings.releases):
        with holding.reading():
            holding.hold(wb, release.id)
            problems = releases.verify(release) if release.folder.is_dir() else ()
        yield Finding("release_sound", not problems, {"release": release.id, "problems": str(len(problems))})


def _erasures(wb: Workbench) -> Iterator[Finding]:
    waiting = len(erased_releases.pending(wb))
    yield Finding("erasures", not waiting, {"count": str(waiting)})


def _extracts(wb: Workbench) -> Iterator[Finding]:
    with wb.store.read() as connection:
        purged = _purged(connection)
        for document in documents.every(connection, "extract"):
            if document.study in purged:
                continue
            folder = wb.settings.extracts / document.id
            broken = [
                file["path"]
                for table in document.body["tables"]
                for file in table["files"]
                if not (folder / file["path"]).is_file() or files.sha256_file(folder / file["path"]) != file["sha256"]
            ]
            yield Finding("extract_sound", not broken, {"extract": document.id, "files": ", ".join(broken)})


def _purged(connection: Connection) -> set[str]:
    """Return the studies whose retention is over: their files are gone, as they should be."""
    return {state.id for state in documents.states_of(connection, "study") if state.state == "purged"}


def _made(wb: Workbench) -> Iterator[Finding]:
    """Check that each listed feature set, MEDS form and model lies whole below its extract."""
    with wb.store.read() as connection:
        purged = _purged(connection)
        ids = {document.digest: document.id for document in documents.every(connection, "extract")}
        for kind, folder_name in (("features", "features"), ("meds", "meds"), ("model", "models")):
            for document in documents.every(connection, kind):
                if document.study in purged:
                    continue
                place = wb.settings.extracts / ids[document.body["extract"]] / folder_name / document.id
                broken = [name for name in _files_of(kind, document.body) if not (place / name).is_file()]
                if kind == "model" and not broken:
                    wanted = document.body["evaluation_digest"]
                    broken = [] if files.sha256_file(place / "evaluation.json") == wanted else ["evaluation.json"]
                yield Finding("made_sound", not broken, {"id": document.id, "files": ", ".join(broken)})


def _files_of(kind: str, body: dict[str, Any]) -> list[str]:
    if kind == "model":
        return ["manifest.json", "model.skops", "evaluation.json", "card.fr.md", "card.en.md"]
    more = ["metadata/dataset.json"] if kind == "meds" else []
    return ["manifest.json", *more, *(file["path"] for table in body["tables"] for file in table["files"])]


def _secrets(wb: Workbench) -> Iterator[Finding]:
    """Check that what was revoked or destroyed cannot be opened any more, and that no decision on keys waits."""
    with wb.store.read() as connection:
        gone: set[tuple[str | None, Secret]] = {
            (s.study, "data") for s in documents.states_of(connection, "extract") if s.state == "revoked"
        }
        every = list(key_deeds.deeds(connection))
    gone |= {(deed.state.study, which) for deed in every for which in key_deeds.destroys(deed)}
    for study in sorted({study for study, _ in gone if study}):
        good = all(wb.keys.is_gone(study, which) for name, which in gone if name == study)
        yield Finding("secret_gone", good, {"study": study})
    waiting = sum(1 for deed in every if deed.state.state == "due")
    yield Finding("keys_due", not waiting, {"count": str(waiting)})
