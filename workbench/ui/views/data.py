"""Données: a release's tables, what is in them by year, who the persons are, and how good the data are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.disclosure import Shown
from workbench.governance.policy import can
from workbench.kernel.errors import Refused
from workbench.kernel.text import catalogue, say
from workbench.services import catalogue as records
from workbench.services import catalogue_checks, quality, releases
from workbench.services.quality import ChangeLine, Failure, QualityView
from workbench.services.releases import ReleaseView
from workbench.ui.parts import release as parts
from workbench.ui.parts import work
from workbench.ui.parts.errors import answering
from workbench.ui.parts.listing import Entry, chooser
from workbench.ui.parts.markup import (
    Html,
    badge,
    facts,
    figures,
    heading,
    join,
    paragraph,
    show,
    table,
    tag,
    whole_digest,
)
from workbench.ui.parts.shell import empty
from workbench.ui.parts.words import cell, counted, day, decimal, number, shown
from workbench.ui.state import lang, t, workbench

SLOT = "data_job"
YEARS = 10
FEW = 40
TONES = {"fatal": "bad", "convention": "wait", "characterization": "plain"}


def draw(actor: Actor) -> None:
    """Draw the page."""
    work.watch(SLOT, actor, "data_checked")
    views = releases.list_releases(workbench(), actor)
    if not views:
        empty(t("data_none"), t("data_none_then"))
        return
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = chooser("data", [_entry(view) for view in reversed(views)])
    view = next((view for view in views if chosen in {view.id, view.digest}), None)
    if view is None:
        raise Refused("store.no_document", ref=chosen)
    with right:
        _detail(actor, view)


def _entry(view: ReleaseView) -> Entry:
    note = t("data_entry", day=day(view.loaded_at))
    if view.retired:
        return Entry(view.id, view.name, note, badge(t("data_retired"), "plain"))
    return Entry(view.id, view.name, note, badge(t("data_current"), "good") if view.current else None)


def _detail(actor: Actor, view: ReleaseView) -> None:
    st.subheader(view.name, anchor=False)
    if view.retired:
        show(paragraph(say("release.said_retired", lang()), "wb-note"))
    due = catalogue_checks.checks_due(workbench()).get(view.id)
    if due and due.overdue:
        show(paragraph(t("data_catalogue_overdue", day=day(due.next.isoformat())), "wb-note"))
    if view.erased_at:
        said = say("release.said_erased", lang(), day=day(view.erased_at), before=view.in_place_of)
        show(paragraph(said, "wb-note"))
    if not quality.is_checked(workbench(), actor, view.id):
        _tables(view)
        _unchecked(actor, view)
        return
    found = quality.show_quality(workbench(), actor, view.id)
    total = sum(count or 0 for count in view.rows.values())
    show(figures([
        (t("data_persons"), shown(found.persons)), (t("data_rows"), number(total)),
        (t("data_latest"), _latest(found)), (t("data_fails"), number(found.summary["failed"])),
    ]))  # fmt: skip
    counts, checks, origin = st.tabs([t("data_counts"), t("data_quality"), t("data_origin")])
    with counts:
        _by_year(found)
        _who(found)
        _concepts(found)
    with checks:
        _quality(found)
    with origin:
        _tables(view)
        _origin(actor, view)


def _unchecked(actor: Actor, view: ReleaseView) -> None:
    if view.retired:
        return
    show(paragraph(t("data_unchecked"), "wb-note"))
    if can(actor, "release.check"):
        busy = work.is_under_way(SLOT, actor)
        if st.button(t("data_check"), type="primary", disabled=busy, key="data_check"):
            work.start(SLOT, actor, "release.check", {"release": view.id})


def _latest(found: QualityView) -> str:
    """Return the last month in which enough persons have records."""
    months = [month for series in found.months.values() for month, records in series.items() if records.value]
    return max(months, default="–")


def _by_year(found: QualityView) -> None:
    years = sorted({year for series in found.years.values() for year, n in series.items() if n.value})[-YEARS:]
    show(heading(t("data_by_year")))
    if not years:
        show(paragraph(t("data_by_year_none"), "wb-quiet"))
        return
    rows = [[tag("code", name), *(_cell(series.get(year)) for year in years)] for name, series in found.years.items()]
    numeric = range(1, len(years) + 1)
    show(table([t("data_table"), *years], rows, t("data_rounded"), numeric=list(numeric)))
    with st.expander(t("data_by_month")):
        name = st.selectbox(t("data_table"), list(found.months), key="data_months")
        series = found.months.get(name or "", {})
        months = [(month, records) for month, records in sorted(series.items()) if month[:4] in years]
        show(_bars(months, t("data_month"), t("data_records")))


def _who(found: QualityView) -> None:
    show(heading(t("data_who")))
    if not found.ages:
        show(paragraph(t("data_who_none"), "wb-quiet"))
        return
    sexes = sorted({line.sex for line in found.ages})
    bands = sorted({(line.start, line.end) for line in found.ages})
    by = {(line.sex, line.start): line.persons for line in found.ages}
    rows = [
        [t("data_ages", start=start, end=end), *(_cell(by.get((sex, start))) for sex in sexes)] for start, end in bands
    ]
    headings = [t("data_age"), *(_word("sex", str(sex)) for sex in sexes)]
    show(table(headings, rows, t("data_age_caption"), numeric=list(range(1, len(sexes) + 1))))
    show(heading(t("data_observed")))
    years = [(year, persons) for year, persons in found.observed.items() if persons.value][-YEARS:]
    show(_bars(years, t("data_year"), t("data_persons")))
    spans = [(_span(length), persons) for length, persons in found.observed_years.items()]
    show(_bars(spans, t("data_length"), t("data_persons")))


def _span(years: str) -> str:
    """Return a length of observation in whole years; the last one is open."""
    return t("data_years_more", years=years) if int(years) == quality.LONGEST else t("data_years", years=years)


def _concepts(found: QualityView) -> None:
    show(heading(t("data_concepts")))
    names = list(dict.fromkeys(each.table for each in found.concepts))
    if not names:
        show(paragraph(t("data_concepts_none"), "wb-quiet"))
        return
    name = st.selectbox(t("data_table"), names, key="data_concepts")
    rows = [
        [each.name or "–", each.vocabulary or "–", tag("code", each.code or "–"), cell(each.records)]
        for each in found.concepts
        if each.table == name and each.records.value
    ]
    headings = [t("data_label"), t("data_vocabulary"), t("data_code"), t("data_records")]
    show(table(headings, rows, t("data_rounded"), numeric=[3]))


def _quality(found: QualityView) -> None:
    numbers = {name: number(count) for name, count in found.summary.items()}
    show(figures([(_word("status", name), numbers[name]) for name in ("passed", "failed", "not_applicable")]))
    show(paragraph(t("data_checks_said", version=found.checks_version, day=day(found.as_of)), "wb-quiet"))
    _changes(found)
    for severity in TONES:
        mine = [failure for failure in found.failures if failure.severity == severity]
        if mine:
            show(heading(_word("severity", severity).capitalize()))
            show(paragraph(t(f"data_severity_{severity}"), "wb-quiet"))
            show(_failures(mine))
    unmapped = [each for each in found.unmapped if each.share]
    if unmapped:
        show(heading(t("data_unmapped")))
        rows = [
            [tag("code", f"{each.table}.{each.column}"), cell(each.unmapped), _percent(each.share)] for each in unmapped
        ]
        show(table([t("data_column"), t("data_records"), t("data_share")], rows, t("data_rounded"), numeric=[1, 2]))


def _failures(failures: Sequence[Failure]) -> Html:
    rows = [[_word("check", each.check.name), tag("code", each.check.place), *_failed(each)] for each in failures[:FEW]]
    more = t("data_more", count=number(len(failures) - FEW)) if len(failures) > FEW else t("data_rounded")
    headings = [t("data_what"), t("data_where"), t("data_fail"), t("data_share")]
    return table(headings, rows, more, numeric=[2, 3])


def _failed(failure: Failure) -> list[str]:
    """Return the rows that fail and their share; a table or a column that lacks has none."""
    if failure.check.name in quality.LACKING:
        return ["–", "–"]
    return [cell(failure.failed), _percent(failure.share)]


def _changes(found: QualityView) -> None:
    if found.before is None:
        return
    show(heading(t("data_changes", before=found.before)))
    if not found.changes:
        show(paragraph(t("data_changes_none"), "wb-quiet"))
        return
    rows = [[_word("change", each.kind), _place(each), *_sides(each)] for each in found.changes[:FEW]]
    headings = [t("data_change"), t("data_where"), t("data_before"), t("data_now")]
    show(table(headings, rows, t("data_rounded"), numeric=[2, 3]))


def _place(change: ChangeLine) -> Html:
    """Return where something changed; a check's id is its name and its place."""
    name, colon, place = change.place.partition(":")
    return join([_word("check", name), " ", tag("code", place)]) if colon else tag("code", change.place)


def _sides(change: ChangeLine) -> list[str]:
    shares = (change.share_before, change.share_after)
    sides = zip((change.before, change.after), shares, strict=True)
    return [cell(value) if share is None else f"{cell(value)} ({_percent(share)})" for value, share in sides]


def _tables(view: ReleaseView) -> None:
    rows = [[tag("code", name), counted(count)] for name, count in view.rows.items() if count != 0]
    listed = table([t("data_table"), t("data_rows")], rows, t("data_tables_caption"), numeric=[1])
    show(heading(t("data_tables")), listed)


def _origin(actor: Actor, view: ReleaseView) -> None:
    lines = [
        (t("data_id"), tag("code", view.id)),
        (t("data_digest"), whole_digest(view.digest)),
        (t("data_loaded"), day(view.loaded_at)),
        (t("data_sources"), parts.sources(view)),
        (t("data_periods"), parts.period_rule(view)),
        (t("release_eras"), parts.eras(view)),
    ]
    show(*parts.changes(view), heading(t("data_origin")), facts(lines), *parts.set_aside(view), *parts.notices(view))
    with st.expander(t("data_catalogue")):
        made = records.record(workbench(), actor, view.id)
        show(paragraph(t("data_catalogue_said"), "wb-quiet"))
        st.code(json.dumps(made.document, ensure_ascii=False, indent=1), language="json", height=400)
        _catalogue_check(actor, view)


def _catalogue_check(actor: Actor, view: ReleaseView) -> None:
    """Say when the record was last checked, and let a data steward note that it was read and found right."""
    due = catalogue_checks.checks_due(workbench()).get(view.id)
    if due is None:
        return
    last = day(due.last.isoformat()) if due.last else t("accounts_never")
    show(paragraph(t("data_catalogue_due", last=last, next=day(due.next.isoformat()))))
    if can(actor, "release.catalogue") and st.button(t("data_catalogue_check"), key=f"catalogue_{view.id}"):
        with answering():
            catalogue_checks.check_record(workbench(), actor, view.id)
            st.toast(t("data_catalogue_checked"))
            st.rerun()


def _bars(lines: Iterable[tuple[str, Shown]], what: str, how_many: str) -> Html:
    """Return numbers as bars with the number beside each; a hidden number has a bar that says nothing of its size."""
    listed = list(lines)
    widest = max((value.value or 0 for _, value in listed), default=0) or 1
    rows = [[name, _bar(value, widest)] for name, value in listed]
    return table([what, how_many], rows, t("data_rounded"), css="wb-funnel")


def _bar(value: Shown, widest: int) -> Html:
    share = 0 if value.value is None else max(1, round(100 * value.value / widest))
    style = {} if value.value is None else {"style": f"width:{share}%"}
    bar = tag("span", "", "wb-bar wb-hidden" if value.value is None else "wb-bar", **style)
    return tag(
        "span", join([tag("span", bar, "wb-barred", aria_hidden="true"), tag("span", cell(value))]), "wb-measure"
    )


def _cell(value: Shown | None) -> str:
    """Return a number as narrow as a table of years needs it."""
    return cell(value) if value is None or value.value is not None or value.withheld else say("quality.hidden", lang())


def _percent(share: float | None) -> str:
    return "–" if share is None else t("data_percent", share=decimal(share, 1))


def _word(family: str, code: str) -> str:
    words: Mapping[str, str] = catalogue(lang())["text"]
    key = f"quality.{family}_{code}"
    return say(key, lang()) if key in words else code
