"""Objections to a study: left out from then on, found in what was made before, reversible, and never named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from tests.conftest import workbench
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.pseudonyms import pseudonymize
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services import (
    cohorts,
    demo,
    diagnosing,
    extracts,
    learning,
    objections,
    outputs,
    releases,
    requests,
    risk,
    studies,
)
from workbench.services.context import Workbench
from workbench.services.extracts import ExtractView
from workbench.services.holding import reading
from workbench.store import making

STRANGER = 999_999_999


@pytest.fixture
def first(wb: Workbench, researcher: Actor) -> ExtractView:
    """The demonstration's extract."""
    return extracts.list_extracts(wb, researcher)[-1]


def inside(wb: Workbench, actor: Actor, view: ExtractView) -> tuple[int, int]:
    """Somebody in an extract: the real id and the pseudonym."""
    ids = cohorts.rows_of(wb, view.manifest["cohort"])["subject_id"].to_numpy()
    made = pseudonymize(wb.keys.study_secret(view.study, "pseudonym"), "person", ids)
    _, tables, _ = extracts.open_tables(wb, actor, view.id)
    known = set(tables["cohort"]["person_id"].to_list())
    return next((int(real), int(own)) for real, own in zip(made.ids, made.values, strict=True) if int(own) in known)


def holders(tables: dict[str, pl.DataFrame], pseudonym: int) -> set[str]:
    """The tables with a row of somebody."""
    return {
        name
        for name, rows in tables.items()
        if "person_id" in rows.columns and rows["person_id"].is_in([pseudonym]).any()
    }


@pytest.mark.parametrize("study", [demo.STUDY, None])
def test_left_out_from_then_on_until_withdrawn(
    wb: Workbench, researcher: Actor, officer: Actor, steward: Actor, first: ExtractView, study: str | None
) -> None:
    person, own = inside(wb, researcher, first)
    assert {"cohort", "person"} <= holders(extracts.open_tables(wb, researcher, first.id)[1], own)
    made = objections.add(wb, officer, [person, STRANGER], study)
    assert (made.state, made.persons, made.study) == ("active", 2, study)
    assert first.id in {each.id for each in made.concerned}
    assert {each.kind for each in made.concerned} == {"extract", "features", "model"}
    assert holders(extracts.open_tables(wb, researcher, first.id)[1], own) == set()

    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    second = extracts.run_extract(wb, researcher, request.id)
    before, after = (
        {table["name"]: table["rows"] for table in view.manifest["tables"]}["person"] for view in (first, second)
    )
    assert after == before - 1
    assert holders(extracts.open_tables(wb, researcher, second.id)[1], own) == set()

    with pytest.raises(Refused, match="reason_needed"):
        objections.withdraw(wb, steward, made.id, " ")
    ended = objections.withdraw(wb, steward, made.id, "the patient changed their mind")
    assert ended.state == "withdrawn"
    with pytest.raises(Refused, match="objection_withdrawn"):
        objections.withdraw(wb, officer, made.id, "again")
    assert {"cohort", "person"} <= holders(extracts.open_tables(wb, researcher, first.id)[1], own)
    again = objections.add(wb, officer, [STRANGER, person], study)
    assert (again.id, again.state) == (made.id, "active"), "the same persons are one objection, which holds again"
    assert second.id not in {each.id for each in again.concerned}

    with wb.store.read() as connection:
        log = audit.entries(connection)
    verbs = [entry.verb for entry in log if entry.subject == made.id and entry.outcome == "done"]
    assert verbs == ["optout.add", "optout.withdraw", "optout.add"]
    run = next(entry for entry in log if entry.verb == "extract.run" and entry.after == second.digest)
    assert (run.payload or {})["objections"] == [made.id]
    said = json.dumps([*(entry.payload for entry in log), *(vars(each) for each in log)], default=str)
    assert str(own) not in said


Seen = Callable[["Scene"], object]


@dataclass
class Scene:
    """A study with an extract and features, before and after most of its cohort objects."""

    wb: Workbench
    researcher: Actor
    scientist: Actor
    officer: Actor
    extract: ExtractView

    @property
    def request(self) -> requests.RequestView:
        asked = requests.list_requests(self.wb, self.researcher)
        return next(each for each in asked if each.digest == self.extract.manifest["request"])

    def meter(self) -> int | None:
        protocol = studies.show_study(self.wb, self.officer, demo.STUDY).protocol
        asked = {"tables": demo.REQUEST["tables"], "period": demo.REQUEST["period"], "cohort": self.request.cohort.id}
        return risk.meter(self.wb, self.researcher, protocol, asked).shown

    def rows(self, table: str) -> int:
        return extracts.open_tables(self.wb, self.researcher, self.extract.id)[1][table].height

    def composed(self) -> str:
        label = {"role": "group", "of": "gender_concept_id"}
        said = {"table": "person", "columns": {"sex": label, "n": {"role": "count"}}}
        made = outputs.compose_table(self.wb, self.scientist, self.extract.id, "t.csv", said, totals=False)
        return made.content.raw.decode()

    def features(self) -> int:
        made = learning.build_features(self.wb, self.scientist, self.extract.id)
        return next(each["rows"] for each in made.manifest["tables"] if each["name"] == "rows")

    def delivered(self) -> int:
        asked = {**demo.REQUEST, "why_not_aggregate": f"another {uuid4()}"}
        filed = requests.file_request(self.wb, self.researcher, demo.STUDY, asked)
        digest = filed.document["protocol"]
        requests.decide(self.wb, self.officer, filed.id, "approved", protocol_digest=digest, reason="r")
        return int(extracts.run_extract(self.wb, self.researcher, filed.id).manifest["risk"]["persons"])


FOR_A_STUDY: dict[str, Seen] = {
    "request, its cohort": lambda at: at.request.cohort.persons,
    "request, its outcome": lambda at: at.request.outcomes[0].persons,
    "request, the risk before delivery": lambda at: risk.before_delivery(at.request, "en"),
    "request form, the meter": lambda at: at.meter(),
    "workspace, the cohort": lambda at: at.rows("cohort"),
    "workspace, the persons": lambda at: at.rows("person"),
    "output, a table made from its declaration": lambda at: at.composed(),
    "features": lambda at: at.features(),
    "extract, made or refreshed": lambda at: at.delivered(),
}
"""Every place where a number is computed with a study known."""

FOR_NO_STUDY: dict[str, Seen] = {
    "cohort, its list": lambda at: cohorts.show_cohort(at.wb, at.researcher, at.request.cohort.id).persons,
    "cohort, its attrition": lambda at: cohorts.show_cohort(at.wb, at.researcher, at.request.cohort.id).attrition,
    "extract, as it was made": lambda at: extracts.show_extract(at.wb, at.officer, at.extract.id).manifest["risk"],
    "cohort, its diagnostics": lambda at: diagnosing.diagnostics_of(at.wb, at.researcher, at.request.cohort.id),
}


def test_every_number_shown_for_a_study_leaves_out_who_objects(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor, first: ExtractView
) -> None:
    at = Scene(wb, researcher, scientist, officer, first)
    diagnosing.diagnose_cohort(wb, researcher, at.request.cohort.id)
    built = learning.list_features(wb, scientist)[0]
    before = {name: seen(at) for name, seen in {**FOR_A_STUDY, **FOR_NO_STUDY}.items()}
    everybody = sorted(set(cohorts.rows_of(wb, first.manifest["cohort"])["subject_id"].to_pylist()))
    outcome = cohorts.rows_of(wb, at.request.outcomes[0].digest)["subject_id"].to_pylist()
    with reading():
        people = pl.read_parquet(releases.current_release(wb).tables["person"])
    men = set(people.filter(pl.col("gender_concept_id") == 8507)["person_id"].to_list())
    most = sorted({*everybody[::4], *sorted(set(outcome))[::4], *men & set(everybody)})
    made = objections.add(wb, officer, most, demo.STUDY)
    after = {name: seen(at) for name, seen in {**FOR_A_STUDY, **FOR_NO_STUDY}.items()}
    assert [name for name in FOR_A_STUDY if before[name] == after[name]] == []
    assert [name for name in FOR_NO_STUDY if before[name] != after[name]] == []
    left = len(set(everybody) - set(most))
    value = at.request.cohort.persons.value
    assert value is not None and abs(value - left) <= 2
    assert at.rows("person") <= left
    with pytest.raises(Refused, match="objected_since"):
        learning.train(wb, scientist, built.id)
    objections.withdraw(wb, officer, made.id, "it was a test")
    assert at.request.cohort.persons == before["request, its cohort"]


def test_one_objection_gives_nobody_away_by_a_number(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    before = requests.list_requests(wb, researcher)[0].cohort
    ids = sorted(set(cohorts.rows_of(wb, before.digest)["subject_id"].to_pylist()))
    for count in (1, 3, 9):
        objections.add(wb, officer, ids[:count], demo.STUDY)
        assert requests.list_requests(wb, researcher)[0].cohort == before


def test_who_is_in_nothing_concerns_nothing(wb: Workbench, officer: Actor, first: ExtractView) -> None:
    made = objections.add(wb, officer, [STRANGER], demo.STUDY)
    assert made.concerned == ()
    assert objections.list_objections(wb, officer) == [made]


def test_an_objection_that_comes_while_an_extract_is_made_stops_it(
    wb: Workbench, researcher: Actor, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "why_not_aggregate": "une autre"})
    requests.decide(wb, officer, request.id, "approved", protocol_digest=request.document["protocol"], reason="r")
    built = extracts.build_extract

    def meanwhile(**given: object) -> object:
        objections.add(wb, officer, [STRANGER], demo.STUDY)
        return built(**given)  # type: ignore[arg-type]

    monkeypatch.setattr(extracts, "build_extract", meanwhile)
    with pytest.raises(Refused, match="changed_meanwhile"):
        extracts.run_extract(wb, researcher, request.id)
    assert len(list(wb.settings.extracts.glob("ext-*"))) == 1
    assert making.recover(wb.store, wb.settings.jobs) == []


def test_what_is_refused(wb: Workbench, officer: Actor, researcher: Actor) -> None:
    with pytest.raises(Refused, match="not_allowed"):
        objections.add(wb, researcher, [1], demo.STUDY)
    with pytest.raises(Refused, match="no_document"):
        objections.add(wb, officer, [1], "no-such-study")
    with pytest.raises(InvalidInput, match="nobody"):
        objections.add(wb, officer, [], demo.STUDY)
    assert objections.list_objections(wb, officer) == []


def test_the_command_line(demo_copy: Path) -> None:
    (demo_copy.parent / "persons.txt").write_text(f"{STRANGER}\n", encoding="utf-8")
    home = ("--home", str(demo_copy), "--as", "ethics")

    def optout(*arguments: str, check: bool = True) -> tuple[int, str]:
        done = workbench("optout", *arguments, *home, cwd=demo_copy.parent, check=check)
        return done.returncode, done.stdout + done.stderr

    made = json.loads(optout("add", "persons.txt", "--scope", "study", "--study", demo.STUDY, "--json")[1])
    assert (made["scope"], made["state"], made["persons"], made["concerned"]) == ("study", "active", 1, [])
    assert made["id"] in optout("list")[1]
    ended = json.loads(optout("withdraw", made["id"], "--reason", "r", "--json")[1])
    assert ended["state"] == "withdrawn"
    listed = json.loads(optout("list", "--json")[1])
    assert [(each["id"], each["scope"], each["state"]) for each in listed] == [(made["id"], "study", "withdrawn")]
    status, said = optout("add", "persons.txt", "--scope", "warehouse", "--study", demo.STUDY, check=False)
    assert status == 2
    assert "cli.study_scope" in said
