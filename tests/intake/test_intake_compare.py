"""What changed much between two releases' quality: checks that turned, counts that are not what they were."""

from __future__ import annotations

from typing import Any

from workbench.intake.quality.compare import Change, changes


def _document(checks: dict[str, tuple[str, int]], **profile: Any) -> dict[str, Any]:
    listed = [
        {
            "id": name,
            "status": status,
            **({"failed": failed, "looked_at": 100} if status in {"passed", "failed"} else {}),
        }
        for name, (status, failed) in checks.items()
    ]
    return {"checks": listed, "profile": {"persons": 1000, "years": {}, "unmapped": [], **profile}}


def test_checks_that_turned() -> None:
    before = _document(
        {"a:t": ("passed", 0), "b:t": ("failed", 40), "c:t": ("failed", 7), "d:t": ("not_applicable", 0)}
    )
    after = _document({"a:t": ("failed", 12), "b:t": ("passed", 2), "c:t": ("failed", 9), "d:t": ("failed", 3),
                       "e:t": ("failed", 5)})  # fmt: skip
    assert changes(before, after) == (
        Change("check_fails", "a:t", 0, 12),
        Change("check_mended", "b:t", 40, 2),
        Change("check_fails", "d:t", 0, 3),
        Change("check_fails", "e:t", 0, 5),
    )


def test_more_than_a_tenth_of_records_or_persons() -> None:
    before = _document({}, persons=1000, years={"death": {"2001": [100, 60], "2002": [100, 60]}})
    same = _document({}, persons=1100, years={"death": {"2001": [110, 60], "2002": [91, 60]}})
    assert changes(before, same) == ()
    other = _document({}, persons=1112, years={"death": {"2001": [112, 60]}, "specimen": {"2001": [30, 20]}})
    assert changes(before, other) == (
        Change("persons", "person", 1000, 1112),
        Change("records", "death", 200, 112),
        Change("records", "death 2001", 100, 112),
        Change("records", "death 2002", 100, 0),
        Change("records", "specimen", 0, 30),
        Change("records", "specimen 2001", 0, 30),
    )


def test_what_too_few_persons_are_behind_is_no_change() -> None:
    before = _document({}, years={"death": {"2001": [100, 60], "2002": [100, 10]}})
    after = _document({}, years={"death": {"2001": [100, 60], "2002": [10, 9]}})
    assert changes(before, after) == ()


def test_shares_that_moved_by_a_hundredth() -> None:
    def unmapped(count: int, rows: int = 1000, crowd: int = 64) -> list[dict[str, Any]]:
        return [{"table": "death", "column": "cause_concept_id", "rows": rows, "unmapped": count, "crowd": crowd}]

    before = _document({}, unmapped=unmapped(50))
    assert changes(before, _document({}, unmapped=unmapped(59))) == ()
    assert changes(before, _document({}, unmapped=unmapped(100, rows=2000))) == ()
    assert changes(before, _document({}, unmapped=unmapped(61))) == (
        Change("unmapped", "death.cause_concept_id", 50, 61, 1000, 1000),
    )
    assert changes(_document({}, unmapped=unmapped(15, crowd=3)), _document({}, unmapped=unmapped(5, crowd=4))) == ()
