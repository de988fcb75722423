"""A release beyond its rows: the rules that were followed, what was set aside, what to know, what changed."""

from __future__ import annotations

from workbench.kernel.text import say
from workbench.services.releases import ReleaseView
from workbench.ui.parts.markup import Html, bullets, heading, paragraph, table, tag
from workbench.ui.parts.words import counted, named, number
from workbench.ui.state import lang, t


def period_rule(release: ReleaseView) -> str:
    """Return the rule of a release's observation periods in words: it decides who is counted."""
    rule = release.observation_period_rule
    words = named("rule", str(rule.get("code", "")))
    return t("rule_days", rule=words, days=number(rule["days"])) if "days" in rule else words


def sources(release: ReleaseView) -> str:
    """Return what a release was read from: the names, by the kind of source."""
    kinds = dict.fromkeys(each["kind"] for each in release.sources)
    return " · ".join(
        f"{kind} : {', '.join(each['name'] for each in release.sources if each['kind'] == kind)}" for kind in kinds
    )


def eras(release: ReleaseView) -> str:
    """Return how a release came to its eras, in words."""
    rules = release.era_rules
    said = [f"{named('table', name)} : {named('era', rule['code'])}" for name, rule in rules.items()]
    return " · ".join(said) or "–"


def set_aside(release: ReleaseView) -> list[Html]:
    """Return the rows that a load set aside, by table and reason; nothing where there are none."""
    rows = [
        (
            tag("code", f"{reading['name']}.{each['column']}" if each["column"] != "*" else reading["name"]),
            say(f"intake.reason_{each['reason']}", lang()),
            counted(each["rows"]),
        )
        for reading in release.intake["tables"]
        for each in reading["reasons"]
    ]
    if not rows:
        return []
    heads = [t("column"), t("aside_reason"), t("records")]
    return [heading(t("aside_title"), 3), paragraph(t("aside_text")), table(heads, rows, t("aside_caption"), {2})]


def notices(release: ReleaseView) -> list[Html]:
    """Return what who loads should know although it stopped nothing."""
    lines: list[str] = []
    for notice in release.intake.get("notices", ()):
        facts = {name: value if isinstance(value, str) else counted(value) for name, value in notice.items()}
        lines.append(say(f"intake.notice_{facts.pop('code')}", lang(), **facts))
    return [heading(t("notices_title"), 3), bullets(lines)] if lines else []


def changes(release: ReleaseView) -> list[Html]:
    """Return what changed against the release that was current before; numbers are governed already."""
    found = release.changes
    if found is None:
        return []
    parts = ("before", "after", "added", "removed", "changed")
    rows = [[tag("code", each["name"]), *(counted(each[part]) for part in parts)] for each in found["tables"]]
    heads = [t("table"), *(t(f"rows_{part}") for part in parts)]
    persons = {name: counted(n) for name, n in found["persons"].items()}
    concepts = {name: number(n) for name, n in found["concepts"].items()}
    return [
        heading(t("changes_title"), 3),
        table(heads, rows, t("changes_caption", parent=found["parent"][:12]), {1, 2, 3, 4, 5})
        if rows
        else paragraph(t("changes_none", parent=found["parent"][:12]), "wb-quiet"),
        paragraph(t("changes_persons", **persons), "wb-quiet"),
        paragraph(t("changes_concepts", **concepts), "wb-quiet"),
    ]
