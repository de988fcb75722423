"""A study is pinned to its release, and refreshed on the days that its protocol declares, with no new review."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.protocols import check_protocol
from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.text import LANGS
from workbench.services import cohorts, demo, extracts, refreshing, releases, requests, studies, study_keys, tracing
from workbench.services.context import Workbench
from workbench.services.holding import reading
from workbench.services.requests import RequestView

TODAY = clock.today()
LIMIT = {"condition_occurrence": [{"concept": 4283893}]}
"""Sinusitis, and what is below it."""
DAYS = [(TODAY + timedelta(days=ahead)).isoformat() for ahead in (90, 30)]


def day(monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    """Let so many days pass."""
    monkeypatch.setattr(clock, "today", lambda: TODAY + timedelta(days=ahead))


@pytest.fixture
def request_(wb: Workbench, researcher: Actor, officer: Actor) -> RequestView:
    """An approved request, run once, of a study that declares two refreshes."""
    protocol = {**demo.PROTOCOL, "study": "refreshed", "refresh_on": DAYS, "concepts": LIMIT}
    study = studies.create_study(wb, researcher, protocol)
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    request = requests.file_request(wb, researcher, study.id, demo.REQUEST)
    requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")
    extracts.run_extract(wb, researcher, request.id)
    return requests.show_request(wb, researcher, request.id)


def load(wb: Workbench, steward: Actor, place: Path, keep: int) -> str:
    """Load a newer release: the same source with so many more persons left out; return its digest."""
    with reading():
        tables = dict(releases.current_release(wb).tables)
        place.mkdir()
        gone = pl.read_parquet(tables["person"])["person_id"].sort().head(keep).to_list()
        for name, path in tables.items():
            rows = pl.read_parquet(path)
            if "person_id" in rows.columns:
                rows = rows.filter(~pl.col("person_id").is_in(gone))
            rows.write_parquet(place / f"{name}.parquet")
    return releases.load_omop(wb, steward, place, name=place.name, synthetic=True).digest


def test_before_its_day_it_is_refused_and_says_when(
    wb: Workbench, researcher: Actor, steward: Actor, request_: RequestView,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    load(wb, steward, tmp_path / "newer", 40)
    for ahead in (0, 29):
        day(monkeypatch, ahead)
        with pytest.raises(Refused, match="refresh_not_yet") as refused:
            refreshing.refresh_extract(wb, researcher, request_.id)
        assert all(DAYS[1] in refused.value.text(lang).what for lang in LANGS)
    with wb.store.read() as connection:
        denied = [each for each in audit.entries(connection) if each.verb == "extract.refresh"]
    assert {each.outcome for each in denied} == {"denied"}


def test_on_its_day_the_same_request_runs_on_the_current_release(
    wb: Workbench, researcher: Actor, officer: Actor, steward: Actor, request_: RequestView,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    first = extracts.list_extracts(wb, researcher)[0]
    newer = load(wb, steward, tmp_path / "newer", 40)
    day(monkeypatch, 30)
    made = refreshing.refresh_extract(wb, researcher, request_.id)
    manifest = made.manifest
    assert manifest["release"] == newer != first.manifest["release"]
    assert manifest["refresh"] == {
        "number": 1,
        "release": first.manifest["release"],
        "cohort": first.manifest["cohort"],
        "outcomes": first.manifest["outcomes"],
    }
    assert manifest["cohort"] != first.manifest["cohort"]
    for name in ("request", "approval", "protocol", "columns", "concepts", "period", "key_commitment"):
        assert manifest[name] == first.manifest[name]
    regenerated = cohorts.show_cohort(wb, researcher, manifest["cohort"])
    approved = cohorts.show_cohort(wb, researcher, first.manifest["cohort"])
    assert regenerated.name == approved.name
    assert requests.show_request(wb, researcher, request_.id).state == "run"
    thread = {link.digest for link in tracing.trace(wb, officer, made.id).links}
    assert thread >= {newer, manifest["refresh"]["release"], manifest["cohort"], manifest["approval"], made.digest}
    _, before, _ = extracts.open_tables(wb, researcher, first.id)
    _, after, _ = extracts.open_tables(wb, researcher, made.id)
    assert after["person"].height < before["person"].height
    assert set(after["person"]["person_id"]) < set(before["person"]["person_id"])  # the study's own pseudonyms
    with wb.store.read() as connection:
        entries = [each for each in audit.entries(connection) if each.verb == "extract.refresh"]
    assert [each.outcome for each in entries] == ["intent", "done"]
    assert entries[-1].after == made.digest
    assert extracts.run_extract(wb, researcher, request_.id).id == first.id


def test_each_day_gives_one_refresh_and_only_of_newer_data(
    wb: Workbench, researcher: Actor, officer: Actor, steward: Actor, request_: RequestView,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    day(monkeypatch, 31)
    with pytest.raises(Refused, match="refresh_same_release"):
        refreshing.refresh_extract(wb, researcher, request_.id)
    load(wb, steward, tmp_path / "newer", 40)
    refreshing.refresh_extract(wb, researcher, request_.id)
    load(wb, steward, tmp_path / "newest", 40)
    with pytest.raises(Refused, match="refresh_not_yet") as refused:
        refreshing.refresh_extract(wb, researcher, request_.id)
    assert refused.value.facts["day"] == DAYS[0]
    day(monkeypatch, 100)
    assert refreshing.refresh_extract(wb, researcher, request_.id).manifest["refresh"]["number"] == 2
    with pytest.raises(Refused, match="refresh_all_made"):
        refreshing.refresh_extract(wb, researcher, request_.id)
    day(monkeypatch, 3650)
    with pytest.raises(Refused, match="wrong_state"):
        refreshing.refresh_extract(wb, researcher, request_.id)


def test_nobody_else_refreshes_and_nothing_that_was_not_declared_or_approved(
    wb: Workbench, researcher: Actor, scientist: Actor, officer: Actor, request_: RequestView,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    day(monkeypatch, 30)
    for who in (scientist, officer):
        with pytest.raises(Refused, match="not_allowed"):
            refreshing.refresh_extract(wb, who, request_.id)
    ran = next(view for view in requests.list_requests(wb, researcher) if view.study == demo.STUDY)
    with pytest.raises(Refused, match="refresh_undeclared"):
        refreshing.refresh_extract(wb, researcher, ran.id)
    asked = {**demo.REQUEST, "why_not_aggregate": "another reason"}
    waiting = requests.file_request(wb, researcher, request_.study, asked)
    with pytest.raises(Refused, match="wrong_state"):
        refreshing.refresh_extract(wb, researcher, waiting.id)
    view = studies.show_study(wb, officer, request_.study)
    studies.close_study(wb, officer, view.id, "r")
    with pytest.raises(Refused, match="study_not_open"):
        refreshing.refresh_extract(wb, researcher, request_.id)


def test_a_protocol_without_refreshes_is_the_one_it_was(wb: Workbench, researcher: Actor) -> None:
    protocol = studies.show_study(wb, researcher, demo.STUDY).protocol
    assert "refresh_on" not in protocol
    assert digest_document(protocol) == studies.show_study(wb, researcher, demo.STUDY).digest


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"refresh_on": ["2027-02-30"]}, "governance.not_a_day"),
        ({"refresh_on": ["soon"]}, "kernel.document_invalid"),
        ({"refresh_on": []}, "kernel.document_invalid"),
        ({"refresh_on": ["2027-02-01", "2027-02-01"]}, "kernel.document_invalid"),
        ({"refresh_on": ["2027-02-01"], "ends_on": "2027-01-31"}, "governance.refresh_after_end"),
    ],
)
def test_days_that_cannot_be_are_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        check_protocol({**demo.PROTOCOL, "release": "a" * 64, **changes})
    assert error.value.code == code


@pytest.mark.parametrize(
    ("interval", "days"),
    [
        ({"every_months": 3, "from": "2027-01-31"}, ["2027-01-31", "2027-04-30", "2027-07-31", "2027-10-31"]),
        ({"every_months": 1, "from": "2027-12-31", "until": "2028-03-01"}, ["2027-12-31", "2028-01-31", "2028-02-29"]),
        ({"every_months": 12, "from": "2027-12-31"}, ["2027-12-31"]),
    ],
)
def test_an_interval_is_written_out_before_it_is_approved(
    wb: Workbench, researcher: Actor, officer: Actor, interval: dict[str, Any], days: list[str]
) -> None:
    protocol = {**demo.PROTOCOL, "study": "quarterly", "ends_on": "2028-12-31" if "until" in interval else "2027-12-31"}
    draft = studies.create_study(wb, researcher, {**protocol, "refresh_on": interval})
    assert draft.protocol["refresh_on"] == days
    assert studies.create_study(wb, researcher, {**protocol, "refresh_on": days}).digest == draft.digest
    opened = studies.open_study(wb, officer, draft.id, protocol_digest=draft.digest, reason="r")
    assert digest_document({**opened.protocol, "refresh_on": days}) == opened.digest == draft.digest


@pytest.mark.parametrize(
    ("interval", "code"),
    [
        ({"every_months": 3, "from": "2027-03-01"}, "refresh_without_end"),
        ({"every_months": 0, "from": "2027-03-01", "until": "2027-12-31"}, "refresh_interval"),
        ({"every_months": True, "from": "2027-03-01", "until": "2027-12-31"}, "refresh_interval"),
        ({"every_months": 1.5, "from": "2027-03-01", "until": "2027-12-31"}, "refresh_interval"),
        ({"every_months": 1, "from": "2027-02-30", "until": "2027-12-31"}, "refresh_interval"),
        ({"every_months": 1, "from": "2027-03-01", "until": "2027-02-01"}, "refresh_interval"),
        ({"every_months": 1, "from": "2027-03-01", "until": "2047-02-01"}, "refresh_interval"),
        ({"every_months": 1, "from": "9999-12-31", "until": "9999-12-31"}, "refresh_interval"),
        ({"every_weeks": 1, "from": "2027-03-01", "until": "2027-12-31"}, "refresh_interval"),
        ({}, "refresh_interval"),
    ],
)
def test_an_interval_that_cannot_be_is_refused_and_nothing_stored(
    wb: Workbench, researcher: Actor, interval: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidInput, match=code) as error:
        studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "never", "refresh_on": interval})
    assert all("{" not in error.value.text(lang).do.replace('{"', "") for lang in LANGS)
    assert "never" not in {study.id for study in studies.list_studies(wb, researcher)}


def test_after_a_renewal_of_keys_a_refresh_can_be_made_again(
    wb: Workbench, researcher: Actor, officer: Actor, steward: Actor, request_: RequestView,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    load(wb, steward, tmp_path / "newer", 40)
    day(monkeypatch, 30)
    refreshing.refresh_extract(wb, researcher, request_.id)
    assert refreshing.refreshes(wb, request_).due is None
    keys = study_keys.show_keys(wb, officer, request_.study)
    digest = next(view.digest for view in keys if view.secret == "data")
    study_keys.rotate_keys(wb, officer, request_.study, digest=digest, reason="r")
    assert refreshing.refreshes(wb, request_).due == 1
    extracts.run_extract(wb, researcher, request_.id)
    again = refreshing.refresh_extract(wb, researcher, request_.id)
    assert again.manifest["refresh"]["number"] == 1
    assert date.fromisoformat(again.expires_on or "") > TODAY
