"""What a release holds beside its source: observation periods and eras, as recorded, derived, or taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.intake import eras, observation_period
from workbench.intake.work import Work


def made(manifest: Mapping[str, Any]) -> set[str]:
    """Return the tables that a release's load made itself: the source did not give them."""
    built = {name for name, each in manifest.get("era_rules", {}).items() if each["code"] == "built"}
    given = manifest["observation_period_rule"]["code"] in {"as_recorded", "none"}
    return built if given else {*built, "observation_period"}


def observation_periods(work: Work) -> dict[str, Any]:
    """Keep the source's periods where the rule says so; else derive them. Returns the rule."""
    name, asked = "observation_period", work.period_rule
    recorded = work.rows.get(name, 0)
    if asked.code == observation_period.RECORDED or (asked.code == observation_period.AUTO and recorded):
        return {"code": "as_recorded", "periods": recorded}
    inputs = observation_period.used(work.files)
    if not inputs:
        return {"code": "none", "periods": 0}
    former = work.before.release.manifest["observation_period_rule"] if work.before.release else {}
    wanted = {"tables": inputs, "code": observation_period.derived_code(asked), "days": asked.days}
    same = {**former, "days": former.get("days", 0)} == {**former, **wanted}
    if same and work.before.derives_alike(name, ["person", *inputs]) and work.before.take_file(name, work.into):
        work.add(name, former["periods"])
        return dict(former)
    work.place(name).unlink(missing_ok=True)  # the source's own, maybe shared with the release before
    rule = observation_period.derive(work.connection, work.files, work.place(name), asked, work.options.extracted_on)
    work.add(name, rule["periods"])
    work.before.taken.pop(name, None)
    return rule


def era_rule(work: Work, name: str) -> dict[str, Any]:
    """Keep the source's eras where it has any; else build them from what they need, where that is there."""
    if work.rows.get(name):
        return {"code": "as_recorded", "rows": work.rows[name]}
    needs = eras.NEEDS[name]
    if not all(work.rows.get(each) for each in needs):
        return {"code": "none", "rows": work.rows.get(name, 0)}
    former = work.before.release.manifest["era_rules"][name] if work.before.release else {}
    if (
        former.get("code") == "built"
        and work.before.derives_alike(name, needs)
        and work.before.take_file(name, work.into)
    ):
        work.add(name, former["rows"])
        return dict(former)
    work.place(name).unlink(missing_ok=True)
    rows = eras.build(work.connection, name, work.files, work.place(name))
    work.add(name, rows)
    work.before.taken.pop(name, None)
    return {"code": "built", "gap_days": eras.GAP_DAYS, "rows": rows}
