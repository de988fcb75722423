"""The evidence pack: the same bytes twice, whole, and checked elsewhere by a program that shares no code with us."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workbench.governance.actors import Actor
from workbench.kernel.digest import canonical_json, digest_bytes
from workbench.kernel.errors import Refused
from workbench.services import auditing, evidence, extracts, tracing
from workbench.services.context import Workbench
from workbench.store import chain, documents

Json = Any


@dataclass
class Elsewhere:
    """A folder of somebody else's, with what was given to them."""

    folder: Path

    def check(self, *arguments: str) -> tuple[int, str]:
        """Run the verifier there; return its exit code and what it says."""
        done = subprocess.run(
            [sys.executable, "-I", "verify.py", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def given(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """What an auditor gets: a pack about the extract, the whole log, a head saved before its last entries."""
    from tests.homes import copy_home
    from workbench.kernel.settings import load_settings
    from workbench.services import people
    from workbench.services.context import open_workbench

    home, folder = copy_home(finished_demo, tmp_path_factory.mktemp("given")), tmp_path_factory.mktemp("elsewhere")
    wb = open_workbench(load_settings(home, {}))
    officer = people.actor_named(wb, "ethics")
    (view,) = extracts.list_extracts(wb, officer)
    auditing.save_head(wb, officer, folder / "head.json")
    made = evidence.pack(wb, officer, view.id)
    (folder / "pack.zip").write_bytes(made.content)
    (folder / "log.json").write_text(json.dumps(auditing.export_log(wb, officer)))
    (folder / "verify.py").write_bytes(files_of(made.content)["verify.py"])
    wb.close()
    return Elsewhere(folder)


def files_of(content: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_made_twice_it_is_the_same(wb: Workbench, officer: Actor) -> None:
    (view,) = extracts.list_extracts(wb, officer)
    first = evidence.pack(wb, officer, view.id)
    assert evidence.pack(wb, officer, view.digest).content == first.content
    (taken, *_) = [entry for entry in auditing.log(wb, officer) if entry.verb == "audit.export"]
    assert (taken.subject, taken.after) == (view.id, first.digest)


def test_it_holds_the_whole_thread_and_the_entries_about_it(wb: Workbench, officer: Actor) -> None:
    (view,) = extracts.list_extracts(wb, officer)
    found = evidence.collect(wb, officer, view.id)
    held = {document["digest"] for document in found["documents"]}
    assert {link.digest for link in tracing.trace(wb, officer, view.id).links} <= held
    with wb.store.read() as connection:
        for digest in held:
            assert {parent.digest for _, parent in documents.parents(connection, digest)} <= held
    verbs = {entry["verb"] for entry in found["entries"]}
    assert {"release.load", "study.open", "request.decide", "extract.run", "extract.open", "model.train"} <= verbs


def test_another_study_is_not_in_it(wb: Workbench, officer: Actor) -> None:
    with wb.store.write(evidence.event(officer, "study.create", study="another", subject="another")):
        pass
    (view,) = extracts.list_extracts(wb, officer)
    assert "another" not in {entry["study"] for entry in evidence.collect(wb, officer, view.id)["entries"]}


def test_the_pages_say_who_got_what_and_escape_what_people_wrote(wb: Workbench, officer: Actor) -> None:
    (view,) = extracts.list_extracts(wb, officer)
    found = evidence.collect(wb, officer, view.id)
    for document in found["documents"]:
        if document["kind"] == "request":
            document["body"]["why_not_aggregate"] = "<script>alert(1)</script>"
    for lang, words in {"fr": "Qui a regardé", "en": "Who looked"}.items():
        page = evidence.evidence_page.page(found, lang)  # type: ignore[arg-type]
        assert words in page
        assert "Karim Benali" in page
        assert "<script" not in page


def test_only_who_may_export_the_log(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    with pytest.raises(Refused):
        evidence.pack(wb, researcher, "nsaid-gi-bleed")
    with pytest.raises(Refused, match="Nothing here has"):
        evidence.pack(wb, officer, "ext-000000000000")


def test_who_keeps_the_data_archives_the_log_and_makes_no_evidence(
    wb: Workbench, steward: Actor, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="not_allowed"):
        evidence.pack(wb, steward, "nsaid-gi-bleed")
    assert auditing.export_log(wb, steward)[-1]["verb"] == "audit.export"
    assert auditing.save_head(wb, steward, tmp_path / "head.json")["seq"] > 0


def test_a_pack_holds_no_exact_number_of_the_feasibility_space(wb: Workbench, officer: Actor) -> None:
    with wb.store.read() as connection:
        versions = {each.digest: each.body for each in documents.every(connection, "cohort_version")}
    (view,) = extracts.list_extracts(wb, officer)
    found = evidence.collect(wb, officer, view.id)
    kept = [each for each in found["documents"] if each["kind"] == "cohort_version"]
    assert kept
    for document in kept:
        exact, told = versions[document["digest"]], document["body"]
        assert {**told, "rows": 0, "attrition": 0} == {**exact, "rows": 0, "attrition": 0}
        lines = [told["rows"], *told["attrition"]]
        numbers = [line[name] for line in lines for name in ("persons", "events", "persons_without") if name in line]
        assert numbers
        assert all(number is None or (number >= 15 and number % 5 == 0) for number in numbers)
    (release,) = (each for each in found["documents"] if each["kind"] == "release")
    assert all(notice["rows"] is None or notice["rows"] >= 15 for notice in release["body"]["intake"]["notices"])


def test_only_releases_and_cohorts_may_hold_governed_numbers(given: Elsewhere, tmp_path: Path) -> None:
    def excused(found: Json) -> None:
        document(found, "approval").update(governed=True)
        document(found, "approval")["body"].update(reason="another")

    forged = tmp_path / "forged.zip"
    raw = changed(excused)(files_of((given.folder / "pack.zip").read_bytes()))
    forged.write_bytes(evidence._archive(raw))
    code, said = given.check("--pack", str(forged))
    assert code == 1
    assert "digest is another" in said


def test_an_auditor_finds_it_sound(given: Elsewhere) -> None:
    code, said = given.check("--pack", "pack.zip", "--log", "log.json", "--head", "head.json")
    assert code == 0, said
    assert "The log is sound" in said
    assert "The evidence is sound" in said
    key = json.loads((given.folder / "head.json").read_text())
    assert "that you gave" in given.check("--pack", "pack.zip", "--key", key["key_id"])[1]
    assert given.check("--pack", "pack.zip", "--key", key["public_key"])[0] == 0
    assert given.check("--pack", "pack.zip", "--key", "0" * 63 + "1")[0] != 0


def resigned(files: dict[str, bytes]) -> dict[str, bytes]:
    """The pack as a forger signs it, with a key of their own."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    signed = {
        "format": evidence.FORMAT,
        "files": {name: digest_bytes(each) for name, each in files.items() if name != "signature.json"},
        "key_id": digest_bytes(public),
    }
    signature = {**signed, "signature": key.sign(canonical_json(signed)).hex(), "public_key": public.hex()}
    return {**files, "signature.json": json.dumps(signature).encode()}


def changed(change: Callable[[Json], object]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """A forger who changes the evidence and signs all of it anew."""

    def forge(files: dict[str, bytes]) -> dict[str, bytes]:
        found = json.loads(files["evidence.json"])
        change(found)
        return resigned({**files, "evidence.json": canonical_json(found)})

    return forge


def document(found: Json, kind: str) -> Json:
    """The first document of a kind."""
    return next(each for each in found["documents"] if each["kind"] == kind)


def identity(document: Json) -> str:
    """What its digest must be."""
    return documents.identity(document["kind"], document["body"])


def redrawn(found: Json, kind: str, change: Callable[[Json], object]) -> None:
    """Change a document and make all that follows fit it: digests, the names in other documents, entries of the log."""
    change(document(found, kind)["body"])
    whole = [each for each in found["documents"] if not each.get("governed")]
    while stale := next((each for each in whole if identity(each) != each["digest"]), None):
        found.update(json.loads(json.dumps(found).replace(stale["digest"], identity(stale))))
        whole = [each for each in found["documents"] if not each.get("governed")]
    for entry in found["entries"]:
        entry["hash"] = chain.entry_hash(entry)


def delivers_more(body: Json) -> None:
    """One column that nobody asked for."""
    body["columns"]["person"]["delivered"].append("birth_datetime")


def without_entry(found: Json) -> None:
    """A model of which the log does not tell."""
    found["entries"] = [each for each in found["entries"] if each["verb"] != "model.train"]


FORGED: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "a page is another": (lambda files: {**files, "evidence.en.html": b"<p>All is well.</p>"}, "not the signed one"),
    "a file more": (lambda files: {**files, "more.txt": b"x"}, "other files"),
    "a file less": (lambda files: {n: c for n, c in files.items() if n != "evidence.fr.html"}, "other files"),
    "an entry is another": (changed(lambda f: f["entries"][3].update(actor="eve")), "changed after it was written"),
    "its details are others": (changed(lambda f: f["entries"][3].update(payload={"a": 1})), "details were changed"),
    "its details are gone": (changed(lambda f: f["entries"][3].update(payload=None, salt=None)), "details are gone"),
    "a document is another": (
        changed(lambda f: document(f, "approval")["body"].update(reviewer="x")), "digest is another",
    ),
    "an extract delivers more": (
        changed(lambda f: redrawn(f, "extract", delivers_more)), "was delivered that was not",
    ),
    "approved by who asked": (
        changed(lambda f: redrawn(f, "approval", lambda b: b.update(reviewer="Researcher"))), "no approval by another",
    ),
    "made without an entry": (
        changed(without_entry), "no entry of the log tells",
    ),
    "refused, in truth": (
        changed(lambda f: redrawn(f, "approval", lambda b: b.update(decision="refused"))), "no approval by another",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_pack_is_found(given: Elsewhere, tmp_path: Path, name: str) -> None:
    forge, problem = FORGED[name]
    forged = tmp_path / "forged.zip"
    forged.write_bytes(evidence._archive(forge(files_of((given.folder / "pack.zip").read_bytes()))))
    code, said = given.check("--pack", str(forged))
    assert code == 1
    assert problem in said


def test_a_pack_signed_by_another_is_found_by_who_knows_the_key(given: Elsewhere, tmp_path: Path) -> None:
    forged = tmp_path / "forged.zip"
    forged.write_bytes(evidence._archive(resigned(files_of((given.folder / "pack.zip").read_bytes()))))
    head = json.loads((given.folder / "head.json").read_text())
    assert given.check("--pack", str(forged))[0] == 0
    assert given.check("--pack", str(forged), "--key", head["key_id"])[0] == 1


def _cut(log: Json) -> None:
    del log[20:]


def _deleted(log: Json) -> None:
    del log[4]


def _swapped(log: Json) -> None:
    log[4], log[5] = log[5], log[4]


def _edited(log: Json) -> None:
    log[4]["reason"] = "another"


def _payload_edited(log: Json) -> None:
    log[4]["payload"]["more"] = 1


def _payload_gone(log: Json) -> None:
    log[4].update(payload=None, salt=None)


LOGS: dict[Callable[..., None], tuple[int, str]] = {
    _cut: (21, "ends before a head"), _deleted: (5, "missing here"), _swapped: (5, "missing here"),
    _edited: (5, "changed after"), _payload_edited: (5, "details were changed"), _payload_gone: (5, "details are gone"),
}  # fmt: skip


@pytest.mark.parametrize("tamper", LOGS)
def test_a_log_that_was_tampered_with_is_found(
    given: Elsewhere, tmp_path: Path, tamper: Callable[[Json], None]
) -> None:
    seq, problem = LOGS[tamper]
    log = json.loads((given.folder / "log.json").read_text())
    tamper(log)
    (tmp_path / "log.json").write_text(json.dumps(log))
    code, said = given.check("--log", str(tmp_path / "log.json"), "--head", "head.json")
    assert code == 1
    assert f"entry {seq}:" in said
    assert problem in said


@pytest.mark.parametrize("content", ["", "[]x", "{}", '[{"seq": 1}]'])
def test_what_is_no_log_is_named_without_a_traceback(given: Elsewhere, tmp_path: Path, content: str) -> None:
    (tmp_path / "log.json").write_text(content)
    code, said = given.check("--log", str(tmp_path / "log.json"), "--lang", "fr")
    assert code == 2
    assert "log.json ne se lit pas" in said
