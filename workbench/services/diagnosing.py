"""Diagnostics of a phenotype: exact on one's own data; in a home kept beside the cohort's rows, and shown governed.

What has a hidden number is not listed at all: that a code, a place or a combination is there would tell that it is not
nobody's. Months and age bands are listed from the first to the last, whether hidden or empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from workbench.cohorts.check_data import check_data
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.diagnose_events import BAND, OLDEST
from workbench.cohorts.diagnostics import diagnose
from workbench.cohorts.left import Populations
from workbench.engines.base import Engine
from workbench.engines.duckdb import DuckDBEngine
from workbench.governance.actors import Actor
from workbench.governance.disclosure import Shown, as_shown, not_shown
from workbench.governance.populations import Population
from workbench.governance.suppression import withheld, withheld_reasons
from workbench.kernel.digest import digest_document
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.text import LANGS
from workbench.services import alerts, cohorts, numbers
from workbench.services.cohorts import CohortView
from workbench.services.context import Workbench, acting, event, working
from workbench.services.releases import verified_release
from workbench.store import files

Numbers = Callable[[Mapping[str, Any]], tuple[Shown, Shown]]
FORMAT = "workbench/diagnostics/2"
_MONTHS = 12
_NOBODY: Final = {"persons": 0, "events": 0}
SEXES = (8507, 8532)
"""OMOP's concepts of male and female."""


@dataclass(frozen=True)
class Row:
    """One line: what is counted (as the diagnostics name it), and persons and events as shown."""

    what: Mapping[str, Any]
    persons: Shown
    events: Shown


@dataclass(frozen=True)
class DiagnosticsView:
    """The diagnostics of a cohort version as people see them; every number is governed.

    `questions` are what `check` asks of the definition on this release: level, path, and words in both languages.
    """

    total: Row
    rules: tuple[str, ...]
    years: tuple[Row, ...]
    months: tuple[Row, ...]
    sites: tuple[Row, ...]
    people: tuple[Row, ...]
    codes: tuple[Row, ...]
    reasons: tuple[Row, ...]
    orphans: Mapping[str, tuple[Row, ...]]
    questions: tuple[Mapping[str, Any], ...]


def diagnose_own(engine: Engine, definition: Definition, progress: Progress = silent) -> DiagnosticsView:
    """Return a definition's diagnostics on one's own data, every number exact."""
    found = diagnose(engine, definition, part(progress, 0.0, 0.9))
    body = {**asdict(found), "questions": _asked(engine, definition, events=True)}
    return _view(body, lambda count: (exact(count["persons"]), exact(count["events"])))


def exact(n: int) -> Shown:
    """Return a true number as it is: on one's own data nothing is hidden."""
    return Shown(n, f"{n:,}".replace(",", "\u202f"), f"{n:,}")


def diagnose_cohort(wb: Workbench, actor: Actor, ref: str, progress: Progress = silent) -> DiagnosticsView:
    """Make the diagnostics of a cohort version, keep them beside its rows, and return them governed."""
    with acting(wb, actor, "cohort.diagnose", subject=ref):
        view = cohorts.show_cohort(wb, actor, ref)
        release = verified_release(wb, view.release)
        with working(wb, actor, "cohort.diagnose", {"cohort": view.digest}, progress) as (_job, report):
            definition = read_definition(json.dumps(view.definition))
            engine = DuckDBEngine.over_parquet(dict(release.tables))
            try:
                found = diagnose(engine, definition, part(report, 0.0, 0.9), key=wb.keys.disclosure_key())
                report(0.9, "questions")
                questions = _asked(engine, definition)
            finally:
                engine.close()
            body = {"format": FORMAT, "cohort": view.digest, **asdict(found), "questions": questions}
            counts = list(_counts(body))
            told = numbers.tell(wb, release, [count.pop("populations") for count in counts])
            for count, (persons, events, _) in zip(counts, told.rows, strict=True):
                count["shown"] = [persons, events]
            document = json.loads(json.dumps(body))
            kept = {"digest": digest_document(document), "body": document}
            files.write_text(_place(wb, view), json.dumps(kept, ensure_ascii=False))
            seen = event(actor, "cohort.diagnose", subject=view.id, before=view.digest, after=kept["digest"])
            seen.payload = told.pattern
            with wb.store.write(seen):
                pass
            alerts.watch(wb, actor)
            report(1.0, "")
    return _protected(_view(document, _governed), view)


def diagnostics_of(wb: Workbench, actor: Actor, ref: str) -> DiagnosticsView | None:
    """Return the diagnostics of a cohort version where they were made; None where they were not, or were lost."""
    with acting(wb, actor, "cohort.read", subject=ref):
        view = cohorts.show_cohort(wb, actor, ref)
        document = _kept(_place(wb, view))
        if document is None or document["cohort"] != view.digest:
            return None
        return _protected(_view(document, _governed), view)


def _governed(count: Mapping[str, Any]) -> tuple[Shown, Shown]:
    """Return how a count was shown when it was made; what is not counted at all looks like what is hidden."""
    persons, events = count.get("shown", (None, None))
    return as_shown(persons), as_shown(events)


def _counts(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a document that counts, in the document's order."""
    if isinstance(part, dict):
        members = cast("dict[str, Any]", part)
        if "populations" in members:
            members["populations"] = _populations(members["populations"])
            yield members
        part = list(members.values())
    if isinstance(part, list | tuple):
        for each in cast("list[Any]", part):
            yield from _counts(each)


def _populations(told: Mapping[str, Any]) -> Populations:
    return Populations(**{name: each and Population(**each) for name, each in told.items()})


def _place(wb: Workbench, view: CohortView) -> Path:
    return wb.settings.cache / view.release / "cohorts" / f"{view.id}.diagnostics.json"


def _kept(path: Path) -> dict[str, Any] | None:
    """What was kept, if it is whole: a cache can be lost or damaged at any time."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        body: dict[str, Any] = found["body"]
        return body if digest_document(body) == found["digest"] and body["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _asked(engine: Engine, definition: Definition, *, events: bool = False) -> list[dict[str, Any]]:
    """What `check` asks of the definition on the vocabulary, and of its events where these are one's own."""
    return [
        {"code": each.code, "level": each.level, "path": each.path, "text": {lang: each.text(lang) for lang in LANGS}}
        for each in check_data(engine, definition, events=events)
    ]


def _view(body: Mapping[str, Any], numbers: Numbers) -> DiagnosticsView:
    told = _Told(numbers)
    return DiagnosticsView(
        total=told.row({"count": body["total"]}),
        rules=tuple(body["rules"]),
        years=told.in_time(body["years"], months=False),
        months=told.in_time(body["months"], months=True),
        sites=told.listed(body["sites"]),
        people=told.people(body["people"]),
        codes=told.listed(body["codes"]),
        reasons=told.listed(body["reasons"]),
        orphans={name: rows for name, each in body["orphans"].items() if (rows := told.listed(each))},
        questions=tuple(body["questions"]),
    )


def _protected(view: DiagnosticsView, cohort: CohortView) -> DiagnosticsView:
    """Withhold what would give a hidden number away: persons by age and sex, and events by month and year, add up."""
    years, places = view.years, {row.what["year"]: at for at, row in enumerate(view.years, start=1)}
    months = [row for row in view.months if row.what["year"] in places]
    parents = [-1, *(0 for _ in years), *(places[row.what["year"]] for row in months)]
    values = [row.events.value for row in (view.total, *years, *months)]
    gone = withheld(values, parents, persons=False)
    hidden = {id(row) for at, row in enumerate((view.total, *years, *months)) if at in gone}

    def safe(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(replace(row, events=not_shown()) if id(row) in hidden else row for row in rows)

    persons = [row.persons.value for row in (view.total, *view.people)]
    alone = withheld(persons, [-1, *(0 for _ in view.people)])
    people = (replace(row, persons=not_shown()) if at in alone else row for at, row in enumerate(view.people, start=1))
    reasons = _reasons_beside(view, cohort)
    return replace(view, years=safe(years), months=safe(view.months), people=tuple(people), reasons=reasons)


def _reasons_beside(view: DiagnosticsView, cohort: CohortView) -> tuple[Row, ...]:
    """The reasons that the attrition, which stands beside them, leaves no hidden one to be subtracted from."""
    rules = [at for at, step in enumerate(cohort.attrition) if step.without is not None]
    if not rules:
        return view.reasons
    lines = cohort.attrition[rules[0] - 1 : rules[-1] + 1]
    steps = [step.persons.value for step in lines]
    listed = {tuple(row.what["failed"]): row.persons.value or 0 for row in view.reasons}
    gone = withheld_reasons(listed, steps, single=steps[0] == lines[0].events.value)
    return tuple(row for row in view.reasons if tuple(row.what["failed"]) not in gone)


@dataclass(frozen=True)
class _Told:
    """How numbers are shown, and which lines are listed."""

    numbers: Numbers

    def row(self, each: Mapping[str, Any]) -> Row:
        """A line with its numbers."""
        return Row({name: value for name, value in each.items() if name != "count"}, *self.numbers(each["count"]))

    def persons(self, count: Mapping[str, Any]) -> int | None:
        return self.numbers(count)[0].value

    def listed(self, rows: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
        return tuple(row for row in map(self.row, rows) if row.persons.value is not None)

    def in_time(self, rows: Iterable[Mapping[str, Any]], *, months: bool) -> tuple[Row, ...]:
        """Every year or month from the first to the last that is shown; nobody looks like hidden."""
        known = {(row["year"], row["month"] or 1): row for row in rows}
        told = [at for at, row in known.items() if self.persons(row["count"]) is not None]
        if not told:
            return ()
        (year, month), last = min(told), max(told)
        moments: list[tuple[int, int]] = []
        while (year, month) <= last:
            moments.append((year, month))
            year, month = (year, month + 1) if months and month < _MONTHS else (year + 1, 1)
        every = ({"year": at[0], "month": at[1] if months else None, "count": _NOBODY} for at in moments)
        return tuple(self.row(known.get((row["year"], row["month"] or 1), row)) for row in every)

    def people(self, rows: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
        """Every age band of both sexes, and what else is shown."""
        known = {(row["low"], row["sex"]): {**row, "events": 0} for row in rows}
        grid = [(low, sex) for low in range(0, OLDEST + 1, BAND) for sex in SEXES]
        others = [at for at in known if at not in grid and self.persons(known[at]) is not None]
        return tuple(
            self.row({"low": low, "sex": sex, "count": known.get((low, sex), _NOBODY)})
            for low, sex in [*grid, *sorted(others)]
        )
