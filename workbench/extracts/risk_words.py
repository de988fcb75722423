"""The measured risk in plain sentences: what it means for persons, in French and English."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from workbench.governance.disclosure import as_shown
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel.text import Lang, say

GAUGES = ("singling_out", "linkability", "inference")
"""The three questions of the European opinion 05/2014 on anonymisation."""

Named = Callable[[str], str]


def plain_number(value: int, lang: Lang) -> str:
    """Return a whole number with its thousands set apart."""
    grouped = f"{value:,}"
    return grouped.replace(",", "\u202f") if lang == "fr" else grouped


def share(persons: int, of: int, lang: Lang) -> str:
    """Return how many of all persons in hundredths: `0 %`, `under 1 %`, `45 %`, `over 99 %`, `100 %`."""
    if not persons or persons == of:
        return say("extract.risk_share", lang, share=100 if persons else 0)
    hundredths = 100 * persons / of
    if not 1 <= hundredths <= 99:
        return say("extract.risk_share_under" if hundredths < 1 else "extract.risk_share_over", lang)
    return say("extract.risk_share", lang, share=round(hundredths))


def measured(risk: Mapping[str, Any]) -> bool:
    """Return whether a risk document has all that is measured today: extracts made before 2026-11 have less."""
    return "gauges" in risk


def sentences(risk: Mapping[str, Any], lang: Lang, table: Named = str) -> list[str]:
    """Return the measures as sentences, the gravest question first; `table` names a table as the reader knows it."""
    number = _numbers(lang)
    said = [
        say("extract.risk_persons", lang, persons=number(risk["persons"]), left_out=number(risk["persons_left_out"]))
    ]
    if not measured(risk):
        return [*said, say("extract.risk_older", lang)]
    said += [
        say("extract.risk_gauge", lang, name=gauge_name(gauge, lang), said=gauge_sentence(risk, gauge, lang))
        for gauge in GAUGES
    ]
    said += [
        _known(risk, lang),
        *_worst(risk, lang),
        *_costs(risk, lang),
        _intervals(risk, lang),
        *_shifted(risk, lang),
    ]
    said += [
        say("extract.risk_concepts", lang, table=table(name), unique=number(count), persons=number(risk["persons"]))
        for name, count in risk["unique_by_concepts"].items()
        if count
    ]
    rare = risk["rare_concepts"]
    said.append(
        say("extract.risk_rare", lang, concepts=number(rare["concepts"]), persons=number(rare["persons"]))
        if rare["concepts"]
        else say("extract.risk_rare_none", lang)
    )
    return said + [_attribute(entry, lang) for entry in risk["diversity"]]


def coarsened(manifest: Mapping[str, Any], lang: Lang, table: Named = str) -> list[str]:
    """Return what an extract's manifest says of the rare values that were made coarser; nothing of one made before
    2026-12, of which none were."""
    if "coarsened" not in manifest:
        return []
    told: Mapping[str, Any] = manifest["coarsened"]
    bands = told.get("ages")
    said = (
        []
        if bands is None
        else [say("extract.coarse_ages" if bands else "extract.coarse_no_ages", lang, bands=len(bands))]
    )
    changed = [each for each in told["columns"] if each["replaced"] or each["left_out"]]
    said += [
        say("extract.coarse_column", lang, table=table(each["table"]), column=each["column"],
            **{name: _masked(each[name], lang) for name in ("replaced", "left_out")})
        for each in changed
    ]  # fmt: skip
    if told["columns"] and not changed:
        said.append(say("extract.coarse_none", lang))
    return [*said, say("extract.coarse_kept", lang, values=kept_names(told["kept"], lang))] if told["kept"] else said


def kept_names(kinds: Sequence[str], lang: Lang) -> str:
    """Return the kinds of values that stay however rare, in words."""
    return ", ".join(say(f"extract.rare_{kind}", lang) for kind in sorted(kinds))


def _masked(value: int | None, lang: Lang) -> str:
    said = as_shown(value)
    return said.text_fr if lang == "fr" else said.text_en


def gauge_name(gauge: str, lang: Lang) -> str:
    """Return one of the three questions in a word."""
    return say(f"extract.gauge_{gauge}", lang)


def gauge_sentence(risk: Mapping[str, Any], gauge: str, lang: Lang) -> str:
    """Return what one of the three questions comes to, with its number of persons."""
    persons = risk["gauges"][gauge]
    if persons is None:
        return say("extract.risk_no_inference", lang)
    number, of = _numbers(lang), risk["persons"]
    facts = {"persons": number(persons), "of": number(of), "share": share(persons, of, lang)}
    return say(f"extract.risk_{gauge}", lang, **facts)


def column_names(names: Sequence[str], lang: Lang, between: Literal["and", "or"] = "and") -> str:
    """Return columns that may be known, joined as people join words."""
    words = [say(f"extract.known_{name}", lang) for name in names]
    return (
        words[0]
        if len(words) == 1
        else say(f"extract.risk_{between}", lang, first=", ".join(words[:-1]), last=words[-1])
    )


def attribute_name(attribute: str, lang: Lang) -> str:
    """Return an outcome or a sensitive class in words."""
    kind, _, name = attribute.partition(":")
    known = sensitive_classes()
    return known[name].name[lang] if kind == "class" and name in known else name


def _numbers(lang: Lang) -> Callable[[int], str]:
    return lambda value: plain_number(value, lang)


def _known(risk: Mapping[str, Any], lang: Lang) -> str:
    names = [entry["name"] for entry in risk["quasi_identifiers"]]
    if not names:
        return say("extract.risk_nothing_known", lang)
    number = _numbers(lang)
    facts = {"k": number(risk["k"]), "unique": number(risk["unique"]), "small": number(risk["in_small_groups"])}
    return say("extract.risk_k", lang, columns=column_names(names, lang), **facts)


def _worst(risk: Mapping[str, Any], lang: Lang) -> list[str]:
    number, all_of_them = _numbers(lang), len(risk["quasi_identifiers"])
    return [
        say(
            f"extract.risk_worst_{len(worst['columns'])}", lang,
            columns=column_names(worst["columns"], lang),
            unique=number(worst["unique"]), small=number(worst["in_small_groups"]),
        )
        for worst in risk["worst"]
        if len(worst["columns"]) < all_of_them
    ]  # fmt: skip


def _costs(risk: Mapping[str, Any], lang: Lang) -> list[str]:
    costs = {entry["name"]: entry["cost"] for entry in risk["quasi_identifiers"]}
    if not risk["unique"] or not costs:
        return []
    most = max(costs.values())
    if not most:
        return [say("extract.risk_no_cost", lang)]
    number, dearest = _numbers(lang), [name for name, cost in costs.items() if cost == most]
    facts = {
        "column": column_names(dearest, lang, "or"), "cost": number(most), "unique": number(risk["unique"]),
    }  # fmt: skip
    return [say("extract.risk_cost", lang, **facts)]


def _intervals(risk: Mapping[str, Any], lang: Lang) -> str:
    number = _numbers(lang)
    facts = {f"any_{entry['length']}": number(entry["persons"]) for entry in risk["intervals"]}
    return say("extract.risk_intervals", lang, **facts)


def _shifted(risk: Mapping[str, Any], lang: Lang) -> list[str]:
    """Say of shifted dates how little they hide: intervals are told whatever the shift."""
    if "dates" not in risk:
        return []
    number, persons = _numbers(lang), risk["intervals"][-1]["persons"]
    facts = {"persons": number(persons), "of": number(risk["persons"]), "share": share(persons, risk["persons"], lang)}
    return [say("extract.risk_shifted", lang, **facts)]


def _attribute(entry: Mapping[str, Any], lang: Lang) -> str:
    number = _numbers(lang)
    facts = {"inferred": number(entry["inferred"]), "having": number(entry["inferred_with"])}
    return say("extract.risk_attribute", lang, attribute=attribute_name(entry["attribute"], lang), **facts)
