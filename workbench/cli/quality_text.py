"""The quality of a release in words: checks, what changed, and the counts that researchers look at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.cli.common import language, number, table, tell
from workbench.kernel.text import catalogue, say

if TYPE_CHECKING:
    from workbench.governance.disclosure import Shown
    from workbench.services.quality import Failure, QualityView

FEW = 15
YEARS = 10


def show(view: QualityView) -> None:
    """Print a release's quality for people."""
    tell(_say("head", release=view.release, version=view.checks_version, day=view.as_of))
    counts = {name: number(count) for name, count in view.summary.items()}
    tell(_say("summary", **counts))
    _failures(view.failures)
    _changes(view)
    _counts(view)


def _failures(failures: Sequence[Failure]) -> None:
    if not failures:
        return
    rows = [
        (_say(f"severity_{each.severity}"), _say(f"check_{each.check.name}"), each.check.place, *_failed(each))
        for each in failures[:FEW]
    ]  # fmt: skip
    table([_say(f"column_{name}") for name in ("severity", "check", "place", "failed", "share")], rows)
    if len(failures) > FEW:
        tell(_say("more", count=number(len(failures) - FEW)))


def _failed(failure: Failure) -> tuple[str, str]:
    """Return the rows that fail and their share; a table or a column that lacks has none."""
    from workbench.services.quality import LACKING  # noqa: PLC0415 - help needs none of it

    return ("–", "–") if failure.check.name in LACKING else (shown(failure.failed), _share(failure.share))


def _changes(view: QualityView) -> None:
    if view.before is None:
        return
    tell()
    tell(_say("changes" if view.changes else "changes_none", before=view.before))
    rows = [
        (_say(f"change_{each.kind}"), each.place, _side(each.before, each.share_before),
         _side(each.after, each.share_after))
        for each in view.changes[:FEW]
    ]  # fmt: skip
    if rows:
        table([_say(f"column_{name}") for name in ("change", "place", "before", "after")], rows)
    if len(view.changes) > FEW:
        tell(_say("more", count=number(len(view.changes) - FEW)))


def _counts(view: QualityView) -> None:
    years = sorted({year for series in view.years.values() for year in series})[-YEARS:]
    tell()
    if years:
        rows = [(name, *(_cell(series.get(year)) for year in years)) for name, series in view.years.items()]
        table((_say("records_by_year"), *years), rows)
    bands = sorted({(line.start, line.end) for line in view.ages})
    by = {(line.sex, line.start): line.persons for line in view.ages}
    sexes = sorted({line.sex for line in view.ages})
    rows = [
        (_say("ages", start=start, end=end), *(_cell(by.get((sex, start))) for sex in sexes)) for start, end in bands
    ]
    table((_say("persons_by_age"), *(_sex(sex) for sex in sexes)), rows)
    rows = [(_say("years_observed", years=years), _cell(persons)) for years, persons in view.observed_years.items()]
    table((_say("observation"), _say("column_persons")), rows)
    rows = [
        (each.table, str(each.concept), each.name or "–", shown(each.records))
        for each in view.concepts
        if each.records.value
    ]
    table([_say(f"column_{name}") for name in ("table", "concept", "label", "records")], _first(rows, 3))
    rows = [
        (f"{each.table}.{each.column}", shown(each.unmapped), _share(each.share))
        for each in view.unmapped
        if each.share
    ]
    if rows:
        table([_say(f"column_{name}") for name in ("unmapped", "records", "share")], rows)
    tell(_say("rounded"))


def _first(rows: Sequence[tuple[str, ...]], count: int) -> list[tuple[str, ...]]:
    """Return the first rows of each table."""
    names = dict.fromkeys(row[0] for row in rows)
    return [row for name in names for row in [each for each in rows if each[0] == name][:count]]


def shown(value: Shown) -> str:
    """Return a governed number in the terminal's language."""
    return value.text_fr if language() == "fr" else value.text_en


def _cell(value: Shown | None) -> str:
    if value is None:
        return "–"
    return shown(value) if value.withheld else _say("hidden") if value.value is None else number(value.value)


def _side(value: Shown, share: float | None) -> str:
    return shown(value) if share is None else f"{shown(value)} ({_share(share)})"


def _share(share: float | None) -> str:
    if share is None:
        return "–"
    written = f"{share:.1f}"
    return f"{written.replace('.', ',')} %" if language() == "fr" else f"{written}%"


def _sex(concept: int) -> str:
    known = catalogue(language())["text"]
    return str(known.get(f"quality.sex_{concept}", concept))


def _say(key: str, **facts: object) -> str:
    return say(f"quality.{key}", language(), **facts)
