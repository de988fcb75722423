"""Check an audit log or an evidence pack of a workbench, anywhere: one file, Python 3.11 and the package cryptography.

    python3 verify.py --log LOG.json [--head HEAD.json …] [--key KEY]
    python3 verify.py --pack PACK.zip [--log LOG.json] [--key KEY] [--lang fr]

LOG.json is what `workbench audit export` prints, HEAD.json what `workbench audit export --head` wrote earlier, KEY the
name (or the hexadecimal form) of the public key as the hospital published it. Exit 0: sound; 1: not; 2: cannot tell.
It shares no code with the workbench: what both find, two programs found.
"""

# pyright: basic

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIELDS = ("seq", "time", "actor", "role", "study", "verb", "subject", "before", "after", "outcome", "reason",
          "payload_digest", "prev")  # fmt: skip
ACCESSES = {"cohort.read", "extract.read", "model.read", "trace.read", "audit.read", "audit.verify", "output.preview",
            "session.open", "cohort.count", "cohort.diagnose", "cohort.why", "extract.open", "output.download",
            "finding.open", "audit.export"}  # fmt: skip
SHORTEST = timedelta(days=183)
"""Details of an access may be erased after six months, if an `audit.forget` entry says so."""

MANIFESTS = {"release", "extract", "features", "meds"}
LOGGED = {"request", "approval", "extract", "features", "meds", "model", "output", "release_decision", "finding"}
"""Kinds of documents whose making the log must tell."""

GOVERNED = {"release", "cohort_version"}
"""Kinds of documents of which a pack holds governed numbers: only the workbench can compute their digests again."""

ROOTS = {"release", "design"}
"""Kinds of documents that need not name another."""

SAYINGS = {
    "sound_log": ("The log is sound: {count} entries, head {head}.",
                  "Le journal est intact : {count} entrées, tête {head}."),
    "sound_pack": ("The evidence is sound: {documents} documents, {count} entries of the log, about {id}.",
                   "La preuve est intacte : {documents} documents, {count} entrées du journal, au sujet de {id}."),
    "governed": ("Numbers of releases and cohorts are rounded: the workbench alone recomputes their digests.",
                 "Les nombres des données et des cohortes sont arrondis : seul l’atelier recalcule leurs empreintes."),
    "key": ("Signed by the key {key}. Compare it with the one that the hospital published.",
            "Signé par la clé {key}. Comparez-la avec celle que l’hôpital a publiée."),
    "same_key": ("Signed by the key that you gave.", "Signé par la clé que vous avez donnée."),
    "no_head": ("No head was given: a cut at the end or a rebuild would not show.",
                "Aucune tête n’a été donnée : une coupure à la fin ou une reconstruction ne se verrait pas."),
    "no_log": ("No log was given: whether these entries are in it was not checked.",
               "Aucun journal n’a été donné : rien ne dit encore que ces entrées y sont."),
    "unreadable": ("{file} cannot be read as what it should be.", "{file} ne se lit pas comme il le devrait."),
    "entry": ("NOT sound: entry {seq}: {problem}", "PAS intact : entrée {seq} : {problem}"),
    "edited": ("it was changed after it was written.", "elle a été modifiée après son écriture."),
    "payload_edited": ("its details were changed.", "ses détails ont été modifiés."),
    "payload_missing": ("its details are gone, and no entry says that they were erased after their period.",
                        "ses détails ont disparu, et aucune entrée ne dit qu’ils ont été effacés après leur durée."),
    "out_of_order": ("an entry is missing here, or entries changed places.",
                     "une entrée manque ici, ou des entrées ont changé de place."),
    "broken_link": ("it does not follow the entry before it.", "elle ne suit pas l’entrée précédente."),
    "cut": ("the log ends before a head that was saved earlier: it was cut, or an old copy was restored.",
            "le journal s’arrête avant une tête enregistrée plus tôt : il a été coupé, ou une ancienne copie remise."),
    "rebuilt": ("the log differs from a head that was saved earlier: it was rebuilt.",
                "le journal diffère d’une tête enregistrée plus tôt : il a été reconstruit."),
    "head_forged": ("the saved head was not signed by this key.", "la tête n’a pas été signée par cette clé."),
    "not_in_log": ("the log given does not hold it.", "le journal donné ne la contient pas."),
    "pack": ("NOT sound: {what}: {problem}", "PAS intact : {what} : {problem}"),
    "signature": ("the signature is not this key’s, or the file was changed.",
                  "la signature n’est pas celle de cette clé, ou le fichier a été modifié."),
    "file": ("its digest is not the signed one.", "son empreinte n’est pas celle qui est signée."),
    "files": ("the archive holds other files than those signed.",
              "l’archive contient d’autres fichiers que ceux qui sont signés."),
    "digest": ("its digest is another than it says.", "son empreinte n’est pas celle qu’il dit."),
    "alone": ("it names no document of the evidence.", "il ne nomme aucun document de la preuve."),
    "unlogged": ("no entry of the log tells that it was made.", "aucune entrée du journal ne dit qu’il a été fait."),
    "beyond": ("a column was delivered that was not both requested and approved.",
               "une colonne a été livrée sans être à la fois demandée et approuvée."),
    "unapproved": ("no approval by another person names its request and its protocol.",
                   "aucune approbation par une autre personne ne nomme sa demande et son protocole."),
}  # fmt: skip


class Unsound(Exception):
    """What is wrong: a saying and its facts."""

    def __init__(self, saying: str, **facts: object) -> None:
        super().__init__(saying)
        self.saying, self.facts = saying, facts


def canonical(value: Any) -> str:
    """Return the RFC 8785 form of a JSON value."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(each)}" for name, each in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """Write a number as ECMAScript does."""
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + part) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        shown = digits[0] + (f".{digits[1:]}" if digits[1:] else "")
        text = f"{shown}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return f"-{text}" if value < 0 else text


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value's canonical form."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def check_entry(entry: dict[str, Any]) -> None:
    """Check one entry of the log and its payload."""
    if digest({name: entry[name] for name in FIELDS}) != entry["hash"]:
        raise Unsound("entry", seq=entry["seq"], problem="edited")
    if entry["salt"] is None:
        if entry["verb"] not in ACCESSES or entry["payload"] is not None:
            raise Unsound("entry", seq=entry["seq"], problem="payload_missing")
    elif digest({"salt": entry["salt"], "body": entry["payload"]}) != entry["payload_digest"]:
        raise Unsound("entry", seq=entry["seq"], problem="payload_edited")


def check_log(entries: list[dict[str, Any]], heads: list[dict[str, Any]], key: Ed25519PublicKey | None) -> str:
    """Check a whole log against saved heads; return its head's hash."""
    prev = "0" * 64
    missing: list[dict[str, Any]] = []
    for place, entry in enumerate(entries, 1):
        if entry["seq"] != place:
            raise Unsound("entry", seq=place, problem="out_of_order")
        if entry["prev"] != prev:
            raise Unsound("entry", seq=place, problem="broken_link")
        check_entry(entry)
        prev = entry["hash"]
        if entry["salt"] is None:
            missing.append(entry)
        elif entry["verb"] == "audit.forget" and entry["outcome"] == "done":
            until, through = datetime.fromisoformat(entry["time"]) - SHORTEST, entry["payload"]["through"]
            missing = [m for m in missing if m["seq"] > through or datetime.fromisoformat(m["time"]) > until]
    if missing:
        raise Unsound("entry", seq=missing[0]["seq"], problem="payload_missing")
    for head in sorted(heads, key=lambda each: int(each["seq"])):
        _check_head(head, entries, key)
    return prev


def _check_head(head: dict[str, Any], entries: list[dict[str, Any]], key: Ed25519PublicKey | None) -> None:
    seq = int(head["seq"])
    signed = {name: head[name] for name in ("format", "seq", "hash", "time", "key_id")}
    try:
        _public_key(head, key).verify(bytes.fromhex(head["signature"]), canonical(signed).encode())
    except (InvalidSignature, ValueError):
        raise Unsound("entry", seq=seq, problem="head_forged") from None
    if seq > len(entries):
        raise Unsound("entry", seq=len(entries) + 1, problem="cut")
    if seq and entries[seq - 1]["hash"] != head["hash"]:
        raise Unsound("entry", seq=seq, problem="rebuilt")


def _public_key(signed: dict[str, Any], key: Ed25519PublicKey | None) -> Ed25519PublicKey:
    return key or Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["public_key"]))


def check_pack(files: dict[str, bytes], key: Ed25519PublicKey | None) -> dict[str, Any]:
    """Check an evidence pack; return its evidence."""
    signature = json.loads(files.pop("signature.json"))
    signed = {name: signature[name] for name in ("format", "files", "key_id")}
    try:
        _public_key(signature, key).verify(bytes.fromhex(signature["signature"]), canonical(signed).encode())
    except (InvalidSignature, ValueError):
        raise Unsound("pack", what="signature.json", problem="signature") from None
    if set(files) != set(signature["files"]):
        raise Unsound("pack", what="signature.json", problem="files")
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != signature["files"][name]:
            raise Unsound("pack", what=name, problem="file")
    found = json.loads(files["evidence.json"])
    for entry in found["entries"]:
        check_entry(entry)
    _check_documents(found["documents"])
    told = {entry["after"] for entry in found["entries"] if entry["outcome"] == "done"}
    for document in found["documents"]:
        if document["kind"] in LOGGED and document["digest"] not in told:
            raise Unsound("pack", what=document["id"], problem="unlogged")
    return found


def _check_documents(documents: list[dict[str, Any]]) -> None:
    by_digest = {each["digest"]: each for each in documents}
    for document in documents:
        governed = document["kind"] in GOVERNED and document.get("governed") is True
        if not governed and identity(document["kind"], document["body"]) != document["digest"]:
            raise Unsound("pack", what=document["id"], problem="digest")
        if document["kind"] not in ROOTS and not by_digest.keys() & set(_texts(document["body"])):
            raise Unsound("pack", what=document["id"], problem="alone")
        if document["kind"] == "extract":
            _check_extract(document, by_digest)


def identity(kind: str, body: dict[str, Any]) -> str:
    """Return a document's digest; that of a manifest leaves the files of its tables out."""
    if kind in MANIFESTS and "tables" in body:
        tables = [{name: each for name, each in table.items() if name != "files"} for table in body["tables"]]
        body = {**{name: each for name, each in body.items() if name != "files"}, "tables": tables}
    return digest(body)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def _check_extract(extract: dict[str, Any], by_digest: dict[str, dict[str, Any]]) -> None:
    """Check that an extract was approved by somebody else, and delivers what was requested and approved only."""
    request, protocol, approval = (
        by_digest.get(extract["body"][name], {}).get("body", {}) for name in ("request", "protocol", "approval")
    )
    approved = (
        approval.get("decision") == "approved"
        and approval.get("request") == extract["body"]["request"]
        and approval.get("protocol") == request.get("protocol") == extract["body"]["protocol"]
        and str(approval.get("reviewer")).casefold() != str(request.get("requester")).casefold()
    )
    if not approved:
        raise Unsound("pack", what=extract["id"], problem="unapproved")
    for table, columns in extract["body"]["columns"].items():
        both = set(request["tables"].get(table, ())) & set(protocol["tables"].get(table, ()))
        if not set(columns["delivered"]) <= both | {"person_id"}:
            raise Unsound("pack", what=f"{extract['id']} {table}", problem="beyond")
        limits = [paper.get("concepts", {}).get(table) for paper in (request, protocol)]
        said = extract["body"].get("concepts", {}).get(table, {})
        if columns["delivered"] and limits != [said.get("requested"), said.get("approved")]:
            raise Unsound("pack", what=f"{extract['id']} {table}", problem="beyond")


def read_pack(path: str) -> dict[str, bytes]:
    """Read an archive's files."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_key(text: str | None, signed: list[dict[str, Any]]) -> Ed25519PublicKey | None:
    """Return the key that was given: as itself, or by its name, the SHA-256 of its 32 bytes."""
    if text is None:
        return None
    for each in signed:
        raw = bytes.fromhex(each["public_key"])
        if hashlib.sha256(raw).hexdigest() == text.lower():
            return Ed25519PublicKey.from_public_bytes(raw)
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--log")
    parser.add_argument("--head", action="append", default=[])
    parser.add_argument("--pack")
    parser.add_argument("--key")
    parser.add_argument("--lang", choices=("en", "fr"), default="en")
    given = parser.parse_args()
    if not given.log and not given.pack:
        parser.error("--log or --pack")
    return given


def _expect(right: bool) -> None:
    if not right:
        raise ValueError


def main() -> int:
    """Run the checks that the arguments ask for."""
    given = _arguments()
    place = ("en", "fr").index(given.lang)

    def say(saying: str, **facts: object) -> None:
        told = {name: SAYINGS[str(fact)][place] if name == "problem" else fact for name, fact in facts.items()}
        print(SAYINGS[saying][place].format(**told))  # noqa: T201 - it is a program

    file: object = given.pack or given.log
    try:
        heads = [json.loads(Path(file := head).read_text(encoding="utf-8")) for head in given.head]
        entries = json.loads(Path(file := given.log).read_text(encoding="utf-8")) if given.log else []
        _expect(isinstance(entries, list))
        files = read_pack(file := given.pack) if given.pack else {}
        signed = [*heads, *([json.loads(files["signature.json"])] if files else [])]
        key = read_key(given.key, signed)
        if given.log:
            say("sound_log", count=len(entries), head=check_log(entries, heads, key))
            if not heads and not files:
                say("no_head")
        if files:
            _say_pack(check_pack(files, key), entries, say, bool(given.log))
        for name in sorted({each["key_id"] for each in signed}):
            say("same_key" if key else "key", key=name)
    except Unsound as answer:
        say(answer.saying, **answer.facts)
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        say("unreadable", file=file)
        return 2
    return 0


def _say_pack(found: dict[str, Any], entries: list[dict[str, Any]], say: Any, with_log: bool) -> None:
    hashes = {entry["hash"] for entry in entries}
    for entry in found["entries"] if with_log else ():
        if entry["hash"] not in hashes:
            raise Unsound("entry", seq=entry["seq"], problem="not_in_log")
    if any(document.get("governed") for document in found["documents"]):
        say("governed")
    say("sound_pack", documents=len(found["documents"]), count=len(found["entries"]), id=found["subject"]["id"])
    if not with_log:
        say("no_log")


if __name__ == "__main__":
    sys.exit(main())
