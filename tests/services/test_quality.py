"""The quality of a release through the services: made with every load, governed, compared, told to a catalogue."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import workbench
from tests.intake.athena_made import OWN, concept, write
from workbench.governance.actors import Actor
from workbench.governance.disclosure import LOWEST
from workbench.kernel import clock
from workbench.kernel.errors import InvalidInput, Refused, Unavailable
from workbench.kernel.schemas import validate
from workbench.services import auditing, catalogue, jobs, quality, releases, vocabularies
from workbench.services.context import Workbench
from workbench.services.holding import reading
from workbench.store import documents
from workbench.store import jobs as rows

FACTS = {
    "format": "workbench/catalogue_facts/1",
    "publisher": {"name": "CHU de Nulle-Part", "email": "donnees@chu.example", "page": "https://chu.example"},
    "hdab": {"name": "Health Data Hub", "page": "https://hdab.example"},
    "contact": {"email": "donnees@chu.example"},
    "access_url": "https://chu.example/entrepot",
    "health_category": "https://hdab.example/category/EHRS",
    "base_url": "https://chu.example/catalogue/",
}


def _bodies(wb: Workbench) -> list[dict[str, Any]]:
    with wb.store.read() as connection:
        return [found.body for found in documents.every(connection, "quality")]


def _current(wb: Workbench, actor: Actor) -> releases.ReleaseView:
    return next(view for view in releases.list_releases(wb, actor) if view.current)


def test_a_load_leaves_a_checked_release(wb: Workbench, researcher: Actor) -> None:
    view = _current(wb, researcher)
    found = quality.show_quality(wb, researcher, view.id)
    assert found.release == view.id
    assert found.id.startswith("qua-")
    assert sum(found.summary.values()) == 2535
    assert found.summary["error"] == 0
    assert sum(found.by_severity.values()) == found.summary["failed"] == len(found.failures)
    assert [failure.severity for failure in found.failures] == sorted(
        (failure.severity for failure in found.failures), key=["fatal", "convention", "characterization"].index
    )
    (body,) = _bodies(wb)
    validate(body, "quality")
    assert body["release"] == view.digest


def test_quality_is_no_part_of_what_a_release_is(
    wb: Workbench, steward: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another day is another document; the release is the same, and the newest document is shown."""
    before = _current(wb, steward)
    first = quality.show_quality(wb, steward, before.id)
    monkeypatch.setattr(clock, "today", lambda: date(1975, 6, 1))
    second = quality.check_release(wb, steward, before.id)
    assert second.id != first.id
    assert second.as_of == "1975-06-01"
    assert _current(wb, steward).digest == before.digest
    assert quality.show_quality(wb, steward, before.id).id == second.id
    late = {failure.check.name for failure in second.failures} - {failure.check.name for failure in first.failures}
    assert "plausibleValueHigh" in late
    assert quality.check_release(wb, steward, before.id).id == second.id


def test_all_numbers_are_governed(wb: Workbench, researcher: Actor) -> None:
    found = quality.show_quality(wb, researcher, _current(wb, researcher).id)
    (body,) = _bodies(wb)
    exact = {(table, year): each for table, years in body["profile"]["years"].items() for year, each in years.items()}
    small = {place for place, (_, crowd) in exact.items() if crowd < 11}
    assert small
    for (table, year), (records, _) in exact.items():
        seen = found.years[table][year].value
        assert seen is None if (table, year) in small else abs(seen - max(records, LOWEST)) <= 2
    few = [line for line in body["profile"]["ages"] if line["persons"] < 11]
    hidden = {(line.sex, line.start) for line in found.ages if line.persons.value is None}
    assert hidden == {(line["sex"], line["from"]) for line in few}
    for failure in found.failures:
        assert failure.failed.value is None or failure.failed.value % 5 == 0
        assert (failure.share is None) == (failure.failed.value is None)
    for line in found.unmapped:
        assert line.rows.value is None or line.rows.value % 5 == 0
        if line.share is not None and line.unmapped.value is not None and line.rows.value is not None:
            assert line.share == round(min(100, 100 * line.unmapped.value / line.rows.value), 1)


def test_counts_are_those_of_the_tables(wb: Workbench, researcher: Actor) -> None:
    (body,) = _bodies(wb)
    with reading():
        counts, release = body["profile"], releases.verified_release(wb, _current(wb, researcher).id)
    tables = {name: f"read_parquet('{path}')" for name, path in release.tables.items()}
    with duckdb.connect() as connection:

        def ask(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query.format(**tables)).fetchall()

        months = ask("SELECT strftime(drug_exposure_start_date, '%Y-%m'), count(*), count(DISTINCT person_id) "
                      "FROM {drug_exposure} GROUP BY 1")  # fmt: skip
        assert {month: each[0] for month, each in counts["months"]["drug_exposure"].items()} == {
            month: records for month, records, _ in months
        }
        assert all(counts["months"]["drug_exposure"][month][1] <= persons for month, _, persons in months)
        years = ask("SELECT year(drug_exposure_start_date), count(*) FROM {drug_exposure} GROUP BY 1")
        assert {int(year): each[0] for year, each in counts["years"]["drug_exposure"].items()} == dict(years)
        ages = ask("SELECT gender_concept_id, ((year(s) - year_of_birth) // 10) * 10, count(*) FROM {person} JOIN "
                    "(SELECT person_id, min(observation_period_start_date) s FROM {observation_period} GROUP BY 1) "
                    "USING (person_id) GROUP BY ALL")  # fmt: skip
        assert {(line["sex"], line["from"]): line["persons"] for line in counts["ages"]} == {
            (sex, band): persons for sex, band, persons in ages
        }
        observed = ask("SELECT y, count(DISTINCT person_id) FROM (SELECT person_id, unnest(range("
                        "year(observation_period_start_date), year(observation_period_end_date) + 1)) y "
                        "FROM {observation_period}) GROUP BY 1")  # fmt: skip
        assert {int(year): persons for year, persons in counts["observation"]["observed"].items()} == dict(observed)
        top = ask("SELECT condition_concept_id, count(*) n FROM {condition_occurrence} "
                   "WHERE condition_concept_id <> 0 GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20")  # fmt: skip
        mine = [each for each in counts["concepts"] if each["table"] == "condition_occurrence"]
        assert [(each["concept"], each["records"]) for each in mine] == top
        (unmapped,) = ask("SELECT count(*), count(*) FILTER (unit_concept_id IS NULL), "
                           "count(*) FILTER (unit_concept_id = 0) FROM {measurement}")  # fmt: skip
        (line,) = [each for each in counts["unmapped"] if each["column"] == "unit_concept_id"
                   and each["table"] == "measurement"]  # fmt: skip
        assert (line["rows"], line["missing"], line["unmapped"]) == unmapped


def test_the_release_before_is_what_changes_are_against(wb: Workbench, steward: Actor, tmp_path: Path) -> None:
    first = _current(wb, steward)
    assert quality.show_quality(wb, steward, first.id).before is None
    tables = {**OWN, "CONCEPT": [concept(2_000_000_021, "Hémorragie digestive", vocabulary="CIM10FR", code="K92.2",
                                         standard="")]}  # fmt: skip
    second = vocabularies.load_athena(wb, steward, write(tmp_path / "french", tables)).release
    found = quality.show_quality(wb, steward, second.id)
    assert found.before == first.id
    assert all(change.kind.startswith("check_") for change in found.changes)  # the records are the same


def test_only_a_steward_checks(wb: Workbench, researcher: Actor, officer: Actor, scientist: Actor) -> None:
    for actor in (researcher, officer, scientist):
        with pytest.raises(Refused) as refused:
            quality.check_release(wb, actor, _current(wb, actor).id)
        assert refused.value.code == "governance.not_allowed"


def test_a_release_nobody_checked_says_so(wb: Workbench, researcher: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "_documents", lambda _: {})
    with pytest.raises(Refused) as refused:
        quality.show_quality(wb, researcher, _current(wb, researcher).id)
    assert refused.value.code == "quality.not_checked"
    made = catalogue.record(wb, researcher, _current(wb, researcher).id)
    assert "dqv:hasQualityAnnotation" not in made.document


def test_a_load_stands_where_its_checks_cannot_run(
    wb: Workbench, steward: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise Unavailable("store.busy")

    monkeypatch.setattr(quality, "assess", fails)
    tables = {**OWN, "CONCEPT": [concept(2_000_000_021, "Hémorragie digestive", vocabulary="CIM10FR", code="K92.2",
                                         standard="")]}  # fmt: skip
    loaded = vocabularies.load_athena(wb, steward, write(tmp_path / "french", tables)).release
    assert _current(wb, steward).id == loaded.id
    assert not quality.is_checked(wb, steward, loaded.id)


def test_the_check_is_logged_and_runs_as_a_job(wb: Workbench, steward: Actor, officer: Actor) -> None:
    view = _current(wb, steward)
    queued = rows.queue(wb.store, steward.name, "release.check", {"release": view.id})
    jobs.work(wb, steward, jobs.job(wb, steward, queued))
    done = jobs.job(wb, steward, queued)
    assert (done.state, done.result_digest) == ("done", quality.show_quality(wb, steward, view.id).digest)
    entry = next(each for each in auditing.log(wb, officer) if each.verb == "release.check" and each.after)
    assert (entry.subject, entry.after) == (view.id, done.result_digest)
    assert sum((entry.payload or {})["summary"].values()) == 2535


def test_a_catalogue_record_says_what_is_known(wb: Workbench, researcher: Actor) -> None:
    view = _current(wb, researcher)
    bare = catalogue.record(wb, researcher, view.id)
    assert bare.missing == ("publisher", "hdab", "contact", "access_url", "health_category")
    assert bare.document["@id"].startswith("ni:///sha-256;")
    made = catalogue.record(wb, researcher, view.id, FACTS)
    assert made.missing == ()
    document = made.document
    assert document["@id"] == f"https://chu.example/catalogue/{view.id}"
    assert document["healthdcatap:numberOfUniqueIndividuals"]["@value"] == "2695"  # rounded to 5
    assert int(document["healthdcatap:numberOfRecords"]["@value"]) % 5 == 0
    codes = [each["@id"].rpartition("/")[2] for each in document["healthdcatap:hasCodingSystem"]]
    assert codes == sorted(codes)
    assert "SNOMED-CT" in codes
    assert "dpv:hasPersonalData" not in document  # invented persons
    assert document["dcat:distribution"]["dcat:accessURL"] == {"@id": "https://chu.example/entrepot"}
    _prefixes_are_known(document)


def _prefixes_are_known(document: dict[str, Any]) -> None:
    """Every name of the record has a prefix that the context explains."""
    known = document["@context"]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                assert name.startswith("@") or name.partition(":")[0] in known, name
                if name == "@type":
                    assert str(inner).partition(":")[0] in known
                walk(inner)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk({name: value for name, value in document.items() if name != "@context"})


@pytest.mark.parametrize(
    "wrong", [{"publisher": "CHU"}, {"owner": "CHU"}, {"access_url": "entrepot"}, {"contact": {"email": "nobody"}}]
)
def test_facts_that_do_not_fit_are_refused(wb: Workbench, researcher: Actor, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        catalogue.record(wb, researcher, _current(wb, researcher).id, {"format": FACTS["format"], **wrong})
    assert refused.value.code == "kernel.document_invalid"


def test_the_command_line_shows_and_checks(demo_copy: Path, tmp_path: Path) -> None:
    home = ("--home", str(demo_copy))
    listed = json.loads(workbench("releases", "list", *home, "--json", cwd=tmp_path).stdout)
    ref = listed[-1]["id"]
    shown = workbench("releases", "show", ref, "--quality", *home, "--as", "researcher", cwd=tmp_path).stdout
    assert "checks passed" in shown
    assert "2,535" not in shown  # by status, not in all
    assert "women" in shown
    whole = json.loads(workbench("releases", "show", ref, "--quality", *home, "--json", cwd=tmp_path).stdout)
    assert whole["quality_report"]["release"] == ref
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(FACTS), encoding="utf-8")
    record = workbench("releases", "show", ref, "--dcat", "--facts", str(facts), *home, cwd=tmp_path)
    assert json.loads(record.stdout)["@type"] == "dcat:Dataset"
    assert record.stderr == ""
    assert "hdab" in workbench("releases", "show", ref, "--dcat", *home, cwd=tmp_path).stderr
    checked = json.loads(workbench("releases", "check", ref, *home, "--json", cwd=tmp_path).stdout)
    assert checked["state"] == "checked"
    denied = workbench("releases", "check", ref, *home, "--as", "researcher", cwd=tmp_path, check=False)
    assert denied.returncode == 1
