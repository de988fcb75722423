"""The evidence as a page to read: who got which data, why, who looked at it, what was made of it, and how to check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from workbench.extracts import risk_words
from workbench.governance import date_forms, log_periods, proofs
from workbench.governance.legal_bases import field_label, legal_basis
from workbench.kernel import html
from workbench.kernel.html import Html, facts, heading, join, paragraph, table, tag, whole_digest
from workbench.kernel.text import Lang, catalogue, say

MADE = ("features", "meds", "model")


class Evidence:
    """The evidence, seen in one language."""

    def __init__(self, found: Mapping[str, Any], lang: Lang) -> None:
        self._people: Mapping[str, str] = found["people"]
        self.lang: Lang = lang
        self.documents: Sequence[Mapping[str, Any]] = found["documents"]
        self.entries: Sequence[Mapping[str, Any]] = found["entries"]
        self._concepts: Mapping[str, Any] = found.get("concepts", {})
        self._by_digest = {each["digest"]: each for each in self.documents}

    def t(self, key: str, **said: object) -> str:
        """Return a sentence of the page."""
        return say(f"evidence.{key}", self.lang, **said)

    def named(self, family: str, code: str) -> str:
        """Return the app's words for a code, else the code."""
        return str(catalogue(self.lang)["text"].get(f"ui.{family}_{code.replace('.', '_')}", code))

    def person(self, name: str) -> str:
        """Return who an account is."""
        shown = self._people.get(name)
        return f"{shown} ({name})" if shown and shown != name else name

    def of(self, *kinds: str) -> list[Mapping[str, Any]]:
        """Return the documents of some kinds, in the thread's order."""
        return [each for each in self.documents if each["kind"] in kinds]

    def body(self, digest: str) -> Mapping[str, Any]:
        """Return the body of a document of the thread; empty where it is not part of it."""
        return self._by_digest.get(digest, {}).get("body", {})

    def concepts(self, digest: str) -> Mapping[str, str]:
        """Return table → the concepts to which a document limits it, in words."""
        return {name: said[self.lang] for name, said in self._concepts.get(digest, {}).items()}

    def table(self, headings: Iterable[str], rows: Iterable[Sequence[object]], caption: str) -> Html:
        """Return a table with its headings in words."""
        return table([self.t(name) for name in headings], rows, self.t(caption))


def page(found: Mapping[str, Any], lang: Lang) -> str:
    """Return the page of some evidence (`evidence.collect`): one HTML document that needs nothing else."""
    seen, subject = Evidence(found, lang), found["subject"]
    title = seen.t("title", kind=seen.named("kind", subject["kind"]), id=subject["id"])
    parts: list[object] = [
        tag("h1", title),
        paragraph(seen.t("text")),
        facts([(seen.t("digest"), whole_digest(subject["digest"])),
               (seen.t("as_of"), join([str(found["as_of"]["seq"]), " · ", whole_digest(found["as_of"]["hash"])]))]),
    ]  # fmt: skip
    for extract in seen.of("extract"):
        parts += _extract(seen, extract)
    parts += [*_opened(seen), *_made(seen), *_left(seen), *_thread(seen), *_log(seen)]
    parts += [
        heading(seen.t("check")),
        paragraph(seen.t("check_text")),
        tag("pre", "python3 verify.py --pack PACK.zip"),
    ]
    style = files("workbench.services").joinpath("evidence.css").read_text(encoding="utf-8")
    return html.page(title, parts, lang, style=style)


def _extract(seen: Evidence, extract: Mapping[str, Any]) -> list[object]:
    """Who got which data, and why."""
    body = extract["body"]
    request, protocol, approval = (seen.body(body[name]) for name in ("request", "protocol", "approval"))
    basis = protocol.get("legal_basis", {})
    known = legal_basis(basis["code"]).name[seen.lang] if basis else "–"
    grounds = [(field_label(name, seen.lang), value) for name, value in sorted(basis.get("fields", {}).items())]
    lines: list[tuple[str, object]] = [
        (seen.t("study"), protocol.get("title", body["study"])),
        (seen.t("purpose"), protocol.get("purpose", "–")),
        (seen.t("sponsor"), protocol.get("sponsor", "–")),
        (seen.t("basis"), known), *grounds,
        (seen.t("asked_by"), seen.person(request.get("requester", "–"))),
        (seen.t("why"), tag("q", request.get("why_not_aggregate", "–"))),
        (seen.t("decided_by"), seen.person(approval.get("reviewer", "–"))),
        (seen.t("reason_of_decision"), tag("q", approval.get("reason", "–"))),
        *_proved(seen, body["approval"]),
        *_opinions(seen, approval),
        (seen.t("made_by"), f"{seen.person(extract['made_by'])}, {extract['made_at'][:19].replace('T', ' ')} UTC"),
        (seen.t("digest"), whole_digest(extract["digest"])),
    ]  # fmt: skip
    rows = [
        (
            seen.named("table", name),
            *(", ".join(columns[part]) or "–" for part in ("requested", "approved", "delivered")),
        )
        for name, columns in body["columns"].items()
    ]
    return [
        heading(seen.t("extract", id=extract["id"])),
        facts(lines),
        seen.table(("table", "requested", "approved", "delivered"), rows, "delivered_caption"),
        *_dates(seen, body),
        *_concepts(seen, body),
        heading(seen.t("risk"), 3),
        *(paragraph(sentence) for sentence in _risk(seen, body)),
    ]


def _dates(seen: Evidence, manifest: Mapping[str, Any]) -> list[object]:
    """In which form time is told, side by side, where a paper names another than days."""
    if "dates" not in manifest:
        return []
    rows = date_forms.in_words(manifest["dates"], seen.lang)
    return [seen.table(("dates", "requested", "approved", "delivered"), rows, "delivered_dates")]


def _concepts(seen: Evidence, body: Mapping[str, Any]) -> list[object]:
    """The concepts to which delivered tables were limited: requested, approved, and how many are in both."""
    asked, allowed = (seen.concepts(body[name]) for name in ("request", "protocol"))
    every = say("governance.limit_every", seen.lang)
    rows = [
        (seen.named("table", name), asked.get(name, every), allowed.get(name, every), str(proof["resolved"]))
        for name, proof in sorted(body.get("concepts", {}).items())
    ]
    return [seen.table(("table", "requested", "approved", "both"), rows, "concepts_caption")] if rows else []


def _risk(seen: Evidence, manifest: Mapping[str, Any]) -> list[str]:
    def table(name: str) -> str:
        return seen.named("table", name)

    said = risk_words.sentences(manifest["risk"], seen.lang, table)
    return said + risk_words.coarsened(manifest, seen.lang, table)


def _proved(seen: Evidence, approval: str) -> list[tuple[str, object]]:
    """How who decided authenticated for it, where a provider vouched for them."""
    made = [entry for entry in seen.entries if entry["after"] == approval and entry["outcome"] == "done"]
    said = [proofs.told(entry["payload"] or {}, seen.lang) for entry in made if entry["verb"] == "request.decide"]
    return [(seen.t("proved"), sentence) for sentence in said if sentence]


def _opinions(seen: Evidence, approval: Mapping[str, Any]) -> list[tuple[str, object]]:
    """The votes of committees and the conditions that a decision recorded."""
    votes = [
        (vote["committee"], f"{say('governance.vote_' + vote['vote'], seen.lang)}, {vote['day']}")
        for vote in approval.get("votes", ())
    ]
    return [*votes, *((seen.t("condition"), text) for text in approval.get("conditions", ()))]


def _opened(seen: Evidence) -> list[object]:
    """Who looked, how often."""
    looks: dict[tuple[str, str, str], list[str]] = {}
    for entry in seen.entries:
        if entry["verb"] in log_periods.ACCESS_VERBS and entry["outcome"] == "done":
            key = (entry["actor"], entry["verb"], entry["subject"] or "–")
            looks.setdefault(key, []).append(entry["time"][:19].replace("T", " "))
    rows = [
        (seen.person(who), seen.named("verb", verb), tag("code", what), str(len(times)), times[0], times[-1])
        for (who, verb, what), times in sorted(looks.items())
    ]
    told = seen.table(("who", "did", "what", "times", "first", "last"), rows, "looked_caption") if rows else None
    return [heading(seen.t("looked")), told or paragraph(seen.t("nobody"))]


def _made(seen: Evidence) -> list[object]:
    """What was made of it."""
    rows = [
        (seen.named("kind", each["kind"]), tag("code", each["id"]), seen.person(each["made_by"]),
         each["made_at"][:19].replace("T", " "))
        for each in seen.of(*MADE)
    ]  # fmt: skip
    told = (
        seen.table(("kind", "id", "who", "when"), rows, "made_caption") if rows else paragraph(seen.t("nothing_made"))
    )
    return [heading(seen.t("made")), told]


def _left(seen: Evidence) -> list[object]:
    """What left the workspace, and what was kept from leaving: each decision on a file."""
    rows = [
        (
            seen.body(each["body"]["output"]).get("file", {}).get("name", "–"),
            tag("code", each["body"]["file"][:12]),
            seen.t(f"output_{each['body']['decision']}"),
            seen.person(each["body"]["reviewer"]),
            each["made_at"][:19].replace("T", " "),
            each["body"]["reason"],
        )
        for each in seen.of("release_decision")
    ]
    if not rows:
        return [heading(seen.t("left")), paragraph(seen.t("nothing_left"))]
    return [
        heading(seen.t("left")),
        seen.table(("file", "digest", "decision", "who", "when", "reason"), rows, "left_caption"),
    ]


def _thread(seen: Evidence) -> list[object]:
    rows = [
        (seen.named("kind", each["kind"]), tag("code", each["id"]), whole_digest(each["digest"]))
        for each in seen.documents
    ]
    return [heading(seen.t("thread")), seen.table(("kind", "id", "digest"), rows, "thread_caption")]


def _log(seen: Evidence) -> list[object]:
    rows = [
        (str(each["seq"]), each["time"][:19].replace("T", " "), seen.person(each["actor"]),
         seen.named("verb", each["verb"]), tag("code", each["subject"] or "–"), seen.named("outcome", each["outcome"]),
         each["reason"] or "")
        for each in seen.entries
    ]  # fmt: skip
    names = ("seq", "when", "who", "did", "what", "outcome", "reason")
    return [heading(seen.t("log")), seen.table(names, rows, "log_caption")]
