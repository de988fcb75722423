"""`workbench concepts`: the vocabulary of the current release, searched and seen."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.common import As, Home, Json, give, language, number, opened, progress_bar, table, tell
from workbench.governance.disclosure import Shown
from workbench.kernel.text import Lang, say

if TYPE_CHECKING:
    from workbench.services.concepts import ConceptView
    from workbench.vocabulary.concept import Several

app = typer.Typer(no_args_is_help=True, help="Search the vocabulary; see a concept and what surrounds it.")
Language = Annotated[str | None, typer.Option("--lang", help="Labels in this language where there are any: fr or en.")]


@app.callback()
def group() -> None:
    """Search the vocabulary; see a concept and what surrounds it."""


@app.command("search")
def search(
    words: Annotated[list[str], typer.Argument(help="Words in any order, each may be cut short; or a code.")],
    domain: Annotated[str | None, typer.Option("--domain", help="Of this domain only, such as Condition.")] = None,
    vocabulary: Annotated[
        str | None, typer.Option("--vocabulary", help="Of this vocabulary only, such as SNOMED.")
    ] = None,
    standard: Annotated[bool, typer.Option("--standard", help="Standard concepts only.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    lang: Language = None,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Search concepts by words of any label (accents and case do not count) or by code: standard ones first, then those
    that the records name most. Numbers of records are rounded, small ones hidden."""
    from workbench.services import concepts  # noqa: PLC0415 - help needs none of it

    chosen = _language(lang)
    with opened(home, as_name) as (wb, actor), progress_bar(_say("indexing")) as progress:
        found = concepts.search(
            wb,
            actor,
            " ".join(words),
            lang=chosen,
            limit=limit,
            domain=domain,
            vocabulary=vocabulary,
            standard=standard,
            progress=progress,
        )
    give(as_json, asdict(found))
    if as_json:
        return
    if not found.concepts:
        tell(_say("found_none"))
        return
    columns = ("id", "label", "code", "vocabulary", "domain", "standard", "records")
    rows = [
        (
            str(line.id),
            line.label,
            line.code,
            line.vocabulary,
            line.domain,
            _say("standard_yes" if line.standard else "standard_no"),
            _shown(line.records),
        )
        for line in found.concepts
    ]
    table([_say(f"column_{name}") for name in columns], rows)
    tell(_say("found", total=number(found.total), shown=len(rows)))


@app.command("show")
def show(
    concept: Annotated[int, typer.Argument(help="The concept's id.")],
    lang: Language = None,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Show a concept: synonyms, what is above and below it, what it maps to and is mapped from, and its records."""
    from workbench.services import concepts  # noqa: PLC0415 - help needs none of it

    chosen = _language(lang)
    with opened(home, as_name) as (wb, actor):
        view = concepts.show(wb, actor, concept)
    document = asdict(view)
    document["concept"]["family"] = len(view.concept.family)
    give(as_json, document)
    if not as_json:
        _print(view, chosen)


def _print(view: ConceptView, lang: Lang) -> None:
    concept = view.concept
    tell(f"{concept.concept_id}  {view.labels[lang]}")
    standard = concept.standard or "–"
    tell(f"{concept.vocabulary} {concept.code} · {concept.domain} · {concept.concept_class} · {standard}")
    dates = {"start": concept.valid_start, "end": concept.valid_end}
    if concept.invalid:
        tell(_say("invalid", reason=_say(f"reason_{concept.invalid}"), **dates))
    else:
        tell(_say("valid", **dates))
    names = sorted({concept.name, *(text for text, _ in concept.synonyms)} - {view.labels[lang]})
    if names:
        tell(_say("synonyms", list=" · ".join(names)))
    for name, several in (
        ("maps_to", concept.maps_to),
        ("mapped_from", concept.mapped_from),
        ("above", concept.above),
        ("below", concept.below),
    ):
        _near(name, several)
    if concept.codes:
        tell(_say("own_codes", list=", ".join(f"{source} {code}" for source, code, _ in concept.codes)))
    if view.use:
        rows = [(f"{line.table}.{line.column}", _shown(line.records)) for line in view.use]
        table((_say("use"), _say("column_records")), rows)
    tell(_say("with_descendants", concepts=number(len(concept.family)), records=_shown(view.with_descendants)))


def _near(name: str, several: Several) -> None:
    if not several.total:
        return
    tell(f"{_say(name)} ({number(several.total)})")
    for each in several.concepts:
        tell(f"  {each.concept_id}  {each.name}  [{each.vocabulary} {each.code}]")
    if several.total > len(several.concepts):
        tell(f"  {_say('more', count=number(several.total - len(several.concepts)))}")


def _shown(value: Shown) -> str:
    return value.text_fr if language() == "fr" else value.text_en


def _language(asked: str | None) -> Lang:
    return language() if asked is None else "fr" if asked.lower().startswith("fr") else "en"


def _say(key: str, **facts: object) -> str:
    return say(f"vocabulary.{key}", language(), **facts)


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="concepts")
