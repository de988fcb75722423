"""What changed much between the quality of two releases: checks that turned, and counts that are not what they were.

Both documents hold exact numbers; who shows a change governs both of its sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SHARE = 0.10
"""Counts that differ by less than this share of the larger one are not worth a line."""

POINTS = 0.01
"""Shares of unmapped records that differ by less are not either."""

CROWD = 11
"""Counts behind which fewer persons may be are left out on both sides."""

Kind = Literal["check_fails", "check_mended", "persons", "records", "unmapped"]


@dataclass(frozen=True)
class Change:
    """Something that is not as in the release before. `place`: a check's id, a table, `table year`, or a column;
    `before`, `after`: persons, records, rows that fail, or unmapped records of `of_before` and `of_after`."""

    kind: Kind
    place: str
    before: int
    after: int
    of_before: int = 0
    of_after: int = 0


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what changed much from one quality document to the next: checks first, then counts."""
    old, new = before["profile"], after["profile"]
    return (*_checks(before, after), *_persons(old, new), *_records(old, new), *_unmapped(old, new))


def _checks(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Yield checks that fail now and did not, and the other way round; those that do not apply on one side too."""
    old = {check["id"]: check for check in before["checks"]}
    for check in after["checks"]:
        was = old.get(check["id"], {"status": "not_applicable"})
        failed = check["status"] == "failed"
        if failed != (was["status"] == "failed"):
            kind: Kind = "check_fails" if failed else "check_mended"
            yield Change(kind, check["id"], was.get("failed", 0), check.get("failed", 0))


def _persons(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    if _much(old["persons"], new["persons"]):
        yield Change("persons", "person", old["persons"], new["persons"])


def _records(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield tables, and years of tables, with other numbers of records; a year in which too few persons have any is no
    number to compare."""
    for table in sorted({*old["years"], *new["years"]}):
        was, now = old["years"].get(table, {}), new["years"].get(table, {})
        totals = [sum(_enough(each) for each in years.values()) for years in (was, now)]
        if _much(*totals):
            yield Change("records", table, *totals)
        for year in sorted({*was, *now}):
            before, after = _enough(was.get(year)), _enough(now.get(year))
            if _much(before, after):
                yield Change("records", f"{table} {year}", before, after)


def _enough(counted: Sequence[int] | None) -> int:
    """Return a number of records, 0 where too few persons may be behind it."""
    records, crowd = counted or (0, 0)
    return records if crowd >= CROWD else 0


def _unmapped(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    was = {(each["table"], each["column"]): each for each in old["unmapped"]}
    for now in new["unmapped"]:
        then = was.get((now["table"], now["column"]))
        if then is None:
            continue
        before, after = (_enough((each["unmapped"], each["crowd"])) for each in (then, now))
        if abs(after / now["rows"] - before / then["rows"]) >= POINTS:
            place = f"{now['table']}.{now['column']}"
            yield Change("unmapped", place, before, after, then["rows"], now["rows"])


def _much(before: int, after: int) -> bool:
    return abs(after - before) > SHARE * max(before, after, 1)
