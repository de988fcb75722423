"""The public register of studies: what a hospital says to everybody of every study that was opened.

Purpose, sponsor, legal basis, dates, tables, retention; no person (members and investigator are left out), no number of
persons, no id or digest of data. From the same log the same register, byte for byte: it carries no time of its own.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.legal_bases import field_label, legal_basis
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.kernel.html import Html, facts, join, page, paragraph, tag
from workbench.kernel.text import LANGS, Lang, catalogue, say
from workbench.services import concept_limits
from workbench.services.context import Workbench, acting, event
from workbench.services.expiry import expire
from workbench.store import documents
from workbench.store.documents import State

FORMAT = "workbench/register/1"
_ENDS = frozenset({"study.close", "study.expire"})
_PUBLIC_FIELDS = ("public_registration", "cesrees_opinion", "cnil_decision", "committee_vote", "cpp_opinion",
                  "patients_information")  # fmt: skip
"""What a legal basis requires and everybody may read; the other fields may name somebody or a file of the hospital."""


def public_register(wb: Workbench, actor: Actor) -> dict[str, Any]:
    """Return the register as a document, its studies by name; making it is logged with its digest."""
    with acting(wb, actor, "study.register"):
        expire(wb)
        with wb.store.read() as connection:
            days = _days(connection)
            states = sorted(documents.states_of(connection, "study"), key=lambda state: state.id)
            opened = [state for state in states if ("opened", state.id) in days]
            bodies = [_body(connection, state) for state in opened]
        found = [
            {**_study(state, body, days), **_concepts(wb, actor, body)}
            for state, body in zip(opened, bodies, strict=True)
        ]
        document: dict[str, Any] = {"format": FORMAT, "studies": found}
        with wb.store.write(event(actor, "study.register", subject="register", after=digest_document(document))):
            pass
    return document


def _days(connection: Connection) -> dict[tuple[str, str], str]:
    """Return the day on which each study was opened, ended and erased, as the log has it."""
    found: dict[tuple[str, str], str] = {}
    for entry in audit.entries(connection):
        if entry.outcome != "done" or entry.study is None:
            continue
        kind = "opened" if entry.verb == "study.open" else "ended" if entry.verb in _ENDS else None
        kind = "erased" if entry.verb == "study.purge" else kind
        if kind is not None:
            found[kind, entry.study] = clock.day_of(entry.time).isoformat()
    return found


def _body(connection: Connection, state: State) -> dict[str, Any]:
    document = documents.find(connection, state.digest)
    assert document is not None
    return document.body


def _concepts(wb: Workbench, actor: Actor, body: dict[str, Any]) -> dict[str, Any]:
    """Return the member `concepts`, only where a study is limited: table → what it is limited to, by name."""
    said = concept_limits.in_both_languages(wb, actor, body["release"], body.get("concepts", {}))
    return {"concepts": said} if said else {}


def _study(state: State, body: dict[str, Any], days: dict[tuple[str, str], str]) -> dict[str, Any]:
    basis = legal_basis(body["legal_basis"]["code"])
    fields = body["legal_basis"]["fields"]
    classes = [sensitive_classes()[code].name for code in body["sensitive_classes"]]
    return {
        "study": state.id,
        "title": body["title"],
        "purpose": body["purpose"],
        "sponsor": body["sponsor"],
        "state": state.state,
        "legal_basis": {"code": basis.code, **{lang: basis.name[lang] for lang in LANGS}, "source": basis.source},
        "references": {name: fields[name] for name in _PUBLIC_FIELDS if name in fields},
        "opened_on": days["opened", state.id],
        "last_day": body.get("ends_on"),
        "ended_on": days.get(("ended", state.id)),
        "kept_until": state.expires_on if state.state in {"closed", "expired"} else None,
        "erased_on": days.get(("erased", state.id)),
        "extract_days": body["duration_days"],
        "retention_days": body["retention_days"],
        "tables": {name: sorted(columns) for name, columns in sorted(body["tables"].items())},
        "sensitive_classes": [{lang: name[lang] for lang in LANGS} for name in classes],
        "destinations": sorted(body["destinations"]),
    }


def as_json(register: dict[str, Any]) -> str:
    """Return a register as JSON text, its members in one order."""
    return json.dumps(register, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def as_html(register: dict[str, Any], lang: Lang) -> str:
    """Return a register as one HTML page in one language, complete in itself: no script, nothing from outside."""
    studies = [_section(study, lang) for study in register["studies"]] or [paragraph(_word("none", lang))]
    title = _word("title", lang)
    return page(title, [tag("h1", title), paragraph(_word("text", lang)), *studies], lang, style=_STYLE)


def _section(study: dict[str, Any], lang: Lang) -> Html:
    words = catalogue(lang)["text"]
    tables = "; ".join(
        f"{words.get(f'ui.table_{name}', name)} ({', '.join(columns)})" for name, columns in study["tables"].items()
    )
    colon, apart = (" : ", " ; ") if lang == "fr" else (": ", "; ")
    limits = apart.join(
        f"{words.get(f'ui.table_{name}', name)}{colon}{said[lang]}" for name, said in study.get("concepts", {}).items()
    )
    basis = study["legal_basis"]
    lines: list[tuple[str, str | None]] = [
        (_word("purpose", lang), study["purpose"]),
        (_word("sponsor", lang), study["sponsor"]),
        (_word("state", lang), say(f"governance.state_{study['state']}", lang)),
        (_word("legal_basis", lang), f"{basis[lang]} ({basis['source']})"),
        *((field_label(name, lang), text) for name, text in study["references"].items()),
        *(
            (_word(name, lang), study[name])
            for name in ("opened_on", "last_day", "ended_on", "kept_until", "erased_on")
        ),
        (_word("extract_days", lang), _word("days", lang, count=study["extract_days"])),
        (_word("retention_days", lang), _word("days", lang, count=study["retention_days"])),
        (_word("tables", lang), tables),
        (_word("concepts", lang), limits or None),
        (_word("sensitive_classes", lang), ", ".join(each[lang] for each in study["sensitive_classes"]) or None),
        (_word("destinations", lang), ", ".join(study["destinations"]) or _word("no_destination", lang)),
    ]
    return tag("section", join([tag("h2", study["title"]), facts((name, text) for name, text in lines if text)]))


def _word(key: str, lang: Lang, **facts: object) -> str:
    return say(f"services.register_{key}", lang, **facts)


_STYLE = (
    "body{margin:0;background:#fbfcfc;color:#16262b;font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:52rem;margin:0 auto;padding:2rem 1.25rem}h1{font-size:1.6rem}"
    "h2{font-size:1.15rem;margin:0 0 .5rem;color:#0b5a6b}section{border-top:1px solid #cfd9db;padding:1.25rem 0}"
    "dl{margin:0}dl div{display:grid;grid-template-columns:minmax(9rem,16rem) 1fr;gap:.3rem 1rem}dt{color:#4a5d63}"
    "dd{margin:0;overflow-wrap:anywhere}@media(max-width:40rem){dl div{display:block}dd{margin-bottom:.6rem}}"
)
