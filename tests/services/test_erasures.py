"""Persons who object are erased from everything stored; the thread still holds, and nothing brings them back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.homes import copy_home
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.intake.omop import demo_source
from workbench.kernel.errors import InvalidInput, Refused, UserError
from workbench.kernel.settings import Settings, load_settings
from workbench.repository import releases as repository
from workbench.services import auditing, cohorts, demo, doctor, erasures, extracts, people, releases, requests, tracing
from workbench.services.context import Workbench, event, open_workbench
from workbench.services.erasures import OrderView
from workbench.services.requests import RequestView
from workbench.store import documents, successors


@dataclass(frozen=True)
class Erasure:
    """A demonstration home after one order: what it was before, and what the order says."""

    wb: Workbench
    person: int
    before: releases.ReleaseView
    whole: pl.DataFrame
    approved: RequestView
    first: extracts.ExtractView
    order: OrderView

    @property
    def after(self) -> str:
        """The release that stands for the one from before."""
        return self.order.releases[0][1]

    def actor(self, name: str) -> Actor:
        """One of its people."""
        return people.actor_named(self.wb, name)


def rows(wb: Workbench) -> pl.DataFrame:
    """The rows of the study's cohort, in order."""
    view = cohorts.show_cohort(wb, people.actor_named(wb, "researcher"), demo.TARGET)
    found = pl.DataFrame(cohorts.rows_of(wb, view.digest))
    return found.sort(found.columns)


@pytest.fixture(scope="module")
def done(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erasure]:
    """A request was approved, then somebody of its cohort was erased."""
    place = tmp_path_factory.mktemp("erasure")
    home = copy_home(finished_demo, place, mlruns=False)
    wb = open_workbench(load_settings(home, {"WORKBENCH_MLRUNS": str(place / "mlruns")}))
    researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
    asked = {**demo.REQUEST, "why_not_aggregate": "une autre raison"}
    request = requests.file_request(wb, researcher, demo.STUDY, asked)
    protocol = request.document["protocol"]
    requests.decide(wb, officer, request.id, "approved", protocol_digest=protocol, reason="r")
    before, whole = releases.list_releases(wb, people.acting_as(wb, None))[-1], rows(wb)
    first = extracts.list_extracts(wb, officer)[0]
    person = int(whole["subject_id"].max())  # type: ignore[arg-type]
    order = erasures.add(wb, officer, [person])
    yield Erasure(wb, person, before, whole, request, first, order)
    wb.close()


def persons_in(settings: Settings) -> set[int]:
    """Every person whom any file of the releases and caches names."""
    found: set[int] = set()
    for path in [*settings.releases.rglob("*.parquet"), *settings.cache.rglob("*.parquet")]:
        table = pq.read_table(path)
        for name in {"person_id", "subject_id"} & set(table.column_names):
            words = table[name].cast("string").to_pylist()
            found |= {int(word) for word in words if word and word.isdigit()}
    return found


def values(document: Any) -> set[str]:
    """Every value inside a JSON document, as text."""
    if isinstance(document, dict):
        return set().union(*map(values, document.values()))
    if isinstance(document, list):
        return set().union(*map(values, document))
    return {str(document)}


def test_a_person_is_in_no_release_cache_or_index(done: Erasure) -> None:
    wb, order, before = done.wb, done.order, done.before
    assert done.person not in persons_in(wb.settings)
    assert (order.state, order.persons, [old for old, _ in order.releases]) == ("done", 1, [before.id])
    assert not (wb.settings.releases / before.id).exists()
    assert not (wb.settings.cache / before.id).exists()
    now = releases.list_releases(wb, people.acting_as(wb, None))
    assert [(view.id, view.current) for view in now] == [(done.after, True)]
    assert now[0].rows["person"] == before.rows["person"] - 1
    served = repository.current(wb.settings.releases)
    assert served is not None and served.id == done.after
    left = ("*.without", ".erased*", ".partial*")
    assert [path for pattern in left for path in wb.settings.home.rglob(pattern)] == []


def test_no_log_error_or_document_names_the_person(done: Erasure) -> None:
    wb = done.wb
    with wb.store.read() as connection:
        kept = [documents.find(connection, done.order.digest), *documents.every(connection, "erasure")]
        entries = audit.as_json(audit.entries(connection))
    theirs = [entry for entry in entries if entry["verb"] in {"optout.add", "release.erase"}]
    assert [(entry["verb"], entry["outcome"]) for entry in theirs] == [
        ("optout.add", "intent"), ("release.erase", "intent"), ("release.erase", "done"), ("optout.add", "done"),
    ]  # fmt: skip
    said = values(theirs) | values([each.body for each in kept if each])
    assert str(done.person) not in said
    assert wb.keys.opposition_key().hex() not in said
    with pytest.raises(InvalidInput) as caught:
        erasures.add(wb, done.actor("ethics"), [2**70 + done.person])
    assert str(2**70 + done.person) not in str(caught.value)


def test_the_thread_holds_and_tombstones_are_understood(done: Erasure) -> None:
    wb, officer = done.wb, done.actor("ethics")
    for release in (done.before.id, done.before.digest, done.after):
        assert releases.verify_release(wb, officer, release) == ()
    assert releases.standing_for(wb, done.before.id) == done.after
    assert releases.standing_for(wb, done.after) is None
    assert auditing.verify_log(wb, officer).sound
    assert [finding.code for finding in doctor.diagnose(wb.settings) if not finding.fine] == []
    assert {made.kind for made in done.order.concerned} == {"extract", "features", "model"}
    model = next(made for made in done.order.concerned if made.kind == "model")
    back = {(link.kind, link.id) for link in tracing.trace(wb, officer, model.id).back}
    assert {("release", done.before.id), ("release", done.after)} < back
    assert "erasure" in {kind for kind, _ in back}
    forward = {link.id for link in tracing.trace(wb, officer, done.after).forward}
    assert {made.id for made in done.order.concerned} < forward


def test_a_cohort_version_has_its_rows_but_theirs(done: Erasure) -> None:
    left = rows(done.wb)
    assert left.equals(done.whole.filter(pl.col("subject_id") != done.person))
    assert left.height < done.whole.height
    view = cohorts.show_cohort(done.wb, done.actor("researcher"), demo.TARGET)
    assert view.release == done.after
    shutil.rmtree(done.wb.settings.cache)
    assert rows(done.wb).equals(left), "its definition gives them again"


def test_an_approval_from_before_makes_an_extract_without_them(done: Erasure) -> None:
    made = extracts.run_extract(done.wb, done.actor("researcher"), done.approved.id)
    persons = {
        view.id: {t["name"]: t["rows"] for t in view.manifest["tables"]}["person"] for view in (done.first, made)
    }
    assert persons[made.id] == persons[done.first.id] - 1
    concerned = {each.id for each in erasures.list_orders(done.wb, done.actor("ethics"))[-1].concerned}
    assert done.first.id in concerned
    assert made.id not in concerned
    asked = {**demo.REQUEST, "why_not_aggregate": "encore une"}
    assert requests.file_request(done.wb, done.actor("researcher"), demo.STUDY, asked).state == "checked"


def test_no_load_brings_them_back(done: Erasure) -> None:
    steward = people.acting_as(done.wb, None)
    view = releases.load_omop(done.wb, steward, demo_source(), name=demo.NAME, synthetic=True, full=True)
    assert view.id == done.after, "the erased release is the one that a load without them gives"


def test_the_same_order_twice_is_one_and_others_follow(done: Erasure) -> None:
    wb, officer = done.wb, done.actor("ethics")
    again = erasures.add(wb, officer, [done.person])
    assert (again.id, again.releases, again.state) == (done.order.id, done.order.releases, "done")
    other = int(rows(wb)["subject_id"][0])
    second = erasures.add(wb, officer, [other])
    assert second.releases[0][0] == done.after
    assert {done.person, other}.isdisjoint(persons_in(wb.settings))
    assert rows(wb).equals(done.whole.filter(~pl.col("subject_id").is_in([done.person, other])))
    assert releases.standing_for(wb, done.before.id) == second.releases[0][1]
    assert auditing.verify_log(wb, officer).sound
    assert [view.id for view in erasures.list_orders(wb, officer)] == [second.id, done.order.id]


def test_who_nobody_knows_is_kept_out_too(done: Erasure) -> None:
    order = erasures.add(done.wb, done.actor("ethics"), [2**40])
    assert (order.state, order.releases) == ("done", ())


@pytest.mark.parametrize("who", ["researcher", "datascientist"])
def test_researchers_neither_erase_nor_read_orders(done: Erasure, who: str) -> None:
    for call in (lambda actor: erasures.add(done.wb, actor, [1]), lambda actor: erasures.list_orders(done.wb, actor)):
        with pytest.raises(Refused, match="not_allowed"):
            call(done.actor(who))


def test_a_damaged_release_leaves_the_order_pending_and_is_told(wb: Workbench, settings: Settings) -> None:
    officer = people.actor_named(wb, "ethics")
    person = int(rows(wb)["subject_id"][0])
    path = wb.settings.releases / releases.list_releases(wb, officer)[-1].id / "tables" / "person.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30] + bytes(30))
    with pytest.raises(UserError, match="damaged"):
        erasures.add(wb, officer, [person])
    assert [view.state for view in erasures.list_orders(wb, officer)] == ["pending"]
    assert {"erasures", "release_sound"} == {each.code for each in doctor.diagnose(settings) if not each.fine}
    path.write_bytes(whole)
    after = open_workbench(settings)
    assert [view.state for view in erasures.list_orders(after, officer)] == ["done"]
    assert person not in persons_in(settings)


def test_a_release_that_stands_for_another_unexplained_is_found(wb: Workbench) -> None:
    officer = people.actor_named(wb, "ethics")
    with wb.store.write(event(officer, "audit.export")) as write:
        successors.replace(write, "0" * 64, "1" * 64)
    verdict = auditing.verify_log(wb, officer)
    assert (verdict.sound, verdict.problem) == (False, "unattested")
