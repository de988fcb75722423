"""Concepts to which a protocol or a request limits tables: known to the study's release, and told by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.engines import sql
from workbench.engines.duckdb import DuckDBEngine
from workbench.governance.actors import Actor
from workbench.kernel.errors import InvalidInput, Refused, Unavailable
from workbench.kernel.text import LANGS, Lang, say
from workbench.services.context import Workbench, acting
from workbench.services.releases import standing_release
from workbench.vocabulary.lookup import Concept, look_up

Limits = Mapping[str, Sequence[Mapping[str, Any]]]
"""Table → items, as in the member `concepts` of a protocol."""


def check_known(wb: Workbench, release: str, document: Mapping[str, Any]) -> None:
    """Check that the vocabulary of a release (by digest) has every concept and domain that a document names.

    Raises `InvalidInput` (`services.unknown_concepts`), and what `verified_release` raises.
    """
    concepts = document.get("concepts", {})
    if not concepts:
        return
    found, domains = _known(wb, release, concepts)
    missing = [str(each) for each in sorted(_ids(concepts) - set(found))]
    missing += sorted(_domains(concepts) - domains)
    if missing:
        raise InvalidInput("services.unknown_concepts", missing=", ".join(missing))


def in_words(wb: Workbench, actor: Actor, release: str, concepts: Limits, lang: Lang) -> dict[str, str]:
    """Return table → its concepts in words, with the names that the vocabulary of a release (by digest) has for them.

    Where the release is no longer there, ids stand alone.
    """
    return {table: said[lang] for table, said in in_both_languages(wb, actor, release, concepts).items()}


def in_both_languages(wb: Workbench, actor: Actor, release: str, concepts: Limits) -> dict[str, dict[Lang, str]]:
    """Return what `in_words` does, in each language."""
    found = _named(wb, actor, release, concepts)
    return {table: {lang: _said(items, found, lang) for lang in LANGS} for table, items in sorted(concepts.items())}


def items_in_words(wb: Workbench, actor: Actor, release: str, concepts: Limits, lang: Lang) -> dict[str, list[str]]:
    """Return table → each of its items in words, in their order, as in `in_words`."""
    found = _named(wb, actor, release, concepts)
    return {table: [_item(item, found, lang) for item in items] for table, items in concepts.items()}


def domains(wb: Workbench, actor: Actor, release: str) -> tuple[str, ...]:
    """Return the domains of a release's vocabulary (release by digest), by name; none where it is no longer there."""
    with acting(wb, actor, "concept.read"):
        try:
            return tuple(sorted(_known(wb, release, {"": [{"domain": ""}]})[1]))
        except (Refused, Unavailable):
            return ()


def _named(wb: Workbench, actor: Actor, release: str, concepts: Limits) -> dict[int, Concept]:
    if not concepts:
        return {}
    with acting(wb, actor, "study.read"):
        try:
            return _known(wb, release, concepts)[0]
        except (Refused, Unavailable):
            return {}


def _said(items: Sequence[Mapping[str, Any]], found: Mapping[int, Concept], lang: Lang) -> str:
    kept, out = (
        (" ; " if lang == "fr" else "; ").join(
            _item(each, found, lang) for each in items if each.get("excluded", False) is excluded
        )
        for excluded in (False, True)
    )
    return say("governance.limit_without", lang, kept=kept, out=out) if out else kept


def _item(item: Mapping[str, Any], found: Mapping[int, Concept], lang: Lang) -> str:
    if "domain" in item:
        return say("governance.limit_domain", lang, domain=item["domain"])
    number = item["concept"]
    name = f"{found[number].name} ({number})" if number in found else str(number)
    return say("governance.limit_below" if item.get("descendants", True) else "governance.limit_alone", lang, name=name)


def _known(wb: Workbench, release: str, concepts: Limits) -> tuple[dict[int, Concept], frozenset[str]]:
    """Return the concepts that a release has of those named, by id, and all its domains."""
    with DuckDBEngine.over_parquet(dict(standing_release(wb, release).tables)) as engine:
        found = look_up(engine, _ids(concepts))
        if not _domains(concepts) or "domain_id" not in engine.columns("concept"):
            return found, frozenset()
        query = sql.select(sql.columns("c", "domain_id"), sql.cdm_table("concept", "c"), distinct=True)
        return found, frozenset(row[0] for row in engine.tuples(query))


def _ids(concepts: Limits) -> frozenset[int]:
    return frozenset(item["concept"] for items in concepts.values() for item in items if "concept" in item)


def _domains(concepts: Limits) -> frozenset[str]:
    return frozenset(item["domain"] for items in concepts.values() for item in items if "domain" in item)
