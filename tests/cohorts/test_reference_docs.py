"""The table of criteria types in docs/cohorts.md is what both readings of the language know."""

from __future__ import annotations

from tests.conftest import ROOT
from workbench.cohorts.domains import DOMAINS, IGNORED
from workbench.cohorts.reference.kinds import KINDS, WITHOUT_EFFECT


def table() -> str:
    """The types and their attributes, as the page shows them; variants stand behind a slash."""
    lines = ["| criterion | table | attributes |", "|---|---|---|"]
    for name, kind in KINDS.items():
        members = sorted(kind.members)
        shown: list[str] = []
        for member in members:
            base = member.removesuffix("CS").removesuffix("Exclude")
            if base != member and base in members:
                continue
            variants = [end for end in ("CS", "Exclude") if f"{member}{end}" in members]
            shown.append("/".join([f"`{member}`", *(f"`…{end}`" for end in variants)]))
        lines.append(f"| `{name}` | `{kind.table}` | {', '.join(shown) or 'none of its own'} |")
    return "\n".join(lines)


def test_the_page_shows_every_attribute() -> None:
    assert table() in (ROOT / "docs/cohorts.md").read_text(encoding="utf-8")


def test_both_readings_know_the_same_members() -> None:
    assert set(KINDS) == set(DOMAINS)
    for name, kind in KINDS.items():
        domain = DOMAINS[name]
        theirs = {*domain.attributes, *(each.exclude for each in domain.attributes.values() if each.exclude)}
        theirs |= {domain.source_member} if domain.source_member else set()
        assert kind.members - WITHOUT_EFFECT.get(name, frozenset()) == theirs
        if not domain.made:
            stored = (domain.table, domain.key, domain.concept, domain.start)
            assert (kind.table, kind.key, kind.concept, kind.start) == stored
    assert WITHOUT_EFFECT == IGNORED
