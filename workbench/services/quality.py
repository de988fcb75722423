"""The quality of a release: checked once, kept as a document of its own, seen with governed numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from workbench.governance.actors import Actor
from workbench.governance.disclosure import Shown, not_shown, rounded, shown
from workbench.governance.suppression import withheld
from workbench.intake.quality import compare
from workbench.intake.quality.checks import Check, all_checks
from workbench.intake.quality.compare import Change
from workbench.intake.quality.observation import LONGEST, MANY
from workbench.intake.quality.profile import BAND
from workbench.intake.quality.report import assess
from workbench.kernel import clock
from workbench.kernel.digest import digest_document, short
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, part, silent
from workbench.repository.releases import Release
from workbench.services.concept_use import use_of
from workbench.services.concepts import governed
from workbench.services.context import Workbench, acting, event, working
from workbench.services.releases import ReleaseView, list_releases, show_release, verified_release
from workbench.store import documents
from workbench.store.store import Write

KIND = "quality"
Key = TypeVar("Key", str, int)
LACKING = frozenset({"cdmTable", "cdmField"})
"""Checks that something is there at all: they fail without any row that fails."""

_ORDER = {"fatal": 0, "convention": 1, "characterization": 2}


@dataclass(frozen=True)
class Failure:
    """A check that fails, or could not be run (`share` is None then): the rows that fail it, governed, and their share
    of those looked at in percent, None where they are too few to show."""

    check: Check
    severity: str
    category: str
    failed: Shown
    share: float | None


@dataclass(frozen=True)
class AgeLine:
    """Persons of a sex (its concept) and an age group, from `start` to `end` in whole years."""

    sex: int
    start: int
    end: int
    persons: Shown


@dataclass(frozen=True)
class TopConcept:
    """A concept that many records of a table have; `name` is None where the vocabulary lacks it."""

    table: str
    concept: int
    name: str | None
    vocabulary: str | None
    code: str | None
    records: Shown


@dataclass(frozen=True)
class UnmappedLine:
    """A column of standard concepts: rows and rows of concept 0, governed, and their share in percent (None: too few to
    show)."""

    table: str
    column: str
    rows: Shown
    unmapped: Shown
    share: float | None


@dataclass(frozen=True)
class ChangeLine:
    """Something that changed much against the release before; shares of unmapped records are in percent."""

    kind: str
    place: str
    before: Shown
    after: Shown
    share_before: float | None = None
    share_after: float | None = None


@dataclass(frozen=True)
class QualityView:
    """A release's quality as people see it. `summary`: checks by status; `by_severity`: failing checks by what they
    say; `years`, `months`: table → period → records; `ages`, `periods`, `observed_years`, `observed`: persons;
    `vocabularies`: those of the concepts in use; `before`: the id of the release that
    `changes` are against, None where there is none that was checked."""

    id: str
    digest: str
    release: str
    as_of: str
    checks_version: str
    summary: Mapping[str, int]
    by_severity: Mapping[str, int]
    failures: tuple[Failure, ...]
    persons: Shown
    ages: tuple[AgeLine, ...]
    periods: Mapping[str, Shown]
    observed_years: Mapping[str, Shown]
    observed: Mapping[str, Shown]
    years: Mapping[str, Mapping[str, Shown]]
    months: Mapping[str, Mapping[str, Shown]]
    concepts: tuple[TopConcept, ...]
    unmapped: tuple[UnmappedLine, ...]
    vocabularies: tuple[str, ...]
    before: str | None
    changes: tuple[ChangeLine, ...]


def check_release(wb: Workbench, actor: Actor, ref: str, progress: Progress = silent) -> QualityView:
    """Run every check on a release, count what researchers look at first, and keep both as its quality document.

    Checking again on another day makes another document, since dates may lie in the future on one day and not on the
    next; the newest is shown. Raises `store.no_document`, `release.damaged`.
    """
    with acting(wb, actor, "release.check", subject=ref):
        view = show_release(wb, actor, ref)
        release = verified_release(wb, view.id)
        with working(wb, actor, "release.check", {"release": view.id}, progress) as (job, report):
            body = assessed(wb, release, report)
            with wb.store.write(event(actor, "release.check", subject=view.id)) as write:
                write.event.after = keep(write, body)
                write.event.payload["summary"] = dict(body["summary"])
                job.result_digest = write.event.after
    return show_quality(wb, actor, view.id)


def assessed(wb: Workbench, release: Release, progress: Progress = silent) -> dict[str, Any]:
    """Return the quality document of a release as of today; how often each concept is used is kept in its cache."""
    progress(0.0, "concepts")
    use = use_of(wb, release)
    spill = wb.settings.cache / release.id / ".spill"
    return assess(release.digest, release.tables, use, clock.today(), spill, part(progress, 0.2, 1.0))


def keep(write: Write, body: dict[str, Any]) -> str:
    """Keep a quality document; return its digest."""
    return documents.put(write, KIND, f"qua-{short(digest_document(body))}", body)


def show_quality(wb: Workbench, actor: Actor, ref: str) -> QualityView:
    """Return the quality of a release with governed numbers, and what changed against the release loaded before it.

    Raises `store.no_document`, and `quality.not_checked` where nobody has checked the release yet.
    """
    with acting(wb, actor, "release.read"):
        view = show_release(wb, actor, ref)
        known = _documents(wb)
        mine = known.get(view.digest)
        if mine is None:
            raise Refused("quality.not_checked", release=view.id)
        before = _before(list_releases(wb, actor), view, known)
    return _view(view, mine, before, known)


def is_checked(wb: Workbench, actor: Actor, ref: str) -> bool:
    """Answer whether a release has a quality document."""
    with acting(wb, actor, "release.read"):
        return show_release(wb, actor, ref).digest in _documents(wb)


def _documents(wb: Workbench) -> dict[str, documents.Document]:
    """Return the newest quality document of each release, by the release's digest."""
    with wb.store.read() as connection:
        return {found.body["release"]: found for found in documents.every(connection, KIND)}


def _before(
    releases: Sequence[ReleaseView], view: ReleaseView, known: Mapping[str, documents.Document]
) -> ReleaseView | None:
    """Return the last release that was loaded before this one and was checked."""
    earlier = releases[: next(place for place, each in enumerate(releases) if each.digest == view.digest)]
    return next((each for each in reversed(earlier) if each.digest in known), None)


def _view(
    view: ReleaseView,
    mine: documents.Document,
    before: ReleaseView | None,
    known: Mapping[str, documents.Document],
) -> QualityView:
    body, counts = mine.body, mine.body["profile"]
    failures = _failures(body)
    years, months = _in_time(counts["years"], counts["months"], view.rows)
    found = compare.changes(known[before.digest].body, body) if before else ()
    return QualityView(
        id=mine.id,
        digest=mine.digest,
        release=view.id,
        as_of=body["as_of"],
        checks_version=body["checks_version"],
        summary=body["summary"],
        by_severity={name: sum(each.severity == name for each in failures) for name in _ORDER},
        failures=failures,
        persons=shown(counts["persons"]),
        ages=_ages(counts["ages"], counts["persons"]),
        periods=_parts(counts["observation"]["periods"], counts["persons"]),
        observed_years=_parts(counts["observation"]["years"], counts["persons"]),
        observed=_persons(counts["observation"]["observed"]),
        years=years,
        months=months,
        concepts=tuple(_concept(each) for each in counts["concepts"]),
        unmapped=tuple(_unmapped(each) for each in counts["unmapped"]),
        vocabularies=tuple(counts["vocabularies"]),
        before=before.id if before else None,
        changes=tuple(_change(each) for each in found),
    )


def _failures(body: Mapping[str, Any]) -> tuple[Failure, ...]:
    """Return the checks that fail or could not be run, the gravest first; of these those with most failing rows."""
    checks = {check.id: check for check in all_checks()}
    found = [each for each in body["checks"] if each["status"] in {"failed", "error"} and each["id"] in checks]
    lines = [(_failure(checks[each["id"]], each), each.get("failed", 0)) for each in found]
    lines.sort(key=lambda line: (_ORDER[line[0].severity], -line[1], line[0].check.id))
    return tuple(failure for failure, _ in lines)


def _failure(check: Check, found: Mapping[str, Any]) -> Failure:
    failed = shown(found.get("failed", 0))
    return Failure(check, check.severity, check.category, failed, _share(failed, found.get("looked_at", 0)))


def _share(number: Shown, of: int) -> float | None:
    """Return a governed number's share in percent, to one decimal, of a number that is governed too: a share of the
    true one would tell it."""
    whole = rounded(of)
    return None if number.value is None or whole is None else round(min(100.0, 100 * number.value / whole), 1)


def _persons(counts: Mapping[str, int]) -> dict[str, Shown]:
    return {name: shown(count) for name, count in counts.items()}


def _ages(ages: Sequence[Mapping[str, Any]], persons: int) -> tuple[AgeLine, ...]:
    numbers = _parts({at: each["persons"] for at, each in enumerate(ages)}, persons)
    return tuple(
        AgeLine(each["sex"], each["from"], each["from"] + BAND - 1, numbers[at]) for at, each in enumerate(ages)
    )


def _parts(counts: Mapping[Key, int], persons: int) -> dict[Key, Shown]:
    """Return how parts of all persons are shown: none that would give another away."""
    found = {name: shown(count) for name, count in counts.items()}
    values = [shown(persons).value, *(each.value for each in found.values())]
    gone = withheld(values, [-1, *(0 for _ in found)])
    return {name: not_shown() if at in gone else each for at, (name, each) in enumerate(found.items(), start=1)}


Series = Mapping[str, Mapping[str, Sequence[int]]]
InTime = dict[str, dict[str, Shown]]


def _in_time(years: Series, months: Series, rows: Mapping[str, int | None]) -> tuple[InTime, InTime]:
    """Return how the records of each table by year and by month are shown: none that would give another away."""
    told: tuple[InTime, InTime] = ({}, {})
    for table in {**years, **months}:
        found = [{when: governed(*each) for when, each in series.get(table, {}).items()} for series in (years, months)]
        places = {year: at for at, year in enumerate(found[0], start=1)}
        parents = [-1, *(0 for _ in places), *(places.get(month[:4], 0) for month in found[1])]
        total = rounded(rows.get(table) or 0)
        every = [each for numbers in found for each in numbers.values()]
        gone = withheld([total, *(each.value for each in every)], parents, persons=False)
        safe = iter(not_shown() if at in gone else each for at, each in enumerate(every, start=1))
        for into, numbers in zip(told, found, strict=True):
            if numbers:
                into[table] = {when: next(safe) for when in numbers}
    return told


def _concept(each: Mapping[str, Any]) -> TopConcept:
    names = {name: each[name] for name in ("table", "concept", "name", "vocabulary", "code")}
    return TopConcept(**names, records=governed(each["records"], each["crowd"]))


def _unmapped(each: Mapping[str, Any]) -> UnmappedLine:
    number = governed(each["unmapped"], each["crowd"])
    rows = shown(each["rows"])
    return UnmappedLine(each["table"], each["column"], rows, number, _share(number, each["rows"]))


def _change(each: Change) -> ChangeLine:
    before, after = shown(each.before), shown(each.after)
    shares = (_share(before, each.of_before), _share(after, each.of_after))
    return ChangeLine(each.kind, each.place, before, after, *shares)


__all__ = [
    "LACKING", "LONGEST", "MANY", "AgeLine", "ChangeLine", "Failure", "QualityView", "TopConcept", "UnmappedLine",
    "check_release", "is_checked", "show_quality",
]  # fmt: skip
